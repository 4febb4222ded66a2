"""Draws the picture of the README, ``docs/_static/result.jpg``, from the example photos.

    python recipes/readme_picture.py [--model embedded]

One row a group: the reference with its mark, then each other photo above what was cut out of it. Nothing is
retouched or chosen: all example photos are shown, with the marks that the demo uses. Needs Pillow (group
``check``).
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
TARGET = ROOT / "docs" / "_static" / "result.jpg"
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


def main() -> None:
    """Writes the picture."""
    parser = argparse.ArgumentParser(description="Draws the picture of the README.")
    parser.add_argument("--model", default="embedded")
    predictor = ml.load(parser.parse_args().model)
    rows = [row(predictor, group) for group in GROUPS]
    height = sum(part.height for part in rows) + 2 * GAP * (len(rows) - 1)
    sheet = Image.new("RGB", (max(part.width for part in rows), height), "white")
    top = 0
    for part in rows:
        sheet.paste(part, (0, top))
        top += part.height + 2 * GAP
    sheet.save(TARGET, quality=85, optimize=True)
    print(f"written: {TARGET}")


if __name__ == "__main__":
    main()
