"""``mattelike refine``: a mask or trimap from elsewhere becomes an alpha whose edges follow the photo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mattelike.cli import options

if TYPE_CHECKING:
    from mattelike.refinement import Refined
    from mattelike.values import Float32, Photo

EMITS = ("alpha", "cutout")


@click.command(
    "refine",
    short_help="Make the edges of a mask or trimap follow the photo.",
    epilog="""\
\b
mattelike refine cat.jpg mask.png -o cat.matte.png
mattelike refine cat.jpg trimap.png -o cat.png --emit cutout
mattelike refine cat.jpg rough.png --band 20 -o cat.matte.png
""",
)
@click.argument("photo", type=options.FILE)
@click.argument("mask", type=options.FILE, metavar="MASK|TRIMAP")
@click.option("--output", "-o", required=True, type=click.Path(dir_okay=False), help="The picture to write.")
@click.option(
    "--emit", "-e", default="alpha", show_default=True, type=click.Choice(EMITS), help="What to write."
)
@click.option(
    "--as",
    "kind",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "mask", "trimap"]),
    help="What the second picture is; black, white and one gray between are a trimap.",
)
@click.option(
    "--band",
    type=click.IntRange(0),
    help="How far off the edges of a mask may be, in its pixels.  [default: 3]",
)
@click.option(
    "--refiner",
    default="learned",
    show_default=True,
    type=click.Choice(["learned", "closed-form"]),
    help="The edge network, or a solver that has learned nothing.",
)
@click.option("--threads", type=click.IntRange(1), help="Threads it may use; all cores by default.")
@click.option("--strip", is_flag=True, help="Leave EXIF, XMP and resolution out of the result.")
def command(**given: Any) -> None:
    """Make the edges of MASK follow PHOTO, or solve the unknown part of TRIMAP.

    MASK is white where the thing is, or shows it by its transparency; it may have another size.
    TRIMAP is black, gray and white and as large as the photo: its black and white stay as they are.
    """
    from mattelike import photos

    photo = photos.read(given["photo"])
    known = levels_of(given["mask"])
    answer = refined(photo, known, given)
    if answer.reason:
        click.echo(f"note: {answer.reason}", err=True)
    _write(given, photo, answer.alpha)
    click.echo(f"{given['photo']} -> {given['output']}", err=True)


def levels_of(path: str) -> Float32:
    """The levels of a mask or trimap, float32 ``(h, w)`` in [0, 1]: its transparency, or its gray.

    Raises:
        PromptError: It is in colour, and so says nothing about alpha.
        PhotoError: It cannot be read.
    """
    import numpy as np

    from mattelike import photos
    from mattelike.errors import PromptError

    picture = photos.read(path)
    pixels = picture.pixels[..., 0]
    if picture.alpha is not None and picture.alpha.min() < picture.alpha.max():
        pixels = picture.alpha
    elif not picture.gray and (picture.pixels != pixels[..., None]).any():
        raise PromptError(
            f"{path} is in colour: a mask or trimap is gray, or shows the thing by transparency"
        )
    levels: Float32 = pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    return levels


def is_trimap(levels: Float32) -> bool:
    """Whether levels are black, white and one gray about the middle: what tells a trimap from a mask."""
    import numpy as np

    between = np.unique(levels[(levels > 0) & (levels < 1)])
    return len(between) == 1 and bool(0.3 <= between[0] <= 0.7) and levels.min() == 0 and levels.max() == 1


def refined(photo: Photo, known: Float32, given: dict[str, Any]) -> Refined:
    """Alpha at the photo's size.

    Raises:
        UsageError: Photo and mask differ in shape, or the options exclude each other.
        ModelNotFoundError: The edge network is not installed.
    """
    from mattelike.errors import UsageError
    from mattelike.models.refiner import edge_network
    from mattelike.refinement import Refined, closed_form, from_trimap, refine
    from mattelike.refinement.levels import BAND
    from mattelike.resampling import resize

    _check_shapes(photo, known, given["mask"])
    network = edge_network(given["threads"]) if given["refiner"] == "learned" else None
    trimap = given["kind"] == "trimap" or (given["kind"] == "auto" and is_trimap(known))
    if not trimap:
        if known.size > photo.height * photo.width:
            known = resize(known, (photo.height, photo.width))
        return refine(
            photo.pixels, known, band=BAND if given["band"] is None else given["band"], network=network
        )
    if given["band"] is not None:
        raise UsageError(
            "--band is for masks: a trimap says itself what is open; leave it out, or say --as mask"
        )
    if known.shape != photo.pixels.shape[:2]:
        raise UsageError(
            f"{given['mask']}: a trimap must be as large as its photo; --as mask takes other sizes"
        )
    if network is not None:
        return Refined(from_trimap(photo.pixels, known, network))
    top = 255 if photo.depth == 8 else 65535
    return Refined(closed_form((photo.pixels / top).astype("float32"), known))


def _check_shapes(photo: Photo, known: Float32, name: str) -> None:
    from mattelike.errors import UsageError

    height, width = known.shape
    # Rounding may move a side by up to a pixel.
    if abs(height * photo.width - width * photo.height) > max(photo.height, photo.width):
        raise UsageError(
            f"{name}: {width} x {height} pixels do not have the shape of {photo.width} x {photo.height}; "
            "was it made before the photo was turned or cropped?"
        )


def _write(given: dict[str, Any], photo: Photo, alpha: Float32) -> None:
    from mattelike import photos
    from mattelike.foreground import foreground

    target = Path(given["output"])
    if given["emit"] == "alpha":
        photos.write_alpha(target, alpha, photo=photo, strip=given["strip"])
    else:
        colours = foreground(photo.pixels, alpha)
        photos.write_cutout(target, colours, alpha, photo=photo, strip=given["strip"])
