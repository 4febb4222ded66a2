"""IconMatting behind the contract of every model: extractor, similarity, head (paper, section 3)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mattelike.contexts import Context
from mattelike.errors import UsageError
from mattelike.models import Coarse, Role, sd21_cache, sd21_marks, sd21_unet
from mattelike.models.sd21_cache import TokenCache
from mattelike.models.sd21_extractor import Backbone, Extractor, Look
from mattelike.models.sd21_features import IconFeatures, contracted, numbers, own
from mattelike.models.sd21_geometry import from_square, to_square
from mattelike.models.sd21_settings import IconSettings
from mattelike.network import captured, icon_guidance, icon_vitmatte
from mattelike.network.captured import Layer
from mattelike.network.icon_768 import Icon768
from mattelike.network.icon_backbone import Encoded, FlexOnBackbone
from mattelike.network.icon_vitmatte import VitMatteHead
from mattelike.values import Features, Float32, Guidance, ModelCard, RoIKind

# Channels of the guidance of this model.
MAPS = ("similarity", "best cosine", "negative similarity", "contrast")


class IconModel:
    """See `mattelike.models.Model`.

    Args:
        backbone: The frozen parts.
        head: Trained head; its shape is that of the settings.
        settings: Effective settings.
        cache: Folder of reference tokens; None keeps none.
    """

    def __init__(
        self, backbone: Backbone, head: nn.Module, settings: IconSettings, cache: Path | None = None
    ) -> None:
        self.settings = settings
        self.extractor = Extractor(backbone, settings)
        self.head = head.eval().requires_grad_(False).to(self.extractor.device)
        self.cache = TokenCache(cache) if cache else None
        self._inter_stride = sd21_unet.block_stride(backbone.unet, settings.inter_block)
        self._card = card_of(backbone, settings, self._inter_stride)

    # --- the contract --------------------------------------------------------------------------------

    @property
    def card(self) -> ModelCard:
        """Who it is."""
        return self._card

    @property
    def device(self) -> str:
        """The device the weights lie on."""
        return self.extractor.device.type

    @property
    def multiple(self) -> int:
        """The flex head takes every size in whole cells; the others bring pictures to their square."""
        if self.settings.head != "icon-768":
            return 64
        return self.settings.side if self.settings.eval_geometry == "pad" else 1

    def features(self, images: Float32, role: Role) -> IconFeatures:
        """Looks at one picture ``(1, 3, h, w)`` in [-1, 1].

        A reference is looked at as far as it is matched, a target as far as the head reads it; so the
        features of a target serve as those of a reference too (a picture that is its own reference).
        With ``image_channels=4`` a target may bring its trimap as a fourth channel, in {0, 0.5, 1}.

        Raises:
            UsageError: Values that are not finite, or outside [-1, 1], or channels nobody reads.
        """
        name, size = "", (images.shape[-2], images.shape[-1])
        images, trimap = self._parted(images)
        if role == "reference" and self.cache:
            name = sd21_cache.key(images, self.settings, self.extractor.backbone.identity)
            tokens = self.cache.get(name)
            if tokens is not None:
                return IconFeatures(tokens, seen=self._seen(images), size=size)
        seen = self._seen(images)
        latents = self.extractor.latents(seen, role)
        if role == "reference":
            look = self.extractor.look(latents, (self.settings.inter_block,))
        else:
            look = self.extractor.look(latents, self._blocks, self._strides)
        found = self._contracted(seen, latents, look, size, trimap)
        if name and self.cache:
            self.cache.put(name, found.tokens)
        return found

    def weigh(self, features: Features, positive: Float32, negative: Float32, kind: RoIKind) -> Float32:
        """Query tokens of a reference (sections 3.4 and 3.6): 1, what is known not to be the thing: 0.

        Everything else is `sd21_marks.UNKNOWN` and not kept.

        Raises:
            PromptError: Fewer than `min_tokens` cells are left of the mark.
        """
        features = own(features)
        if self.settings.eval_geometry == "release" and isinstance(self.head, Icon768):
            positive, negative = (sd21_marks.on_centre(x, features.size) for x in (positive, negative))
        cells = sd21_marks.prompted_cells(features.tokens[0], positive, kind, self.settings)
        if kind in ("points", "scribbles") and self.settings.prompt_extension_m and cells.any():
            rows = self.attention_rows(features, torch.from_numpy(np.flatnonzero(cells)))
            cells = sd21_marks.extended(cells, numbers(rows), self.settings.prompt_extension_m)
        return sd21_marks.weights(cells, positive, negative, kind, self.settings)

    def remember(self, features: Features, weights: Float32) -> tuple[NDArray[Any], NDArray[Any]]:
        """Raw tokens of the cells that mean something, float32, before any norm of the head."""
        flat = features.tokens[0].reshape(features.tokens.shape[1], -1).T
        kept = weights.reshape(-1) != sd21_marks.UNKNOWN
        if not kept.any():
            # A context holds at least one token; this one is neither for nor against.
            kept = np.arange(flat.shape[0]) == 0
        return np.ascontiguousarray(flat[kept]), weights.reshape(-1)[kept].astype(np.float16)

    def guide(self, features: Features, context: Context) -> Guidance:
        """Section 3.4 for one target: similarity to all references, what negatives say, presence."""
        features = own(features)
        inter = features.look.features[self.settings.inter_block]
        positives, negatives = self._references(context)
        with torch.inference_mode():
            similar = self._similar(positives, inter)
            joined = _joined(positives, inter)
            best = icon_guidance.best_cosine(joined, inter[0])
            opposed, contrasted = torch.zeros_like(similar), torch.full_like(best, 0.5)
            weighed = similar
            if negatives and self.settings.negative_mode != "none":
                opposed = self._similar(negatives, inter)
                contrasted = icon_guidance.contrast(joined, _joined(negatives, inter), inter[0])
                weighed = icon_guidance.against(similar, opposed, contrasted, self.settings.negative_mode)
            spread = self._propagated(features, weighed)
            evidence = icon_guidance.presence_evidence(best, inter[0])
            present = float(icon_guidance.presence(evidence)) if len(joined) else 0.0
        return Guidance(
            maps=numbers(torch.stack([weighed, best, opposed, contrasted])),
            names=MAPS,
            similarity=numbers(_scaled(weighed)),
            propagated=numbers(_scaled(spread)),
            presence=present,
        )

    def alpha(self, images: Float32, features: Features, guidance: Guidance) -> Coarse:
        """Section 3.5: alpha at the size of `images`."""
        features = own(features)
        maps = torch.from_numpy(guidance.maps).to(self.extractor.device)
        with torch.inference_mode():
            alpha, presence = self._answered(features, maps)
        size = (images.shape[-2], images.shape[-1])
        if self.settings.head == "icon-768":
            alpha = from_square(alpha, size, self.settings.eval_geometry)
        return Coarse(numbers(alpha[0, 0].clamp(0, 1)), presence=presence)

    # --- looking -------------------------------------------------------------------------------------

    @property
    def _blocks(self) -> tuple[int, ...]:
        return tuple(sorted({*self.settings.blocks, self.settings.inter_block}))

    @property
    def _strides(self) -> tuple[int, ...]:
        """Strides of the self-attention that the head reads."""
        if isinstance(self.head, Icon768):
            return self.head.settings.attended
        if isinstance(self.head, VitMatteHead):
            return (self._inter_stride,)
        return self.settings.attention_strides

    def _seen(self, images: Float32) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(images, np.float32))
        if not bool(torch.isfinite(tensor).all()):
            raise UsageError("the picture holds values that are not finite")
        if self.settings.head == "icon-768":
            tensor = to_square(tensor, self.settings.side, self.settings.eval_geometry)
        return tensor

    def _parted(self, images: Float32) -> tuple[Float32, Tensor | None]:
        """Colours, and the trimap of the head's square where there is one."""
        if images.shape[1] == 3:
            return images, None
        if images.shape[1] != 4 or self.settings.image_channels != 4:
            raise UsageError(f"a picture of {images.shape[1]} channels; a trimap needs image_channels=4")
        known = torch.from_numpy(np.ascontiguousarray(images[:, 3:], np.float32))
        if self.settings.head == "icon-768":
            known = to_square(known, self.settings.side, self.settings.eval_geometry)
        # Between the levels there is nothing: what was resized goes to the nearest of them.
        return np.ascontiguousarray(images[:, :3]), (known * 2).round().clamp(0, 2) / 2

    def _contracted(
        self,
        seen: Tensor,
        latents: Tensor,
        look: Look,
        size: tuple[int, int],
        trimap: Tensor | None = None,
    ) -> IconFeatures:
        blocks = sorted(number for number in look.features if number != self.settings.inter_block)
        stored = self.settings.attn_mode == "accumulate" and isinstance(self.head, Icon768)
        with torch.inference_mode():
            maps = {s: captured.averaged(found) for s, found in look.layers.items()} if stored else {}
        return IconFeatures(
            tokens=numbers(look.features[self.settings.inter_block]),
            skips=tuple(numbers(look.features[number]) for number in blocks),
            attention=tuple(contracted(layer) for found in look.layers.values() for layer in found),
            seen=seen,
            latents=latents,
            look=look,
            maps=maps,
            size=size,
            trimap=trimap,
        )

    # --- references ----------------------------------------------------------------------------------

    def attention_rows(self, features: Features, rows: Tensor | slice = slice(None)) -> Tensor:
        """Rows of the averaged self-attention on the grid that is matched (figures 3 and 10).

        A reference was looked at only as far as it is matched: the U-Net then runs again, to its attention.
        """
        features = own(features)
        layers: tuple[Layer, ...] | None = features.look.layers.get(self._inter_stride)
        if layers is None:
            latents = features.latents
            if latents is None:
                latents = self.extractor.latents(features.seen, "reference")
            look = self.extractor.look(latents, (), (self._inter_stride,))
            layers = look.layers.get(self._inter_stride)
        if not layers:
            layers = (captured.from_features(torch.from_numpy(features.tokens[0])),)
        with torch.inference_mode():
            return captured.averaged(layers, rows)

    def _references(self, context: Context) -> tuple[list[Tensor], list[Tensor]]:
        """Tokens for and against, by reference; references without any are left out."""
        found: tuple[list[Tensor], list[Tensor]] = ([], [])
        weights = context.weights.astype(np.float32)
        for index in range(context.references):
            mine = context.reference == index
            for which, chosen in enumerate((weights > sd21_marks.UNKNOWN, weights < sd21_marks.UNKNOWN)):
                tokens = context.tokens[mine & chosen]
                if len(tokens):
                    found[which].append(torch.from_numpy(tokens.astype(np.float32)).to(self.extractor.device))
        return found

    # --- targets -------------------------------------------------------------------------------------

    def _similar(self, references: list[Tensor], inter: Tensor) -> Tensor:
        """S of all references, ``(h, w)``."""
        if not references:
            return torch.zeros(inter.shape[-2:], device=inter.device)
        how = self.settings.reference_reduction
        if not isinstance(self.head, Icon768) or not self.head.settings.referenced:
            per_token = self.settings.query_reduction
            return icon_guidance.similar_to(references, inter[0], how, per_token)
        if how == "tokens":
            total = self.head.similarity(torch.cat(references), inter)[0, 0]
            # The head knows the scale of one reference.
            return total / (len(references) if self.settings.query_reduction == "sum" else 1)
        maps = torch.stack([self.head.similarity(tokens, inter)[0, 0] for tokens in references])
        return icon_guidance.brought_together(maps, how)

    def _propagated(self, features: IconFeatures, similar: Tensor) -> Tensor:
        """``A S`` on the grid of S, for showing and for the head ``vitmatte``."""
        values = similar.flatten()[:, None]
        stored = features.maps.get(self._inter_stride)
        if stored is not None:
            return (stored @ values).reshape(similar.shape)
        layers = features.look.layers.get(self._inter_stride)
        if not layers:
            layers = (captured.from_features(features.look.features[self.settings.inter_block][0]),)
        return captured.propagated(layers, values).reshape(similar.shape)

    def _answered(self, features: IconFeatures, maps: Tensor) -> tuple[Tensor, float | None]:
        """Alpha of what the head saw, ``(1, 1, h, w)``, and presence, if it learnt to tell that."""
        device = self.extractor.device
        seen = features.seen.to(device)
        if isinstance(self.head, Icon768):
            scales = [features.look.features[number] for number in self.settings.blocks]
            attention: list[Any] = [
                features.maps[stride][None] if stride in features.maps else features.look.layers[stride]
                for stride in self.head.settings.attended
            ]
            if self.head.settings.guide == "inter":
                attention = [() for s in self.head.settings.scales if s.guided]
            if self.settings.image_channels == 4:
                # Without a trimap, guidance makes one, as for an off-the-shelf head.
                known = features.trimap
                if known is None:
                    known = icon_vitmatte.trimap(maps[:1][None], (seen.shape[-2], seen.shape[-1]))
                seen = torch.cat([seen, known.to(device)], dim=1)
            return self.head(seen, scales, attention, maps[:1][None]), None
        if isinstance(self.head, VitMatteHead):
            return self.head(seen, self._propagated(features, maps[0])[None, None]), None
        assert isinstance(self.head, FlexOnBackbone)
        target = Encoded(
            tuple(features.look.features[number] for number in self._blocks), dict(features.look.layers)
        )
        opposed, contrasted = (maps[2], maps[3]) if bool(maps[2].any()) else (None, None)
        guidance = self.head.guidance(target, maps[0], maps[1], opposed, contrasted)
        answer = self.head(seen, target, guidance)
        learnt = self.settings.absent_share > 0
        return answer.alpha.sigmoid(), float(answer.presence.sigmoid()) if learnt else None


def card_of(backbone: Backbone, settings: IconSettings, stride: int) -> ModelCard:
    """The card; its hash covers all that tokens of a context depend on, which the head is not part of."""
    identity = f"{backbone.identity}/{sd21_cache.seen_by(settings)}"
    return ModelCard(
        name="sd21",
        stride=stride,
        channels=sd21_unet.block_channels(backbone.unet, settings.inter_block),
        reference_side=settings.side,
        target_side=settings.side,
        pooling=settings.mask_pool,
        absent_below=settings.presence_threshold or 0.0,
        # Presence is not calibrated without trained weights: nothing is called "present" for sure.
        present_from=1.0,
        head=settings.head,
        licence="CreativeML Open RAIL++-M",
        source=backbone.source,
        sha256=hashlib.sha256(identity.encode()).hexdigest(),
        settings=settings.as_json(places=False),
        reuses=settings.reuse_self,
        truncates=settings.png_rounding == "floor",
    )


def _joined(references: list[Tensor], like: Tensor) -> Tensor:
    return torch.cat(references) if references else like.new_zeros(0, like.shape[1])


def _scaled(x: Tensor) -> Tensor:
    """To [0, 1] by its largest value; for showing alone."""
    return (x / x.amax().clamp(min=1e-12)).clamp(0, 1)
