"""The variant of table 7: no references, a trimap beside the colours of every picture."""

from __future__ import annotations

import numpy as np

from mattelike.errors import UsageError
from mattelike.models.sd21_model import MAPS, IconModel
from mattelike.values import Float32, Guidance


def matte(model: IconModel, rgb: Float32, trimap: Float32) -> Float32:
    """Alpha of one picture from its trimap.

    Args:
        model: With ``image_channels=4``; trained without references (``inter=False, intra=False``).
        rgb: float32 ``(h, w, 3)`` in [0, 1], sRGB.
        trimap: float32 ``(h, w)`` in {0, 0.5, 1}.

    Returns:
        float32 ``(h, w)`` in [0, 1]; what the trimap is sure of stays so.

    Raises:
        UsageError: A trimap of another size, or a model that takes none.
    """
    if trimap.shape != rgb.shape[:2]:
        raise UsageError(f"the trimap is {trimap.shape}, its picture {rgb.shape[:2]}")
    both = np.concatenate([rgb * 2 - 1, trimap[..., None]], axis=2).transpose(2, 0, 1)[None]
    images = np.ascontiguousarray(both, np.float32)
    features = model.features(images, "target")
    grid = features.tokens.shape[-2:]
    nowhere = np.zeros(grid, np.float32)
    guidance = Guidance(np.zeros((len(MAPS), *grid), np.float32), MAPS, nowhere, nowhere, 0.0)
    alpha = model.alpha(images, features, guidance).alpha
    known: Float32 = np.where(trimap == 0.5, alpha, trimap).astype(np.float32)
    return known
