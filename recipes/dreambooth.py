"""Contact sheets of the DreamBooth groups, one click on the first photo of each, to be judged by eye.

    python recipes/dreambooth.py DATA/dreambooth -o FOLDER [--model MODEL] [--only GROUP ...]

Every group is two rows: its photos, the click on the first, and below them the cut-outs over green. The
photos are a public test: nothing is ever trained on them. Needs Pillow (group ``check``).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import mattelike
from mattelike.predictor import Predictor

# Where a person would click on the first photo: shares of its width and height.
CLICKS = {
    "backpack": (0.54, 0.47),
    "backpack_dog": (0.51, 0.44),
    "bear_plushie": (0.52, 0.39),
    "berry_bowl": (0.53, 0.57),
    "can": (0.50, 0.44),
    "candle": (0.50, 0.47),
    "cat": (0.48, 0.62),
    "cat2": (0.49, 0.53),
    "clock": (0.416, 0.50),
    "colorful_sneaker": (0.376, 0.61),
    "dog": (0.43, 0.33),
    "dog2": (0.50, 0.53),
    "dog3": (0.52, 0.60),
    "dog5": (0.36, 0.44),
    "dog6": (0.33, 0.65),
    "dog7": (0.48, 0.45),
    "dog8": (0.48, 0.445),
    "duck_toy": (0.52, 0.55),
    "fancy_boot": (0.34, 0.36),
    "grey_sloth_plushie": (0.38, 0.54),
    "monster_toy": (0.47, 0.43),
    "pink_sunglasses": (0.82, 0.745),
    "poop_emoji": (0.45, 0.485),
    "rc_car": (0.445, 0.64),
    "red_cartoon": (0.49, 0.58),
    "robot_toy": (0.46, 0.50),
    "shiny_sneaker": (0.48, 0.445),
    "teapot": (0.63, 0.34),
    "vase": (0.27, 0.63),
    "wolf_plushie": (0.445, 0.52),
}
GROUPS_A_SHEET = 3
SIDE = 300
GREEN = (40, 160, 90)


def parsed() -> argparse.Namespace:
    """What was typed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--only", nargs="*", default=sorted(CLICKS), metavar="GROUP")
    return parser.parse_args()


def small(pixels: np.ndarray) -> Image.Image:
    """A picture that fits its place on the sheet."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((SIDE, SIDE))
    return picture


def rows(folder: Path, predictor: Predictor) -> Iterator[tuple[Image.Image, Image.Image, str]]:
    """Photo, cut-out and what is said of it, for each photo of a group."""
    photos = sorted(folder.glob("*.jpg"))
    click = CLICKS[folder.name]
    context = predictor.encode(photos[0], mattelike.Points([click], unit="fraction"))
    for index, matte in enumerate(predictor.mattes(photos, context)):
        photo = small(np.asarray(Image.open(photos[index]).convert("RGB")))
        if index == 0:
            x, y = click[0] * photo.width, click[1] * photo.height
            ImageDraw.Draw(photo).ellipse(
                (x - 5, y - 5, x + 5, y + 5), fill="white", outline="black", width=2
            )
        yield (
            photo,
            small(matte.composite(GREEN)),
            f"{photos[index].name} {matte.status} {matte.presence:.2f}",
        )


def sheet(folders: Sequence[Path], predictor: Predictor) -> Image.Image:
    """Some groups below each other."""
    groups = [(folder.name, list(rows(folder, predictor))) for folder in folders]
    widest = max(len(shown) for _, shown in groups)
    page = Image.new("RGB", (widest * (SIDE + 6), len(groups) * (2 * SIDE + 24)), "white")
    pen = ImageDraw.Draw(page)
    for at, (name, shown) in enumerate(groups):
        top = at * (2 * SIDE + 24)
        for column, (photo, cutout, said) in enumerate(shown):
            left = column * (SIDE + 6)
            page.paste(photo, (left, top))
            page.paste(cutout, (left, top + SIDE + 2))
            pen.text((left, top + 2 * SIDE + 6), f"{name} {said}", fill="black")
    return page


def main() -> None:
    """Writes all sheets."""
    arguments = parsed()
    arguments.out.mkdir(parents=True, exist_ok=True)
    predictor = mattelike.load(arguments.model)
    for first in range(0, len(arguments.only), GROUPS_A_SHEET):
        names = arguments.only[first : first + GROUPS_A_SHEET]
        path = arguments.out / f"{names[0]}-{names[-1]}.png"
        sheet([arguments.data / name for name in names], predictor).save(path)
        print(path, flush=True)


if __name__ == "__main__":
    main()
