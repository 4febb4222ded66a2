"""Labels photos nobody has marked, from one mark a group; what the answers do not agree about is left out.

    python recipes/pseudo_labels.py DATA [--model MODEL] [--sheet SHEET.png]

`recipes/labels/marks.json` holds one mark a group. The labels go beside it, as `SET/GROUP/ID.png`, where
`recipes/pack.py --labels` finds them. They are looked at (`--sheet`): those that are wrong all the same
are named under "refused" in `marks.json`. Needs Pillow (group ``check``).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import mattelike
from mattelike import photos
from mattelike.contexts import Context
from mattelike.predictor import Predictor
from mattelike.training import pseudo
from mattelike.values import Photo

LABELS = Path(__file__).parent / "labels"
# Other photos of a group, best agreed about, that are asked as references too.
OTHERS = 2
SIDE = 180


def parsed() -> argparse.Namespace:
    """What was typed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--sheet", type=Path, help="all of them: green kept, red refused, blue unsure")
    return parser.parse_args()


def prompt(mark: Mapping[str, Any], photo: Photo) -> mattelike.Box | mattelike.Mask:
    """The mark of a group: a box, or a polygon around many things, in shares of the photo."""
    if "box" in mark:
        return mattelike.Box(*mark["box"], unit="fraction")
    return mattelike.Mask(polygon(np.array(mark["polygon"]), photo.height, photo.width))


def polygon(corners: NDArray[np.float64], height: int, width: int) -> NDArray[np.bool_]:
    """Pixels inside a polygon, by how often a ray to the right leaves it."""
    y, x = ((np.arange(size) + 0.5) / size for size in (height, width))
    inside = np.zeros((height, width), bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        spans = (y0 > y) != (y1 > y)
        crossing = x0 + (y - y0) / np.where(y1 == y0, 1, y1 - y0) * (x1 - x0)
        inside ^= spans[:, None] & (x[None] < crossing[:, None])
    return inside


def labelled(predictor: Predictor, folder: Path, mark: Mapping[str, Any]) -> dict[str, NDArray[np.uint8]]:
    """A label for every photo of a group.

    First by the marked photo alone; then by the marked one and those others that were best agreed about.
    """
    group = {path.stem: photos.read(path) for path in sorted(folder.glob("*.jpg"))}
    marked = mark["photo"]
    context = predictor.encode(group[marked], prompt(mark, group[marked]))
    alone = {name: pseudo.opinions(predictor, photo, [context]) for name, photo in group.items()}
    first = {name: pseudo.label(list(alphas)) for name, alphas in alone.items()}
    best = sorted((n for n in first if n != marked), key=lambda n: -pseudo.agreement(first[n]))
    contexts: dict[str, Context] = {marked: context}
    for name in best[: OTHERS + 1]:
        solid = first[name] == pseudo.FOREGROUND
        if solid.any():
            contexts[name] = predictor.encode(group[name], mattelike.Mask(solid))
    result = {}
    for name, photo in group.items():
        asked = [c for other, c in contexts.items() if other != name][: OTHERS + 1]
        result[name] = pseudo.label(list(pseudo.opinions(predictor, photo, asked)))
    return result


def main() -> None:
    """Writes labels and, if wanted, a sheet to look at."""
    given = parsed()
    predictor = mattelike.load(given.model)
    marks = json.loads((LABELS / "marks.json").read_text(encoding="utf-8"))
    shown, kept, seen = [], 0, 0
    for group, mark in marks["groups"].items():
        found = labelled(predictor, given.data / group, mark)
        for name, label in found.items():
            agreed, seen = pseudo.agreement(label), seen + 1
            refused = f"{group}/{name}" in marks["refused"]
            keep = agreed >= pseudo.AGREED and not refused
            path = LABELS / group / f"{name}.png"
            path.unlink(missing_ok=True)
            if keep:
                kept += 1
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(label).save(path, optimize=True)
            shown.append((given.data / group / f"{name}.jpg", label, f"{name} {agreed:.2f}", keep))
        print(group, *(f"{pseudo.agreement(label):.2f}" for label in found.values()), flush=True)
    print(f"{kept} of {seen} photos labelled")
    if given.sheet:
        sheet(shown, given.sheet)


def sheet(shown: list[tuple[Path, NDArray[np.uint8], str, bool]], out: Path) -> None:
    """All photos with their labels."""
    columns = 12
    page = Image.new("RGB", (columns * SIDE, -(-len(shown) // columns) * (SIDE + 14)), "white")
    pen = ImageDraw.Draw(page)
    for at, (path, label, said, keep) in enumerate(shown):
        rgb = np.asarray(Image.open(path).convert("RGB")).astype(np.float32)
        sure = (30, 200, 80) if keep else (230, 30, 30)
        colour = np.where(label[..., None] == pseudo.UNSURE, (40, 60, 255), sure)
        mixed = np.where(label[..., None] > 0, 0.45 * rgb + 0.55 * colour, rgb)
        picture = Image.fromarray(mixed.astype(np.uint8))
        picture.thumbnail((SIDE - 4, SIDE))
        left, top = at % columns * SIDE, at // columns * (SIDE + 14)
        page.paste(picture, (left, top))
        pen.text((left, top + SIDE), said, fill="black")
    page.save(out)


if __name__ == "__main__":
    main()
