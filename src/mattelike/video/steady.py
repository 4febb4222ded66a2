"""Steady mattes: what was seen a frame ago helps where this frame leaves the model in doubt.

The coarse alpha of the frame before is carried along the motion of the picture and fused with this frame's,
each weighted by how sure it is (a Kalman filter at every pixel; Kalman 1960). The model's own uncertainty
says how sure this frame is. The earlier one is as sure as it was, less a little for its age, and less the
more the picture it was carried from differs from this one: what was hidden a frame ago, what has just come
in, and everything after a cut is this frame's alone. So nothing is smeared: a trail would need a picture that
looks the same where the thing was and where it is not any more.

No frame is looked at twice, nothing is learned, and all that is kept is one frame: memory does not grow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mattelike import photos, resampling
from mattelike.models import Coarse
from mattelike.predictor import Glance
from mattelike.refinement.windows import box
from mattelike.values import Float32
from mattelike.video.motion import enlarged, flow, followed

AGEING = np.float32(1e-3)
"""Variance that a frame's time adds to what was known."""

LIKE = np.float32(0.03)
"""Mean difference of colours, in [0, 1], at which what was carried over counts for little."""

FLOOR = np.float32(1e-3)
"""Variance of an alpha the model is sure of."""

OLDEST = np.float32(8)
"""Never surer than so many frames together: errors of one frame and the next are not independent."""

UNKNOWN = np.float32(0.1)
"""Expected error of models that do not say."""

CUT = 0.25
"""Mean trust in the frame before, below which a new scene begins."""

SETTLING = np.float32(0.7)
"""Share of the presence of the frame before, where all of that can be trusted."""


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """What the next frame needs to know; empty before the first.

    Attributes:
        seen: float32 ``(h, w, 3)``, the frame as the model saw it.
        alpha: float32 ``(h, w)``, its coarse alpha, fused.
        variance: float32 ``(h, w)``, how unsure that is.
        presence: Its presence, settled.
    """

    seen: Float32 | None = None
    alpha: Float32 | None = None
    variance: Float32 | None = None
    presence: float = 0.0

    def save(self, path: Path) -> None:
        """Writes it for a run that goes on from here, whole or not at all."""
        kept = {name: getattr(self, name) for name in ("seen", "alpha", "variance")}
        partial = path.with_suffix(".part")
        with partial.open("wb") as file:
            np.savez(
                file,
                presence=self.presence,
                **{name: array for name, array in kept.items() if array is not None},
            )
        partial.replace(path)

    @staticmethod
    def load(path: Path) -> Memory:
        """Reads what `save` wrote."""
        with np.load(path) as kept:
            arrays = {name: kept[name] for name in ("seen", "alpha", "variance") if name in kept}
            return Memory(**arrays, presence=float(kept["presence"]))


@dataclass(frozen=True, slots=True, eq=False)
class Steadied:
    """A frame with what was known before.

    Attributes:
        glance: Its coarse alpha, uncertainty and presence, fused.
        memory: For the next frame.
        cut: A new scene begins here.
    """

    glance: Glance
    memory: Memory
    cut: bool


def steadied(memory: Memory, glance: Glance) -> Steadied:
    """Fuses a frame with what was known before.

    Args:
        memory: From the frame before.
        glance: What the model says of this frame.

    Returns:
        The first frame, and one after a cut, unchanged bit for bit; likewise one that is equal to the frame
        before.
    """
    coarse, frame = glance.coarse, glance.frame
    height, width = frame.content
    seen = photos.to_srgb(glance.photo, frame.content)
    alpha = coarse.alpha[:height, :width]
    doubt = UNKNOWN if coarse.uncertainty is None else coarse.uncertainty[:height, :width]
    variance = np.broadcast_to(doubt * doubt + FLOOR, alpha.shape).astype(np.float32)
    presence = glance.guidance.presence if coarse.presence is None else coarse.presence
    fresh = Memory(seen, alpha, variance, presence)
    if (
        memory.seen is None
        or memory.alpha is None
        or memory.variance is None
        or memory.seen.shape != seen.shape
    ):
        return Steadied(glance, fresh, False)
    motion, trust = _carried(seen, memory.seen)
    share = float(trust.mean())
    if share < CUT:
        return Steadied(glance, fresh, True)
    before = (followed(memory.variance, motion) + AGEING) / np.square(np.maximum(trust, np.float32(1e-3)))
    weight = variance / (variance + before)
    # Differences, not sums: where both frames say the same, that is the answer to the last bit.
    fused = alpha + weight * (followed(memory.alpha, motion) - alpha)
    left = np.maximum(before * weight, variance / OLDEST)
    settled = presence + float(SETTLING) * share * (memory.presence - presence)
    answer = replace(glance, coarse=_laid(coarse, fused, height, width, settled))
    return Steadied(answer, Memory(seen, fused, left, settled), False)


def _carried(now: Float32, before: Float32) -> tuple[Float32, Float32]:
    """Where each pixel was a frame ago, and how much it looks as it did, in [0, 1]."""
    height, width = now.shape[:2]
    half = max(1, -(-height // 2)), max(1, -(-width // 2))
    small = (np.ascontiguousarray(resampling.area(each, half).mean(axis=-1)) for each in (now, before))
    scale = np.array([height / half[0], width / half[1]], np.float32)[:, None, None]
    motion = enlarged(flow(*small), (height, width)) * scale
    off = np.abs(followed(before, motion) - now).mean(axis=-1)
    off = box(off, 2) / box(np.ones_like(off), 2)
    trust: Float32 = np.exp(-np.square(off / LIKE)).astype(np.float32)
    return motion.astype(np.float32), trust


def _laid(coarse: Coarse, alpha: Float32, height: int, width: int, presence: float) -> Coarse:
    """A coarse answer with another alpha where the photo is."""
    whole = coarse.alpha.copy()
    whole[:height, :width] = alpha
    return replace(coarse, alpha=whole, presence=presence)
