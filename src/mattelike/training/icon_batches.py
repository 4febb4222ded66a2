"""Batches of IconMatting: a reference and a target of one group, as the paper's sampler draws them (4.1).

A batch depends on the settings and its number alone, so any number of workers gives the same sequence and a
run resumes exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mattelike.errors import UsageError
from mattelike.models.sd21_settings import IconSettings
from mattelike.training.icon_crops import Square, squared
from mattelike.training.pairing import Pairs
from mattelike.training.sample_pixels import loaded
from mattelike.training.sources import Kind, Sample

# Level of alpha from which a pixel of a reference is marked; the release's.
MARKED_FROM = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class IconBatch:
    """Pairs of a reference and a target.

    Attributes:
        numbers: Of the samples since the run began; they name the noise.
        targets: ``(b, 3, s, s)`` in [-1, 1].
        alphas: ``(b, s, s)`` in [0, 1].
        trimaps: ``(s, s)`` in {0, 0.5, 1} each, or None where a sample has none.
        kinds: Matting or segmentation, as their sources say.
        references: ``(b, 3, s, s)`` in [-1, 1]; empty where none are needed.
        marks: bool ``(b, s, s)``, what is marked in them.
        present: Whether each target shows what is marked; None where only a trace of it is in the square.
    """

    numbers: tuple[int, ...]
    targets: Tensor
    alphas: Tensor
    trimaps: tuple[Tensor | None, ...]
    kinds: tuple[Kind, ...]
    references: Tensor
    marks: Tensor
    present: tuple[bool | None, ...]


class IconBatches(torch.utils.data.Dataset[IconBatch]):
    """The sequence of batches: targets in a fixed order, over and over, references by chance.

    Args:
        samples: To learn from, in order.
        settings: Effective settings.
        count: How many batches there are.
        size: Samples of a batch.
        referenced: Whether references are needed; the variant with trimaps does without.
        absent: Share of the targets whose reference is of another kind; their alpha is 0 everywhere.

    Raises:
        UsageError: A group of one picture, and `allow_self` is not set; or absent targets are wanted of data
            that shows one kind alone.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        settings: IconSettings,
        count: int,
        size: int,
        referenced: bool = True,
        absent: float = 0.0,
    ) -> None:
        self.settings = settings
        self.count, self.size, self.referenced, self.absent = count, size, referenced, absent
        allow: Any = settings.allow_self if referenced else True
        self.pairs = Pairs(samples, settings.seeds[0], "random", allow)
        if absent and len(self.pairs.things) < 2:
            raise UsageError(
                "all data shows one kind, so no target can lack it; add others, or set absent_share=0"
            )

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> IconBatch:
        """Batch `number`."""
        numbers = tuple(range(number * self.size, (number + 1) * self.size))
        targets, references, marks, kinds, present = [], [], [], [], []
        for each in numbers:
            epoch, place = divmod(each, len(self.pairs))
            reference, target, shown = self.pairs.question(epoch, place, self.absent)
            square = self._square(target, each, "target")
            targets.append(square if shown else emptied(square))
            present.append(shows(square.alpha) if shown else False)
            kinds.append(target.kind)
            if self.referenced:
                square = self._square(reference, each, "reference")
                references.append(square.image)
                marks.append(marked(square.alpha, reference, self.settings.on_empty == "zeros"))
        side = self.settings.crop_size
        return IconBatch(
            numbers=numbers,
            targets=torch.stack([square.image for square in targets]),
            alphas=torch.stack([square.alpha for square in targets]),
            trimaps=tuple(square.trimap for square in targets),
            kinds=tuple(kinds),
            references=torch.stack(references) if references else torch.zeros(0, 3, side, side),
            marks=torch.stack(marks) if marks else torch.zeros(0, side, side, dtype=torch.bool),
            present=tuple(present),
        )

    def _square(self, sample: Sample, number: int, role: str) -> Square:
        seed = 2 * (self.settings.seeds[0] * 1_000_003 + number) + (role == "reference")
        generator = torch.Generator().manual_seed(seed)
        settings = self.settings
        return squared(
            loaded(sample),
            settings.crop_size,
            settings.train_geometry,
            generator,
            reference=role == "reference",
        )


def emptied(square: Square) -> Square:
    """The same picture where what is looked for is not in it: no alpha, and all of that is known."""
    return Square(square.image, torch.zeros_like(square.alpha), None)


def shows(alpha: Tensor) -> bool | None:
    """Whether a square shows its thing; None for a trace of it, such as a shadow or a few hairs."""
    most = float(alpha.max())
    return True if most > MARKED_FROM else None if most > 0 else False


def marked(alpha: Tensor, sample: Sample, may_be_empty: bool = False) -> Tensor:
    """What is marked in a reference, bool ``(h, w)``; of a thing that is nowhere solid, its most solid part.

    Raises:
        UsageError: Nothing of it is in the square, and that is not allowed.
    """
    most = float(alpha.max())
    if most > MARKED_FROM or may_be_empty:
        return alpha > MARKED_FROM
    if most <= 0:
        raise UsageError(
            f"{sample.alpha}: nothing is marked in its square, so it cannot be a reference; leave it out"
        )
    return alpha >= most
