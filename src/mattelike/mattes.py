"""A matte: the answer for one photo, and everything that can be made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from mattelike import components, photos
from mattelike.errors import SettingsError, UsageError
from mattelike.foreground import composite, foreground, premultiply
from mattelike.framing import Window
from mattelike.refinement import trimap
from mattelike.values import Bool, Float32, Guidance, Photo, Pixels

Status = Literal["present", "unsure", "absent"]
Emit = Literal[
    "cutout", "alpha", "foreground", "premultiplied", "composite", "trimap", "uncertainty", "only-mask"
]
EMITS: tuple[Emit, ...] = (
    "cutout",
    "alpha",
    "foreground",
    "premultiplied",
    "composite",
    "trimap",
    "uncertainty",
)
Background: TypeAlias = "Sequence[int] | Photo"

# Parts of an alpha below this share of its largest part are crumbs, not instances.
SMALLEST_INSTANCE = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Matte:
    """Alpha of the marked kind in one photo.

    Attributes:
        photo: The photo, at its own size, depth and colour space.
        alpha: float32 ``(h, w)`` in [0, 1] at the photo's own size. What the model and the refinement found:
            never zeroed because the kind seems absent, never stretched to its own extremes.
        presence: Is the kind in this photo at all? In [0, 1].
        status: `presence` in words, by the model's calibration.
        guidance: Where the kind was found before any head looked, at the model's grid.
        uncertainty: float32 ``(h, w)``, expected absolute error of alpha; None when the model has none.
        notes: What is worth knowing, one sentence each.
        hidden: Whether the cut-out keeps the photo's colours under alpha 0.
    """

    photo: Photo
    alpha: Float32
    presence: float
    status: Status
    guidance: Guidance
    uncertainty: Float32 | None = None
    notes: tuple[str, ...] = field(default=())
    hidden: bool = False

    def foreground(self) -> Pixels:
        """Colours of the thing alone (F of equation 1): ``(h, w, 3)``, the photo's depth, straight."""
        return foreground(self.photo.pixels, self.alpha, keep_hidden=self.hidden)

    def cutout(self) -> Pixels:
        """The thing cut out: ``(h, w, 4)``, the photo's depth, straight alpha, no fringe of the background.

        Laid over any colour it is the true composite within one level.
        """
        colours = self.foreground()
        top = np.iinfo(colours.dtype).max
        levels = np.floor(self.alpha * np.float32(top) + np.float32(0.5)).astype(colours.dtype)
        return np.dstack([colours, levels])

    def premultiplied(self) -> Pixels:
        """Colours times alpha: ``(h, w, 3)``, the photo's depth."""
        return premultiply(self.foreground(), self.alpha)

    def composite(self, background: Background = (255, 255, 255)) -> Pixels:
        """The thing on another background: ``(h, w, 3)``, opaque.

        Args:
            background: Three levels of 0 to 255, or a photo, which is scaled to cover.
        """
        if isinstance(background, Photo):
            behind = photos.covering(background, self.photo)
            return composite(self.foreground(), self.alpha, behind)
        scale = np.iinfo(self.photo.pixels.dtype).max // 255
        return composite(self.foreground(), self.alpha, [level * scale for level in background])

    def trimap(self) -> Float32:
        """float32 ``(h, w)`` in {0, 0.5, 1}: background, unknown, foreground."""
        return trimap(self.alpha)

    def instances(self) -> list[Matte]:
        """One matte for each separate thing, the largest first; crumbs stay with nobody."""
        labels, count = components.label(self.alpha > 0.5)
        if count == 0:
            return []
        areas = components.sizes(labels, count)
        order = [
            int(i) for i in np.argsort(-areas, kind="stable") if areas[i] >= SMALLEST_INSTANCE * areas.max()
        ]
        return [replace(self, alpha=self._belonging(labels, index + 1)) for index in order]

    def largest(self) -> Matte:
        """Only the largest thing; this matte itself when there is none."""
        found = self.instances()
        return found[0] if found else self

    def _belonging(self, labels: components.Labels, number: int) -> Float32:
        """Alpha of one part, with its soft edge: pixels nearer to another part are not its own."""
        own = _grown(labels == number)
        others = _grown((labels > 0) & (labels != number))
        alpha: Float32 = np.where(own & ~(others & (labels != number)), self.alpha, np.float32(0))
        return alpha

    def window(self, margin: float = 0.0) -> Window | None:
        """The rectangle around all that is not transparent.

        Args:
            margin: Added on each side, as a share of the longer side of the rectangle.

        Returns:
            The window, or None when nothing is opaque.
        """
        rows = np.flatnonzero((self.alpha > 1 / 510).any(axis=1))
        columns = np.flatnonzero((self.alpha > 1 / 510).any(axis=0))
        if rows.size == 0:
            return None
        top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        extra = round(margin * max(bottom - top, right - left))
        height, width = self.alpha.shape
        return Window(
            max(0, int(top) - extra),
            max(0, int(left) - extra),
            min(height, int(bottom) + extra),
            min(width, int(right) + extra),
        )

    def crop(self, margin: float = 0.0) -> Matte:
        """Photo and alpha cut to the thing plus a margin; unchanged when nothing is opaque."""
        window = self.window(margin)
        if window is None:
            return self
        at = window.slices
        photo = replace(
            self.photo,
            pixels=cut(self.photo.pixels, window),
            alpha=None if self.photo.alpha is None else cut(self.photo.alpha, window),
        )
        uncertainty = None if self.uncertainty is None else np.ascontiguousarray(self.uncertainty[at])
        return replace(self, photo=photo, alpha=np.ascontiguousarray(self.alpha[at]), uncertainty=uncertainty)

    def save(
        self,
        path: str | Path,
        emit: Emit = "cutout",
        *,
        background: Background | None = None,
        strip: bool = False,
        note: str | None = None,
    ) -> None:
        """Writes one picture of it, whole or not at all; format by suffix.

        Profile, EXIF, XMP, resolution and depth of the photo are kept.

        Args:
            path: Where to.
            emit: Which picture.
            background: For ``composite``: a colour or a photo; white by default.
            strip: Leave metadata out (the profile stays, colours would be wrong without it).
            note: Text to store in a PNG.

        Raises:
            OutputError: It cannot be written there, or the format cannot hold it.
        """
        if emit == "cutout":
            photos.write_cutout(path, self.foreground(), self.alpha, photo=self.photo, strip=strip, note=note)
        elif emit == "alpha":
            photos.write_alpha(path, self.alpha, photo=self.photo, depth=self.photo.depth, strip=strip)
        elif emit == "trimap":
            photos.write_alpha(path, self.trimap(), photo=self.photo, depth=8, strip=strip)
        elif emit == "uncertainty":
            if self.uncertainty is None:
                raise UsageError("this model gives no uncertainty; leave it out of --emit")
            photos.write_alpha(path, self.uncertainty, photo=self.photo, depth=8, strip=strip)
        elif emit == "foreground":
            photos.write_rgb(path, self.foreground(), self.photo, strip=strip)
        elif emit == "premultiplied":
            photos.write_cutout(
                path, self.premultiplied(), self.alpha, photo=self.photo, strip=strip, premultiplied=True
            )
        elif emit == "composite":
            photos.write_rgb(path, self.composite(background or (255, 255, 255)), self.photo, strip=strip)
        else:
            raise SettingsError(f"nothing to emit is called {emit!r}; there are: {', '.join(EMITS)}")


def _grown(mask: Bool, steps: int = 12) -> Bool:
    """A mask widened by `steps` pixels in a square: room for the soft edge around it."""
    rows = mask.copy()
    for shift in (2**i for i in range(4) if 2**i <= steps):
        wider = rows.copy()
        wider[shift:] |= rows[:-shift]
        wider[:-shift] |= rows[shift:]
        rows = wider
    for shift in (2**i for i in range(4) if 2**i <= steps):
        wider = rows.copy()
        wider[:, shift:] |= rows[:, :-shift]
        wider[:, :-shift] |= rows[:, shift:]
        rows = wider
    return rows


def cut(pixels: Pixels, window: Window) -> Pixels:
    """The part of a picture that lies in a window, on its own memory."""
    part: Pixels = pixels[window.slices].copy()
    return part


def status_of(presence: float, absent_below: float, present_from: float) -> Status:
    """Presence in words."""
    if presence < absent_below:
        return "absent"
    return "present" if presence >= present_from else "unsure"
