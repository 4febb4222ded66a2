"""Pipelines that end in a matting network: Matte-Anything's, and the paper's ICMP (specification 8.1).

ICMP: points on one reference are matched to every target, the matches prompt a segmenter, morphology makes a
trimap of its mask, and a matting network answers. Nothing is trained. The pieces can be any that keep the
three contracts below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mattelike.baselines import Answer, Help, Reference
from mattelike.baselines.asked import CLICKS, clicks, own_region, pseudo_trimap, region
from mattelike.baselines.looking import look, opened
from mattelike.baselines.sam import Asked, asked, segmenter
from mattelike.baselines.vitmatte import matter
from mattelike.models import Model
from mattelike.values import Bool, Float32, Photo

BAND = 15
Places = NDArray[np.intp]


class Matcher(Protocol):
    """Finds in a target what was pointed at in a reference."""

    def remember(self, photo: Photo, points: Places) -> Any:
        """What is to be found again: positions ``[row, column]`` ``(n, 2)`` on a reference."""

    def match(self, remembered: Any, photo: Photo) -> tuple[Places, Float32]:
        """The best place of each in a target, and how alike it is, in [-1, 1]."""


class Segments(Protocol):
    """Turns marks into a hard mask."""

    def mask(self, photo: Photo, marks: Asked) -> Bool:
        """Bool ``(h, w)``."""


class Mattes(Protocol):
    """Turns a trimap into alpha."""

    def alpha(self, photo: Photo, trimap: Float32) -> Float32:
        """float32 ``(h, w)`` in [0, 1]."""


class TokenMatcher:
    """Matches by the cosine of tokens: each point takes the target's most similar cell.

    Args:
        model: Gives the tokens; DINOv2 in the paper.
    """

    def __init__(self, model: Model) -> None:
        self.model = model

    def remember(self, photo: Photo, points: Places) -> Float32:
        """Tokens ``(n, c)`` of the cells the points lie in."""
        seen = look(self.model, photo, "reference")
        return seen.tokens[[seen.cell(int(row), int(column)) for row, column in points]]

    def match(self, remembered: Float32, photo: Photo) -> tuple[Places, Float32]:
        """Middles of the most similar cells; cells outside the photo do not count."""
        seen = look(self.model, photo, "target")
        alike = remembered @ seen.tokens.T
        rows, columns = (np.arange(count) for count in seen.grid)
        down, across = (float(length) for length in seen.frame.extent(seen.grid))
        outside = ((rows[:, None] >= down) | (columns[None, :] >= across)).reshape(-1)
        alike[:, outside] = -1
        cells = alike.argmax(axis=1)
        places = np.array([seen.middle(int(cell)) for cell in cells], np.intp).reshape(-1, 2)
        return places, alike[np.arange(len(cells)), cells]


@dataclass(frozen=True, slots=True)
class Band:
    """The unknown band of a trimap made from a mask, in pixels.

    Attributes:
        erode: Inside the mask.
        dilate: Outside.
    """

    erode: int = BAND
    dilate: int = BAND

    def trimap(self, mask: Bool) -> Float32:
        """float32 ``(h, w)`` in {0, 0.5, 1}."""
        return pseudo_trimap(mask, self.erode, self.dilate)


class Icmp:
    """The paper's in-context matting pipeline.

    Args:
        matcher: From points on references to points on the target.
        segments: From those to a mask.
        mattes: From its trimap to alpha.
        band: Of the trimap.
        points: Points that stand for a mark that is not clicks.
        about: What the pieces are, for the report.
    """

    help: Help = "references"

    def __init__(
        self,
        matcher: Matcher,
        segments: Segments,
        mattes: Mattes,
        band: Band | None = None,
        points: int = CLICKS,
        about: Mapping[str, str] | None = None,
    ) -> None:
        self._matcher, self._segments, self._mattes = matcher, segments, mattes
        self._band = band or Band()
        self._points = points
        self._about = dict(about or {})

    @property
    def about(self) -> Mapping[str, str]:
        """The pieces, and the width of the band."""
        band = self._band
        return {
            "method": "icmp",
            "erode": str(band.erode),
            "dilate": str(band.dilate),
            "points": str(self._points),
            **self._about,
        }

    def encode(self, references: Sequence[Reference]) -> list[Any]:
        """What was pointed at in each reference; any mark becomes points, as propagation makes it.

        Raises:
            PromptError: A mark that means nothing on its photo.
        """
        found = []
        for photo, hint in references:
            found.append(self._matcher.remember(photo, clicks(region(photo, hint).positive, self._points)))
        return found

    def matte(self, photo: Photo, context: list[Any]) -> Answer:
        """Matched, segmented, matted; presence is the mean likeness of the matches, from 0 to 1."""
        matched = [self._matcher.match(remembered, photo) for remembered in context]
        places = np.concatenate([found for found, _ in matched])
        alike = np.concatenate([scores for _, scores in matched])
        mask = self._segments.mask(photo, Asked(places, np.ones(len(places), np.intp)))
        alpha = self._mattes.alpha(photo, self._band.trimap(mask))
        return Answer(alpha, float(np.clip(alike.mean(), 0, 1)))


class MatteAnything:
    """Segmented from a mark on the photo itself, then matted (Yao et al. 2024, Table 4).

    Args:
        segments: From the mark to a mask.
        mattes: From its trimap to alpha.
        band: Of the trimap.
        about: What the pieces are, for the report.
    """

    help: Help = "marks"

    def __init__(
        self,
        segments: Segments,
        mattes: Mattes,
        band: Band | None = None,
        about: Mapping[str, str] | None = None,
    ) -> None:
        self._segments, self._mattes, self._band = segments, mattes, band or Band()
        self._about = dict(about or {})

    @property
    def about(self) -> Mapping[str, str]:
        """The pieces, and the width of the band."""
        band = self._band
        return {
            "method": "sam-vitmatte",
            "erode": str(band.erode),
            "dilate": str(band.dilate),
            **self._about,
        }

    def encode(self, references: Sequence[Reference]) -> Asked:
        """The mark on the photo itself.

        Raises:
            PromptError: Not one marked photo.
        """
        return asked(own_region(references))

    def matte(self, photo: Photo, context: Asked) -> Answer:
        """Segmented, matted."""
        mask = self._segments.mask(photo, context)
        return Answer(self._mattes.alpha(photo, self._band.trimap(mask)))


def icmp(
    *,
    device: str = "auto",
    threads: int | None = None,
    feature: str = "dino",
    dino: str = "",
    sam: str = "",
    vitmatte: str = "",
    segmenter_kind: str = "sam",
    erode: int = BAND,
    dilate: int = BAND,
    points: int = CLICKS,
) -> Icmp:
    """ICMP from folders or the hub; errors as `mattelike.baselines.networks.opened`.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        threads: Threads of torch.
        feature: Row of `mattelike.models.MODELS` whose tokens are matched; ``sd21`` is the diffusion's.
        dino: Folder or hub id of its weights, for features that take one.
        sam: Folder or hub id of the segmenter.
        vitmatte: Folder or hub id of ViTMatte.
        segmenter_kind: ``sam``, ``sam2`` or ``sam3``.
        erode: Pixels of the unknown band inside the mask.
        dilate: Pixels of it outside.
        points: Points that stand for a mark that is not clicks.
    """
    segments = segmenter(segmenter_kind, sam, device=device, threads=threads)
    mattes = matter(vitmatte, device=device, threads=threads)
    model = opened(feature, device, threads, dino, "")
    about = {
        "feature": model.card.name,
        "feature weights": model.card.sha256,
        "segmenter": segmenter_kind,
        "segmenter weights": segments.network.sha256,
        "vitmatte weights": mattes.network.sha256,
        "device": mattes.network.device,
    }
    return Icmp(TokenMatcher(model), segments, mattes, Band(erode, dilate), points, about)


def sam_vitmatte(
    *,
    device: str = "auto",
    threads: int | None = None,
    sam: str = "",
    vitmatte: str = "",
    segmenter_kind: str = "sam",
    erode: int = BAND,
    dilate: int = BAND,
) -> MatteAnything:
    """SAM and ViTMatte as Matte-Anything joins them; arguments and errors as `icmp`."""
    segments = segmenter(segmenter_kind, sam, device=device, threads=threads)
    mattes = matter(vitmatte, device=device, threads=threads)
    about = {
        "segmenter": segmenter_kind,
        "segmenter weights": segments.network.sha256,
        "vitmatte weights": mattes.network.sha256,
        "device": mattes.network.device,
    }
    return MatteAnything(segments, mattes, Band(erode, dilate), about)
