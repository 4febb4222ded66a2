"""What a method is given, in the forms other systems want it: regions, masks, boxes, clicks, trimaps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mattelike import photos, prompts
from mattelike.baselines import Hint, Reference, Trimap
from mattelike.components import label, sizes
from mattelike.errors import PromptError
from mattelike.figures import levels
from mattelike.refinement.trimaps import widened
from mattelike.values import Bool, Float32, Photo, RoI

Box = tuple[int, int, int, int]
"""Top, left, bottom, right; half open, as `mattelike.components.bounds` gives them."""

# Positions handed to systems that take clicks, where a whole mask or scribble was given.
CLICKS = 5


def pixels(photo: Photo) -> NDArray[np.uint8]:
    """A photo as other systems read it: uint8 ``(h, w, 3)`` sRGB."""
    return levels(photos.to_srgb(photo))


def region(photo: Photo, hint: Hint) -> RoI:
    """What is marked, at the photo's size; of a trimap its sure parts.

    Raises:
        PromptError: A mark that means nothing on this photo, or a trimap of another size.
    """
    if isinstance(hint, Trimap):
        levels_of(photo, hint)
        return RoI(hint.levels == 1, hint.levels == 0, "mask")
    return prompts.resolve(hint, photo, photos.read)


def levels_of(photo: Photo, hint: Hint) -> Float32:
    """The levels of a trimap.

    Raises:
        PromptError: Not a trimap, or of another size.
    """
    if not isinstance(hint, Trimap):
        raise PromptError(f"this method needs a trimap of {photo.name or 'the photo'}, not a mark")
    if hint.levels.shape != (photo.height, photo.width):
        height, width = hint.levels.shape
        raise PromptError(
            f"the trimap has {width} x {height} pixels, {photo.name or 'its photo'} "
            f"{photo.width} x {photo.height}"
        )
    return hint.levels


def one(references: list[Reference] | tuple[Reference, ...]) -> Reference:
    """The one photo that carries its own mark.

    Raises:
        PromptError: None or several.
    """
    if len(references) != 1:
        raise PromptError(f"this method is given one marked photo at a time, not {len(references)}")
    return references[0]


def own_region(references: Sequence[Reference]) -> RoI:
    """What is marked on the one photo that carries its own mark.

    Raises:
        PromptError: Not one marked photo; or as `region`.
    """
    return region(*one(list(references)))


def own_trimap(references: Sequence[Reference]) -> Float32:
    """The levels of the one photo's own trimap.

    Raises:
        PromptError: Not one photo with a trimap of its size.
    """
    return levels_of(*one(list(references)))


def largest(mask: Bool) -> Bool:
    """The largest connected part."""
    labels, count = label(mask)
    if count < 2:
        return mask
    kept: Bool = labels == 1 + int(np.argmax(sizes(labels, count)))
    return kept


def clicks(marked: Bool, count: int = CLICKS) -> NDArray[np.intp]:
    """Positions ``[row, column]`` ``(n, 2)`` that stand for a mark: the innermost first, then far ones.

    Each next one is the farthest from those before, among pixels that lie well inside.
    """
    inside = marked
    while True:
        smaller = ~widened(~inside, 1)
        if int(smaller.sum()) < max(1, int(marked.sum()) // 3):
            break
        inside = smaller
    places = np.argwhere(inside)
    middle = places.mean(axis=0) if len(places) else np.zeros(2)
    chosen = [int(np.square(places - middle).sum(axis=1).argmin())] if len(places) else []
    while chosen and len(chosen) < min(count, len(places)):
        away = np.min([np.square(places - places[i]).sum(axis=1) for i in chosen], axis=0)
        chosen.append(int(away.argmax()))
    found: NDArray[np.intp] = places[chosen].astype(np.intp).reshape(-1, 2)
    return found


def pseudo_trimap(mask: Bool, erode: int, dilate: int) -> Float32:
    """A trimap from a hard mask by morphology with squares (specification 8.1).

    Args:
        mask: bool ``(h, w)``.
        erode: Pixels of the unknown band inside the mask.
        dilate: Pixels of it outside.

    Returns:
        float32 ``(h, w)`` in {0, 0.5, 1}. A thing thinner than the band has no sure foreground.
    """
    inner = ~widened(~mask, erode)
    outer = widened(mask, dilate)
    return np.where(inner, np.float32(1), np.where(outer, np.float32(0.5), np.float32(0)))
