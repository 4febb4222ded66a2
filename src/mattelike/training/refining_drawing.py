"""Things with fine edges, drawn: fur, long hair, foliage, nets, glass, things in motion; alpha is exact.

All is drawn `OVERSAMPLED` times as large, hard, and averaged down: what a pixel covers in part it covers
exactly. Colours come from a photo, so that strands look like what they grow on. Randomness comes from one
generator: a drawing depends on its seed and its photo alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mattelike import resampling
from mattelike.values import Float32

OVERSAMPLED = 3
SIDE = 352

Numbers = NDArray[np.float64]


@dataclass(slots=True, eq=False)
class Canvas:
    """What is being drawn, `OVERSAMPLED` times as large.

    Attributes:
        texture: float32 ``(n, n, 3)``, the photo that colours come from.
        colour: float32 ``(n, n, 3)``.
        covered: bool ``(n, n)``.
    """

    texture: Float32
    colour: Float32 = field(init=False)
    covered: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        self.colour = self.texture.copy()
        self.covered = np.zeros(self.texture.shape[:2], np.bool_)

    @property
    def side(self) -> int:
        """Rows and columns."""
        return int(self.covered.shape[0])

    def paint(self, rows: Numbers, columns: Numbers, colours: Float32) -> None:
        """Fills the cells at positions with colours ``(..., 3)``; what lies outside is left out."""
        r, c = np.broadcast_arrays(rows.astype(np.intp), columns.astype(np.intp))
        inside = (rows >= 0) & (r < self.side) & (columns >= 0) & (c < self.side)
        at = r[inside] * self.side + c[inside]
        self.covered.reshape(-1)[at] = True
        self.colour.reshape(-1, 3)[at] = np.broadcast_to(colours, (*inside.shape, 3))[inside]

    def sampled(self, rows: Numbers, columns: Numbers) -> Float32:
        """Colours of the photo at positions, clipped to it: ``(n, 3)``."""
        last = self.side - 1
        r, c = (np.clip(at, 0, last).astype(np.intp) for at in (rows, columns))
        colours: Float32 = self.texture[r, c]
        return colours

    def rgba(self) -> Float32:
        """float32 ``(s, s, 4)``, straight: colours of covered cells alone, averaged, and their share."""
        side = self.side // OVERSAMPLED
        both = np.dstack([self.colour * self.covered[..., None], self.covered])
        small = resampling.area(both.astype(np.float32), (side, side))
        small[..., :3] /= np.maximum(small[..., 3:], 1e-6)
        return small


# --- shapes ------------------------------------------------------------------------------------------


def smooth(rng: np.random.Generator, side: int, cells: int) -> Float32:
    """A smooth random field ``(side, side)``, normal, about `cells` hills along each side."""
    coarse = rng.standard_normal((cells + 1, cells + 1)).astype(np.float32)
    fine = resampling.resize(resampling.resize(coarse, (4 * cells, 4 * cells)), (side, side))
    return fine


def outline(rng: np.random.Generator, side: int) -> tuple[Numbers, Numbers, NDArray[np.bool_]]:
    """A round or lobed body: its centre ``(2,)``, its radius at 360 angles, and what lies inside."""
    centre = side * rng.uniform(0.35, 0.65, 2)
    radius = np.full(360, side * rng.uniform(0.14, 0.36))
    angles = np.deg2rad(np.arange(360))
    for waves in range(1, 7):
        radius *= 1 + rng.normal(0, 0.12 / waves) * np.cos(waves * angles + rng.uniform(0, 2 * np.pi))
    rows, columns = np.mgrid[:side, :side]
    down, across = rows - centre[0], columns - centre[1]
    turn = np.rad2deg(np.arctan2(down, across)).astype(np.intp) % 360
    inside = np.hypot(down, across) < radius[turn]
    return centre, radius, inside


def strands(
    canvas: Canvas,
    rng: np.random.Generator,
    roots: Numbers,
    angles: Numbers,
    lengths: Numbers,
    widths: Numbers,
    *,
    curl: float,
    shade: float = 0.25,
) -> None:
    """Tapering curved lines, each in the colour of the photo near its root.

    Args:
        canvas: Where to.
        rng: Source of chance.
        roots: ``(n, 2)``, rows and columns.
        angles: ``(n,)``, direction at the root.
        lengths: ``(n,)``, in cells of the canvas.
        widths: ``(n,)``, at the root, in cells.
        curl: Standard deviation of the whole turn of a strand, in radians.
        shade: How much brightness differs from strand to strand.
    """
    count = len(roots)
    steps = max(2, math.ceil(float(lengths.max()) * 1.3))
    along = np.linspace(0, 1, steps)
    bend = rng.normal(0, curl, (count, 1)) * along + rng.normal(0, curl / 3, (count, 1)) * np.sin(
        rng.uniform(2, 9, (count, 1)) * along + rng.uniform(0, 6, (count, 1))
    )
    heading = angles[:, None] + bend
    stride = lengths[:, None] / steps
    rows = roots[:, :1] + np.cumsum(np.sin(heading) * stride, axis=1)
    columns = roots[:, 1:] + np.cumsum(np.cos(heading) * stride, axis=1)
    base = canvas.sampled(roots[:, 0], roots[:, 1])
    base = base * np.exp(rng.normal(0, shade, (count, 1)).astype(np.float32))
    colours = np.clip(base[:, None] * (0.85 + 0.3 * along[None, :, None].astype(np.float32)), 0, 1)
    half = widths[:, None] / 2 * (1 - along) ** rng.uniform(0.3, 1.0)
    reach = math.floor(float(widths.max()) / 2)
    for offset in sorted(range(-reach, reach + 1), key=abs, reverse=True):
        wide = np.abs(offset) <= half if offset else np.ones_like(half, np.bool_)
        down, across = rows + offset * np.cos(heading), columns - offset * np.sin(heading)
        canvas.paint(down[wide], across[wide], colours[wide])


# --- things ------------------------------------------------------------------------------------------


def fur(canvas: Canvas, rng: np.random.Generator) -> None:
    """A body with hair all round: fur, plush, a head with short or long hair, a dandelion."""
    centre, radius, inside = outline(rng, canvas.side)
    canvas.covered |= inside
    count = int(rng.integers(150, 2200))
    turn = rng.uniform(0, 2 * np.pi, count)
    if rng.random() < 0.3:  # only part of the outline carries hair
        turn = rng.normal(rng.uniform(0, 2 * np.pi), rng.uniform(0.4, 1.2), count)
    out = radius[np.rad2deg(turn).astype(np.intp) % 360] * rng.uniform(0.8, 1.0, count)
    roots = np.stack([centre[0] + out * np.sin(turn), centre[1] + out * np.cos(turn)], axis=1)
    combed = rng.normal(0, rng.uniform(0, 0.9)) + rng.normal(0, rng.uniform(0.05, 0.5), count)
    length = OVERSAMPLED * math.exp(rng.uniform(math.log(6), math.log(90)))
    lengths = length * np.exp(rng.normal(0, 0.4, count))
    lengths = np.minimum(lengths, canvas.side / 2)
    widths = OVERSAMPLED * math.exp(rng.uniform(math.log(0.3), math.log(2.5))) * rng.uniform(0.6, 1.2, count)
    strands(canvas, rng, roots, turn + combed, lengths, widths, curl=rng.uniform(0.1, 1.6))


def locks(canvas: Canvas, rng: np.random.Generator) -> None:
    """Long hair in tufts, falling or flying, with single hairs beside them."""
    side = canvas.side
    tufts = int(rng.integers(4, 22))
    lean = rng.uniform(0, 2 * np.pi)
    spots = side * rng.uniform(0.15, 0.85, (tufts, 2))
    each = int(rng.integers(20, 120))
    roots = np.repeat(spots, each, axis=0) + rng.normal(0, side * rng.uniform(0.004, 0.03), (tufts * each, 2))
    angles = lean + np.repeat(rng.normal(0, 0.4, tufts), each) + rng.normal(0, 0.12, tufts * each)
    lengths = OVERSAMPLED * rng.uniform(30, 150) * np.exp(rng.normal(0, 0.3, tufts * each))
    widths = OVERSAMPLED * rng.uniform(0.3, 1.4, tufts * each)
    lengths = np.minimum(lengths, canvas.side / 1.5)
    strands(canvas, rng, roots, angles, lengths, widths, curl=rng.uniform(0.2, 1.2), shade=0.15)


def foliage(canvas: Canvas, rng: np.random.Generator) -> None:
    """Branches with leaves, needles or blades of grass."""
    side = canvas.side
    count = int(rng.integers(2, 9))
    roots = np.stack([side * rng.uniform(0.5, 1.0, count), side * rng.uniform(0.2, 0.8, count)], axis=1)
    angles = rng.normal(-np.pi / 2, 0.5, count)
    lengths = side * rng.uniform(0.3, 0.8, count)
    widths = OVERSAMPLED * rng.uniform(1, 5, count)
    strands(canvas, rng, roots, angles, lengths, widths, curl=0.5)
    leaves = int(rng.integers(25, 160))
    branch = rng.integers(0, count, leaves)
    up = rng.uniform(0.15, 1, leaves) * lengths[branch]
    rows = roots[branch, 0] + up * np.sin(angles[branch]) + rng.normal(0, 0.03 * side, leaves)
    columns = roots[branch, 1] + up * np.cos(angles[branch]) + rng.normal(0, 0.05 * side, leaves)
    length = OVERSAMPLED * math.exp(rng.uniform(math.log(7), math.log(45)))
    slim = rng.uniform(0.06, 0.4)
    along, over = np.meshgrid(np.linspace(0, 1, math.ceil(1.5 * length)), np.linspace(-1, 1, 41))
    breadth = slim * over * np.sin(np.pi * along)
    for row, column in zip(rows, columns, strict=True):
        turn, size = rng.uniform(0, 2 * np.pi), length * math.exp(rng.normal(0, 0.25))
        down = row + size * (along * math.sin(turn) + breadth * math.cos(turn))
        across = column + size * (along * math.cos(turn) - breadth * math.sin(turn))
        tone = canvas.sampled(np.array([row]), np.array([column]))[0] * math.exp(rng.normal(0, 0.2))
        ribs = (1 - 0.15 * np.abs(over) + 0.1 * (np.abs(over) < 0.05))[..., None].astype(np.float32)
        canvas.paint(down, across, np.clip(tone * ribs, 0, 1).astype(np.float32))


def net(canvas: Canvas, rng: np.random.Generator) -> None:
    """A net, a lattice, a fence or loose threads, bent; now and then with a solid rim."""
    side = canvas.side
    turn = rng.uniform(0, np.pi)
    spacing = OVERSAMPLED * math.exp(rng.uniform(math.log(6), math.log(40)))
    width = OVERSAMPLED * math.exp(rng.uniform(math.log(0.5), math.log(3.5)))
    bend = [smooth(rng, 64, 3) * rng.uniform(0, 0.08) * side for _ in range(2)]
    for angle in (turn, turn + rng.uniform(0.6, 1.6)):
        offsets = np.arange(-side, side, spacing) + rng.normal(0, 0.05 * spacing)
        along = np.arange(-0.75 * side, 0.75 * side, 0.6)
        down = side / 2 + offsets[:, None] * math.cos(angle) + along * math.sin(angle)
        across = side / 2 - offsets[:, None] * math.sin(angle) + along * math.cos(angle)
        r, c = (np.clip(v / side * 64, 0, 63).astype(np.intp) for v in (down, across))
        down, across = down + bend[0][r, c], across + bend[1][r, c]
        tone = canvas.sampled(down, across)
        for offset in np.arange(-width / 2, width / 2 + 0.01, 0.7):
            canvas.paint(down + offset * math.cos(angle), across - offset * math.sin(angle), tone)
    _, _, inside = outline(rng, side)
    canvas.covered &= inside
    if rng.random() < 0.5:
        _, _, solid = outline(rng, side)
        canvas.covered |= solid & ~inside if rng.random() < 0.5 else solid


def holes(canvas: Canvas, rng: np.random.Generator) -> None:
    """A hard, lobed thing with holes in it: baskets, handles, lace."""
    _, _, inside = outline(rng, canvas.side)
    field_ = smooth(rng, canvas.side, int(rng.integers(4, 30)))
    canvas.covered |= inside & (field_ > rng.uniform(-0.6, 0.3))


Draw = Callable[[Canvas, np.random.Generator], None]
DRAWINGS: tuple[tuple[Draw, float], ...] = (
    (fur, 0.42),
    (locks, 0.16),
    (foliage, 0.16),
    (net, 0.14),
    (holes, 0.12),
)
"""What may be drawn, and its share."""

GLASS_SHARE, MOTION_SHARE = 0.1, 0.12


def sort_of_drawing(rng: np.random.Generator) -> Draw | None:
    """What to draw, by chance; None for glass."""
    if rng.random() < GLASS_SHARE:
        return None
    shares = np.array([share for _, share in DRAWINGS])
    return DRAWINGS[int(rng.choice(len(shares), p=shares / shares.sum()))][0]


def drawn(texture: Float32, rng: np.random.Generator) -> Float32:
    """One thing with exact alpha, of whatever sort.

    Args:
        texture: float32 ``(s, s, 3)`` in [0, 1], at least `SIDE` pixels a side; where colours come from.
        rng: Source of chance.

    Returns:
        float32 ``(SIDE, SIDE, 4)`` in [0, 1], straight.
    """
    return drawn_as(sort_of_drawing(rng), texture, rng)


def drawn_as(sort: Draw | None, texture: Float32, rng: np.random.Generator) -> Float32:
    """`drawn`, of one sort; None for glass."""
    if sort is None:
        return glass(texture[:SIDE, :SIDE], rng)
    large = np.repeat(np.repeat(texture[:SIDE, :SIDE], OVERSAMPLED, axis=0), OVERSAMPLED, axis=1)
    canvas = Canvas(large)
    sort(canvas, rng)
    found = canvas.rgba()
    return in_motion(found, rng) if rng.random() < MOTION_SHARE else found


def glass(texture: Float32, rng: np.random.Generator) -> Float32:
    """Something one sees through: a rim that is almost solid, a clear inside with smears and lights."""
    _, _, inside = outline(rng, SIDE * OVERSAMPLED)
    shape = resampling.area(inside, (SIDE, SIDE))
    thin = rng.uniform(0.08, 0.6)
    smear = 1 / (1 + np.exp(-2.5 * smooth(rng, SIDE, int(rng.integers(2, 9))) - rng.uniform(-2, 2)))
    rim = shape - resampling.resize(resampling.area(shape, (SIDE // 8, SIDE // 8)), (SIDE, SIDE)) ** 2
    body = thin + (1 - thin) * np.maximum(smear * rng.uniform(0.2, 1), np.clip(3 * rim, 0, 1))
    alpha = np.clip(shape * body, 0, 1)
    tint = texture.mean(axis=(0, 1)) * rng.uniform(0.4, 1.6)
    colour = np.clip(0.6 * tint + 0.4 * texture + 0.5 * smear[..., None] * rng.uniform(0, 1), 0, 1)
    return np.dstack([colour, alpha]).astype(np.float32)


def in_motion(rgba: Float32, rng: np.random.Generator) -> Float32:
    """The thing moved while the shutter was open: mean of shifted copies, premultiplied."""
    length, turn = rng.uniform(3, 16), rng.uniform(0, np.pi)
    weighted = np.dstack([rgba[..., :3] * rgba[..., 3:], rgba[..., 3]])
    shifts = {
        (round(at * math.sin(turn)), round(at * math.cos(turn)))
        for at in np.linspace(-length / 2, length / 2, math.ceil(length))
    }
    total = sum(np.roll(weighted, shift, axis=(0, 1)) for shift in sorted(shifts))
    mean: Float32 = (np.asarray(total) / len(shifts)).astype(np.float32)
    mean[..., :3] /= np.maximum(mean[..., 3:], 1e-6)
    return mean
