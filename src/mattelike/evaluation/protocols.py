"""How a benchmark is asked and measured: geometry, region, marks, references, rounds.

* ``icm-768``: the release's geometry (3.1), the centre square scaled to 768 x 768, in pictures and truth
  alike, and metrics there. The release draws the interpolation by chance; here it is always areas where it
  shrinks and bilinear where it grows, so that numbers repeat.
* ``native``: pictures at their own size, whatever a method does inside; metrics at that size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from mattelike.errors import SettingsError
from mattelike.evaluation.marks import FORMS, Form
from mattelike.metrics.connectivity import Variant
from mattelike.refinement import trimap
from mattelike.resampling import resize
from mattelike.values import Bool, Float32, Photo, Pixels

MEASURED = ("sad", "mse", "mad", "grad", "conn", "iou", "boundary_iou")


@dataclass(frozen=True, slots=True)
class Protocol:
    """How to ask and measure.

    Attributes:
        name: For reports.
        side: Of the square that pictures and truths are brought to; None leaves them as they are.
        region: Whether metrics count all pixels, or those a trimap leaves unknown (D22).
        conn: Which component connectivity follows (D25).
        form: How references, or pictures themselves, are marked.
        references: References a question has, where the group has so many.
        own: Every picture is its own reference, with its own mark (Table 4, "Ours*").
        choices: Choices of reference: the first is the fixed one, the others show the spread.
        rounds: Rounds that differ in where a simulated hand went; one where nothing is left to chance.
        seed: Of all chance.
        trimap_radius: Half-width of the unknown band where no trimap is given, in pixels (D31).
        depth: Bits alpha and truth are rounded to before they are measured, as files; 0 measures floats.
    """

    name: str = "native"
    side: int | None = None
    region: Literal["all", "unknown"] = "all"
    conn: Variant = "standard"
    form: Form = "mask"
    references: int = 1
    own: bool = False
    choices: int = 1
    rounds: int = 3
    seed: int = 0
    trimap_radius: int = 10
    depth: Literal[0, 8] = 8

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise SettingsError(f"no mark has the form {self.form!r}; there are: {', '.join(FORMS)}")
        if min(self.references, self.choices, self.rounds) < 1:
            raise SettingsError("references, choices and rounds start at 1")

    def table(self) -> Mapping[str, Any]:
        """All of it, for reports and fingerprints."""
        return asdict(self)


PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {"native": Protocol(), "icm-768": Protocol("icm-768", side=768)}
)


def named(name: str, **changes: Any) -> Protocol:
    """A protocol with changes.

    Raises:
        SettingsError: No such protocol, or a value it cannot take.
    """
    if name not in PROTOCOLS:
        raise SettingsError(f"no protocol is called {name!r}; there are: {', '.join(PROTOCOLS)}")
    return replace(PROTOCOLS[name], **changes)


def framed(photo: Photo, side: int | None) -> Photo:
    """A photo as the protocol shows it."""
    if side is None:
        return photo
    top = np.iinfo(photo.pixels.dtype).max
    seen = np.floor(np.clip(squared(photo.pixels, side), 0, top) + 0.5)
    pixels: Pixels = seen.astype(photo.pixels.dtype)
    return replace(photo, pixels=pixels, alpha=None)


def squared(values: Float32 | Pixels, side: int | None) -> Float32:
    """The centre square of a picture or map, scaled to `side`; all of it, in float32, for None."""
    if side is None:
        return values.astype(np.float32)
    height, width = values.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    return resize(values[top : top + short, left : left + short], (side, side))


def unknown(alpha: Float32, radius: int) -> Float32:
    """A trimap {0, 0.5, 1} of a truth; unknown is what is partly the thing or an edge, `radius` wider."""
    return trimap(alpha, radius=radius, floor=0.0, ceiling=1.0)


def region_of(levels: Float32) -> Bool:
    """Pixels a trimap leaves unknown."""
    found: Bool = levels == np.float32(0.5)
    return found
