"""What a training of IconMatting learns: a head on a frozen diffusion model (paper 4.2).

Reference and target of every sample go through the frozen extractor, one by one, each with noise of its own;
similarity, attention and head then run on the whole batch, as its BatchNorms want it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mattelike import tokens
from mattelike.errors import SettingsError
from mattelike.models import sd21_marks
from mattelike.models.sd21_extractor import Extractor, Look
from mattelike.models.sd21_settings import IconSettings
from mattelike.network import captured, icon_guidance
from mattelike.network.icon_768 import Icon768
from mattelike.network.icon_backbone import Encoded, FlexOnBackbone
from mattelike.network.icon_flex import Answer
from mattelike.training import icon_losses
from mattelike.training.icon_batches import IconBatch
from mattelike.training.icon_losses import Truth
from mattelike.values import RoI


class IconTask:
    """From a batch to its loss.

    Args:
        extractor: Frozen.
        head: In training; on the extractor's device.
        settings: Effective settings.
        batches: How many batches of all processes make one step: a sum over the samples of a step is
            gathered from means over its batches.

    Raises:
        SettingsError: The crops do not fit the head.
    """

    def __init__(
        self, extractor: Extractor, head: nn.Module, settings: IconSettings, batches: int = 1
    ) -> None:
        if isinstance(head, Icon768) and settings.crop_size != settings.side:
            raise SettingsError(
                f"crop_size={settings.crop_size}: the head icon-768 works on side={settings.side} alone"
            )
        self.extractor, self.head, self.settings, self.batches = extractor, head, settings, batches

    @property
    def referenced(self) -> bool:
        """Whether references are needed."""
        return not isinstance(self.head, Icon768) or self.head.settings.referenced

    @property
    def absent(self) -> float:
        """Share of the targets that lack the kind: only the flex head has an answer for them."""
        return self.settings.absent_share if isinstance(self.head, FlexOnBackbone) else 0.0

    def judged(self, batch: IconBatch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The loss of a batch and its terms; one gone wrong is no number, which the loop skips and counts."""
        truths = self.truths(batch)
        alpha, presence = self.answered(batch, truths)
        settings = self.settings
        try:
            loss, terms = icon_losses.total(
                alpha,
                truths,
                settings.loss_preset,
                settings.loss_batch_reduction,
                settings.loss_reference_area,
                presence,
                batch.present,
            )
        except FloatingPointError:
            return alpha.sum() * float("nan"), {}
        scale = self.batches if settings.loss_batch_reduction == "sum" else 1
        return loss * scale, terms

    def truths(self, batch: IconBatch) -> list[Truth]:
        """What the answers are compared with."""
        device, settings = self.extractor.device, self.settings
        return [
            icon_losses.truth_of(
                alpha.to(device),
                None if trimap is None else trimap.to(device),
                kind,
                rule=settings.segmentation_rule,
                confident_radius=settings.confident_radius,
                trimap_radius=settings.trimap_radius,
            )
            for alpha, trimap, kind in zip(batch.alphas, batch.trimaps, batch.kinds, strict=True)
        ]

    def answered(self, batch: IconBatch, truths: Sequence[Truth]) -> tuple[Tensor, Tensor | None]:
        """The head's answers ``(b, 1, s, s)``, and its logits of presence ``(b,)`` if it learns that."""
        device = self.extractor.device
        images = batch.targets.to(device)
        looks = [self._target(image[None], n) for image, n in zip(batch.targets, batch.numbers, strict=True)]
        queries = [self._queries(batch, at) for at in range(len(looks))] if self.referenced else []
        if isinstance(self.head, FlexOnBackbone):
            answers = [self._flex(images[at : at + 1], looks[at], queries[at]) for at in range(len(looks))]
            presence = torch.cat([each.presence for each in answers]) if self.absent else None
            return torch.cat([each.alpha.sigmoid() for each in answers]), presence
        if self.settings.image_channels == 4:
            images = torch.cat([images, torch.stack([trimap_of(truth) for truth in truths])[:, None]], dim=1)
        return self._icon_768(images, looks, queries), None

    # --- the heads -----------------------------------------------------------------------------------

    def _icon_768(self, images: Tensor, looks: Sequence[Look], queries: Sequence[Tensor]) -> Tensor:
        head: Any = self.head
        settings = self.settings
        features = [torch.cat([plain(look.features[number]) for look in looks]) for number in settings.blocks]
        attention: list[Any] = [
            torch.stack([plain(captured.averaged(look.layers[stride])) for look in looks])
            for stride in head.settings.attended
        ]
        if head.settings.guide == "inter":
            attention = [() for scale in head.settings.scales if scale.guided]
        inter = [plain(look.features[settings.inter_block]) for look in looks]
        if queries:
            similar = torch.cat([head.similarity(q, f) for q, f in zip(queries, inter, strict=True)])
        else:
            similar = torch.zeros(len(looks), 1, *inter[0].shape[-2:], device=images.device)
        found: Tensor = head(images, features, attention, similar)
        return found

    def _flex(self, image: Tensor, look: Look, queries: Tensor) -> Answer:
        head: Any = self.head
        inter = plain(look.features[self.settings.inter_block])[0]
        with torch.no_grad():
            similar = icon_guidance.similar_to([queries], inter, per_token=self.settings.query_reduction)
            best = icon_guidance.best_cosine(queries, inter)
            seen = Encoded(
                tuple(plain(look.features[number]) for number in self._blocks),
                {stride: tuple(layers) for stride, layers in look.layers.items()},
            )
            guidance = {level: plain(maps) for level, maps in head.guidance(seen, similar, best).items()}
        found: Answer = head(image, seen, guidance)
        return found

    # --- looking -------------------------------------------------------------------------------------

    @property
    def _blocks(self) -> tuple[int, ...]:
        return tuple(sorted({*self.settings.blocks, self.settings.inter_block}))

    def _target(self, image: Tensor, number: int) -> Look:
        latents = self.extractor.latents(image, "target", str(number))
        strides = (
            self.head.settings.attended if isinstance(self.head, Icon768) else self.settings.attention_strides
        )
        return self.extractor.look(latents, self._blocks, strides)

    def _queries(self, batch: IconBatch, at: int) -> Tensor:
        """Query tokens of one reference, ``(k, c)``, as they are taken when mattes are made."""
        settings = self.settings
        image = batch.references[at : at + 1]
        latents = self.extractor.latents(image, "reference", str(batch.numbers[at]))
        feature = plain(self.extractor.look(latents, (settings.inter_block,)).features[settings.inter_block])
        mark = batch.marks[at].numpy()
        grid = (feature.shape[-2], feature.shape[-1])
        positive, _ = tokens.pool(RoI(mark, ~mark), grid, settings.mask_pool)
        cells = sd21_marks.chosen(positive, settings)
        sd21_marks.enough(cells, settings)
        return feature[0].flatten(1).T[torch.from_numpy(np.flatnonzero(cells)).to(feature.device)]


def plain(x: Tensor) -> Tensor:
    """A tensor that gradients may be computed with, from one that was made where none are."""
    return x.clone() if x.is_inference() else x


def trimap_of(truth: Truth) -> Tensor:
    """A trimap of what is known of a sample: ``(h, w)`` in {0, 0.5, 1}."""
    sure = (truth.alpha > 0.5).to(truth.alpha.dtype)
    return torch.where(truth.unknown, torch.full_like(sure, 0.5), sure)
