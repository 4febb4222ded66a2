"""A matte: the answer for one photo, and everything that can be made of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mattelike import components, photos
from mattelike.errors import SettingsError, UsageError
from mattelike.foreground import composite, foreground, premultiply
from mattelike.framing import Window
from mattelike.refinement import trimap
from mattelike.values import Float32, Guidance, Photo, Pixels

Status = Literal["present", "unsure", "absent"]
Emit = Literal["cutout", "alpha", "foreground", "premultiplied", "composite", "trimap", "uncertainty"]
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

# How far from a thing a loose piece may lie and still be its own: a share of the photo's longer side, at
# least so many pixels.
NEAR = 0.03
NEAREST = 16

# The least alpha that 8 bits tell from 0.
VISIBLE = np.float32(1 / 510)


@dataclass(frozen=True, slots=True, eq=False)
class Matte:
    """Alpha of the marked kind in one photo, and every picture that can be made of it.

    ::

        matte = predictor.matte("target.jpg", context)
        matte.alpha, matte.presence, matte.status
        matte.save("target.png")                        # the cut-out
        matte.save("target.matte.png", "alpha")
        for number, thing in enumerate(matte.instances()):
            thing.crop(0.05).save(f"target.{number}.png")

    It is a value: no method changes it, those that shape it (`largest`, `instances`, `crop`) give new ones.
    Colours of the foreground are estimated each time a picture needs them and not kept, for they weigh as
    much as the photo.

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
        settings: The model's effective settings, as JSON; empty when it has none.
    """

    photo: Photo
    alpha: Float32
    presence: float
    status: Status
    guidance: Guidance
    uncertainty: Float32 | None = None
    notes: tuple[str, ...] = field(default=())
    hidden: bool = False
    settings: str = ""

    def foreground(self) -> Pixels:
        """Colours of the thing alone (F of equation 1): ``(h, w, 3)``, the photo's depth, straight.

        An alpha the photo came with says how much is there, not that its colours are mixed with a
        background: only what was found here counts as mixing.
        """
        mixing = self.alpha if self.photo.alpha is None else without(self.alpha, self.photo.alpha)
        return foreground(self.photo.pixels, mixing, keep_hidden=self.hidden)

    def cutout(self) -> Pixels:
        """The thing cut out: ``(h, w, 4)``, the photo's depth, straight alpha, no fringe of the background.

        Laid over any colour it is the true composite within one level.
        """
        colours = self.foreground()
        opacity: NDArray[Any] = photos.quantised(self.alpha, self.photo.depth)
        return np.dstack([colours, opacity])

    def premultiplied(self) -> Pixels:
        """Colours times alpha: ``(h, w, 3)``, the photo's depth."""
        return premultiply(self.foreground(), self.alpha)

    def composite(self, background: Background = (255, 255, 255)) -> Pixels:
        """The thing on another background: ``(h, w, 3)``, opaque.

        Args:
            background: Three levels of 0 to 255, whatever the photo's depth, or a photo, which is scaled
                to cover.

        Raises:
            SettingsError: A colour that is not three levels of 0 to 255.
        """
        if isinstance(background, Photo):
            behind = photos.covering(background, self.photo)
            return composite(self.foreground(), self.alpha, behind)
        if len(background) != 3 or not all(0 <= level <= 255 for level in background):
            raise SettingsError(f"a background colour is three levels of 0 to 255, not {background}")
        scale = np.iinfo(self.photo.pixels.dtype).max // 255
        return composite(self.foreground(), self.alpha, [level * scale for level in background])

    def trimap(self) -> Float32:
        """float32 ``(h, w)`` in {0, 0.5, 1}: background, unknown, foreground."""
        return trimap(self.alpha)

    def instances(self) -> list[Matte]:
        """One matte for each separate thing, the largest first, equal ones as one reads.

        A thing is a connected part that is more than half opaque and at least 2 % of the largest. What is
        around it is its own as far as it is nearer than any other thing, or hangs together with it: its soft
        edge, loose strands of its hair. No pixel is in two of them, and specks that lie apart are in none.

        Returns:
            Mattes at the size of the photo; empty when nothing is more than half opaque.
        """
        labels, count = components.label(self.alpha > 0.5)
        if count == 0:
            return []
        areas = components.sizes(labels, count)
        order = np.argsort(-areas, kind="stable")
        order = order[areas[order] >= SMALLEST_INSTANCE * areas.max()]
        names = np.zeros(count + 1, np.int32)
        names[order + 1] = np.arange(1, len(order) + 1)
        owners = components.spread(names[labels], rings=max(NEAREST, round(NEAR * max(labels.shape))))
        owners = components.spread(owners, self.alpha >= VISIBLE)
        return [
            replace(self, alpha=np.where(owners == number, self.alpha, np.float32(0)))
            for number in range(1, len(order) + 1)
        ]

    def largest(self) -> Matte:
        """Only the largest thing, as `instances` tells them apart; this matte itself when there is none."""
        found = self.instances()
        return found[0] if found else self

    def or_empty(self) -> Matte:
        """Alpha 0 everywhere if the kind is absent; this matte itself otherwise."""
        return replace(self, alpha=np.zeros_like(self.alpha)) if self.status == "absent" else self

    def window(self, margin: int | float = 0) -> Window | None:
        """The rectangle around all that 8 bits tell from nothing (alpha of at least 1/510).

        Args:
            margin: Added on each side, as a share of the longer side of the rectangle; cut off at the edge
                of the photo.

        Returns:
            The window, or None when everything is transparent.

        Raises:
            SettingsError: `margin` is negative or not a number.
        """
        if not (margin >= 0 and math.isfinite(margin)):
            raise SettingsError(f"a margin is a share of 0 or more of the thing's longer side, not {margin}")
        seen = components.bounds(self.alpha >= VISIBLE)
        if seen is None:
            return None
        top, left, bottom, right = seen
        extra = round(margin * max(bottom - top, right - left))
        height, width = self.alpha.shape
        return Window(
            max(0, top - extra), max(0, left - extra), min(height, bottom + extra), min(width, right + extra)
        )

    def crop(self, margin: int | float = 0) -> Matte:
        """Photo, alpha and uncertainty cut to the thing plus a margin; unchanged when all is transparent.

        `guidance` stays that of the whole photo.

        Args:
            margin: As for `window`.

        Raises:
            SettingsError: As `window`.
        """
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

        Profile, EXIF, XMP, resolution and depth of the photo are kept; the model's `settings` go along.

        Args:
            path: Where to.
            emit: Which picture.
            background: For ``composite``: a colour or a photo; white by default.
            strip: Leave metadata and settings out (the profile stays, colours would be wrong without it).
            note: Text to store in a PNG.

        Raises:
            OutputError: It cannot be written there.
            UsageError: The format cannot hold it, or this model gives no uncertainty.
            SettingsError: No picture of that name, or a background that is no colour.
        """
        along: dict[str, Any] = {"strip": strip, "note": note, "settings": self.settings}
        photo = self.photo
        if emit == "cutout":
            colours = self.foreground()
            photos.write_cutout(path, colours, self.alpha, photo=photo, keep_hidden=self.hidden, **along)
        elif emit == "alpha":
            photos.write_alpha(path, self.alpha, photo=photo, depth=photo.depth, **along)
        elif emit == "trimap":
            photos.write_alpha(path, self.trimap(), photo=photo, depth=8, **along)
        elif emit == "uncertainty":
            if self.uncertainty is None:
                raise UsageError("this model gives no uncertainty: write another picture of the matte")
            photos.write_alpha(path, self.uncertainty, photo=photo, depth=8, **along)
        elif emit == "foreground":
            photos.write_rgb(path, self.foreground(), photo, **along)
        elif emit == "premultiplied":
            colours = self.premultiplied()
            photos.write_cutout(path, colours, self.alpha, photo=photo, premultiplied=True, **along)
        elif emit == "composite":
            behind = (255, 255, 255) if background is None else background
            photos.write_rgb(path, self.composite(behind), photo, **along)
        else:
            raise SettingsError(f"nothing to emit is called {emit!r}; there are: {', '.join(EMITS)}")


def without(alpha: Float32, existing: Pixels) -> Float32:
    """Alpha with an alpha the photo came with divided out again; 0 where that is 0."""
    share = existing.astype(np.float32) / np.float32(np.iinfo(existing.dtype).max)
    result: Float32 = np.divide(alpha, share, out=np.zeros_like(alpha), where=share > 0)
    return np.minimum(result, 1)


def cut(pixels: Pixels, window: Window) -> Pixels:
    """The part of a picture that lies in a window, on its own memory."""
    part: Pixels = pixels[window.slices].copy()
    return part


def status_of(presence: float, absent_below: float, present_from: float) -> Status:
    """Presence in words."""
    if presence < absent_below:
        return "absent"
    return "present" if presence >= present_from else "unsure"
