"""Draws the pictures of README and documentation from the example photos, into ``docs/_static``.

    python recipes/readme_picture.py [--model embedded]

``result.jpg``, one row a group: the reference with its mark, then each other photo above what was cut out of
it. Nothing is retouched or chosen: all example photos are shown, with the marks that the demo uses.
``edges.jpg``, one row a photo, at 100 %: the part with most that is half transparent, its alpha, and over
white, black and green. Needs Pillow (group ``check``).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import mattelike as ml

ROOT = Path(__file__).parent.parent
PHOTOS = ROOT / "examples" / "photos"
STATIC = ROOT / "docs" / "_static"
# Photos whose edges are shown: the first three as they should be, then what goes wrong.
EDGES = ("chow/00", "chow/02", "sloth/04", "sloth/01", "vase/05", "chow/05")
CLOSE = 192
GROUNDS = ((255, 255, 255), (0, 0, 0), (0, 170, 70))
SIDE = 200
GAP = 6
POINTS = [(198, 225), (200, 140)]
BOX = (42, 66, 484, 452)
MARK = (255, 40, 90)
GROUPS: dict[str, tuple[str, ml.Points | ml.Box | ml.Mask]] = {
    "chow": ("01", ml.Box(*BOX)),
    "sloth": ("00", ml.Points(POINTS)),
    "vase": ("03", ml.Mask(ROOT / "examples" / "marks" / "vase.png")),
}


def marked(photo: Image.Image, mark: ml.Points | ml.Box | ml.Mask) -> Image.Image:
    """A reference with its mark drawn over it."""
    shown = photo.copy()
    draw = ImageDraw.Draw(shown)
    if isinstance(mark, ml.Mask):
        inside = Image.open(Path(str(mark.mask))).convert("L")
        shown = Image.composite(photo, Image.blend(photo, Image.new("RGB", photo.size, "white"), 0.7), inside)
    elif isinstance(mark, ml.Box):
        draw.rectangle(BOX, outline=MARK, width=5)
    else:
        for x, y in POINTS:
            draw.ellipse((x - 11, y - 11, x + 11, y + 11), fill=MARK, outline="white", width=3)
    return shown


def on_checkerboard(cutout: np.ndarray, cell: int = 24) -> Image.Image:
    """A cut-out over the pattern that means transparent."""
    rows, columns = np.indices(cutout.shape[:2]) // cell
    board = np.where((rows + columns) % 2, 204, 255).astype(np.uint8)
    below = Image.fromarray(np.dstack([board] * 3)).convert("RGBA")
    return Image.alpha_composite(below, Image.fromarray(cutout)).convert("RGB")


def tiles(predictor: ml.Predictor, group: str) -> Iterator[Sequence[Image.Image]]:
    """Columns of a group's row: above, what was given; below, what came out."""
    name, mark = GROUPS[group]
    reference = PHOTOS / group / f"{name}.jpg"
    context = predictor.encode(reference, mark)
    yield (marked(Image.open(reference).convert("RGB"), mark),)
    for path in sorted(set((PHOTOS / group).glob("*.jpg")) - {reference}):
        yield Image.open(path).convert("RGB"), on_checkerboard(predictor.matte(path, context).cutout())


def row(predictor: ml.Predictor, group: str) -> Image.Image:
    """One group: the reference at double size, then photo over result."""
    columns = list(tiles(predictor, group))
    wide = 2 * SIDE + GAP
    sheet = Image.new("RGB", (wide + (len(columns) - 1) * (SIDE + GAP), wide), "white")
    sheet.paste(columns[0][0].resize((wide, wide), Image.Resampling.LANCZOS), (0, 0))
    for number, column in enumerate(columns[1:]):
        for line, tile in enumerate(column):
            at = wide + GAP + number * (SIDE + GAP), line * (SIDE + GAP)
            sheet.paste(tile.resize((SIDE, SIDE), Image.Resampling.LANCZOS), at)
    return sheet


def finest(alpha: np.ndarray) -> tuple[slice, slice]:
    """The square of the photo with most that is neither thing nor ground."""
    partial = ((alpha > 0.05) & (alpha < 0.95)).astype(np.int64)
    sums = np.pad(partial.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    inside = sums[CLOSE:, CLOSE:] - sums[:-CLOSE, CLOSE:] - sums[CLOSE:, :-CLOSE] + sums[:-CLOSE, :-CLOSE]
    top, left = (int(at) for at in np.unravel_index(inside.argmax(), inside.shape))
    return slice(top, top + CLOSE), slice(left, left + CLOSE)


def close(predictor: ml.Predictor, contexts: dict[str, ml.Context], name: str) -> np.ndarray:
    """One row of ``edges.jpg``."""
    path = PHOTOS / f"{name}.jpg"
    matte = predictor.matte(path, contexts[path.parent.name])
    part = finest(matte.alpha)
    cutout = matte.cutout()[part].astype(np.float32)
    share = cutout[..., 3:] / 255
    shown = [np.asarray(Image.open(path).convert("RGB"))[part], np.repeat(share * 255, 3, axis=2)]
    shown += [cutout[..., :3] * share + np.array(ground) * (1 - share) for ground in GROUNDS]
    return np.concatenate([np.rint(tile).astype(np.uint8) for tile in shown], axis=1)


def result(predictor: ml.Predictor) -> Image.Image:
    """The picture of the README."""
    rows = [row(predictor, group) for group in GROUPS]
    height = sum(part.height for part in rows) + 2 * GAP * (len(rows) - 1)
    sheet = Image.new("RGB", (max(part.width for part in rows), height), "white")
    top = 0
    for part in rows:
        sheet.paste(part, (0, top))
        top += part.height + 2 * GAP
    return sheet


def edges(predictor: ml.Predictor) -> Image.Image:
    """Edges at 100 %."""
    contexts = {
        group: predictor.encode(PHOTOS / group / f"{name}.jpg", mark)
        for group, (name, mark) in GROUPS.items()
    }
    return Image.fromarray(np.concatenate([close(predictor, contexts, name) for name in EDGES]))


def main() -> None:
    """Writes the pictures."""
    parser = argparse.ArgumentParser(description="Draws the pictures of README and documentation.")
    parser.add_argument("--model", default="embedded")
    predictor = ml.load(parser.parse_args().model)
    result(predictor).save(STATIC / "result.jpg", quality=85, optimize=True)
    edges(predictor).save(STATIC / "edges.jpg", quality=92, optimize=True)
    print(f"written: {STATIC / 'result.jpg'}, {STATIC / 'edges.jpg'}")


if __name__ == "__main__":
    main()
