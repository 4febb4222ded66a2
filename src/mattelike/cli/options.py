"""Options that several verbs share, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from mattelike.predictor import Predictor
    from mattelike.prompts import Prompt

F = TypeVar("F", bound=Callable[..., Any])
FILE = click.Path(exists=True, dir_okay=False)

_MARKS = (
    click.option("--point", "-p", multiple=True, metavar="X,Y", help="A click on the thing; x first."),
    click.option("--negative-point", "-n", multiple=True, metavar="X,Y", help="A click on what it is not."),
    click.option(
        "--scribble", type=FILE, help="Strokes over the thing, drawn in a picture of the same shape."
    ),
    click.option("--negative-scribble", type=FILE, help="Strokes over what it is not."),
    click.option("--box", multiple=True, metavar="X0,Y0,X1,Y1", help="A rectangle around the thing."),
    click.option("--mask", type=FILE, help="All of the thing: white on black, or by its transparency."),
    click.option("--label", metavar="N|R,G,B", help="Level or colour that means the thing in --mask."),
    click.option("--invert", is_flag=True, help="The thing is what is black in --mask."),
    click.option("--soft", is_flag=True, help="--mask is an alpha matte: leave its half-tones open."),
)
_MODEL = (
    click.option("--model", "-m", metavar="NAME", help="Model to use; see `mattelike models list`."),
    click.option("--set", "options", multiple=True, metavar="KEY=VALUE", help="An option of the model."),
    click.option("--device", default="auto", metavar="auto|cpu|cuda|coreml", help="Where to run it."),
    click.option(
        "--threads", type=click.IntRange(1), metavar="N", help="Threads it may use; all cores by default."
    ),
)
MARK_NAMES = (
    *("point", "negative_point", "scribble", "negative_scribble", "box", "mask", "label", "invert", "soft"),
)


def marks(command: F) -> F:
    """Adds the options that mark a thing on a photo, in pixels of the upright photo or percent."""
    return _added(command, _MARKS)


def model(command: F) -> F:
    """Adds the options that choose a model and a device."""
    return _added(command, _MODEL)


def _added(command: F, options: tuple[Callable[[F], F], ...]) -> F:
    for option in reversed(options):
        command = option(command)
    return command


def prompt(given: Mapping[str, Any]) -> Prompt | None:
    """The marks that were given, as one prompt; None without any.

    Args:
        given: Values of the options of `marks`, by name.

    Raises:
        PromptError: A point or box that is no such thing.
        UsageError: A mask's option without a mask.
    """
    from mattelike.prompts import Marks, Mask, Points, Scribbles, parse_box, parse_point

    parts: list[Any] = []
    points, negatives = given["point"], given["negative_point"]
    if points or negatives:
        parts.append(Points([parse_point(p) for p in points], negative=[parse_point(p) for p in negatives]))
    parts += _scribbles(given, Scribbles)
    parts += [parse_box(box) for box in given["box"]]
    if given["mask"]:
        chosen = _label(given["label"])
        parts.append(Mask(given["mask"], soft=given["soft"], invert=given["invert"], label=chosen))
    elif given["label"] or given["invert"] or given["soft"]:
        raise click.UsageError("--label, --invert and --soft say how to read --mask; add it")
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else Marks(parts)


def _scribbles(given: Mapping[str, Any], scribbles: Any) -> list[Any]:
    positive, negative = given["scribble"], given["negative_scribble"]
    if negative and not positive:
        raise click.UsageError("--negative-scribble needs a --scribble of the thing beside it")
    return [scribbles(positive, negative)] if positive else []


def _label(text: str | None) -> int | tuple[int, int, int] | None:
    if text is None:
        return None
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) == 1:
        return numbers[0]
    if len(numbers) == 3:
        return numbers[0], numbers[1], numbers[2]
    raise click.UsageError(f"--label is a level such as 3 or a colour such as 255,0,0, not {text!r}")


def mark_files(given: Mapping[str, Any]) -> list[str]:
    """Files that hold marks."""
    return [given[name] for name in ("scribble", "negative_scribble", "mask") if given[name]]


def model_options(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Options of a model, ``KEY=VALUE``, as keyword arguments; numbers and true/false are read as such."""
    import json

    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise click.UsageError(f"--set takes KEY=VALUE, not {pair!r}")
        try:
            values[key.replace("-", "_")] = json.loads(value)
        except ValueError:
            values[key.replace("-", "_")] = value
    return values


def load(name: str | None, options: tuple[str, ...], device: str, threads: int | None) -> Predictor:
    """Loads the chosen model.

    Raises:
        MattelikeError: As `mattelike.predictor.load`.
    """
    from threadpoolctl import threadpool_limits

    from mattelike import photos
    from mattelike.predictor import load as load_predictor

    if threads is not None:
        photos.set_threads(threads)
        # NumPy's products, too: on some processors their last bits depend on how many threads shared them.
        threadpool_limits(threads, user_api="blas")
    chosen = {} if name is None else {"model": name}
    return load_predictor(**chosen, device=device, threads=threads, **model_options(options))


def colour(text: str) -> str:
    """A background as settings hold it: ``r,g,b`` of a colour, or the path of a picture.

    Raises:
        click.UsageError: Neither a colour nor a file.
    """
    named = _COLOURS.get(text.lower())
    if named is not None:
        return named
    digits = text.removeprefix("#")
    if text.startswith("#") and all(c in "0123456789abcdefABCDEF" for c in digits) and len(digits) in (3, 6):
        pairs = [c * 2 for c in digits] if len(digits) == 3 else [digits[i : i + 2] for i in (0, 2, 4)]
        return ",".join(str(int(pair, 16)) for pair in pairs)
    parts = text.replace(" ", ",").split(",")
    # rembg's form has a fourth number, the colour's own alpha; an opaque one says nothing new.
    if len(parts) == 4 and parts[3] == "255":
        parts = parts[:3]
    if len(parts) == 3 and all(part.isdigit() and int(part) <= 255 for part in parts):
        return ",".join(str(int(part)) for part in parts)
    if Path(text).is_file():
        return text
    raise click.UsageError(
        f"--background takes a colour such as white, #ffcc00 or 255,204,0, or a picture, not {text!r}"
    )


_COLOURS = {
    "black": "0,0,0",
    "white": "255,255,255",
    "gray": "128,128,128",
    "grey": "128,128,128",
    "silver": "192,192,192",
    "red": "255,0,0",
    "green": "0,128,0",
    "lime": "0,255,0",
    "blue": "0,0,255",
    "navy": "0,0,128",
    "teal": "0,128,128",
    "cyan": "0,255,255",
    "magenta": "255,0,255",
    "yellow": "255,255,0",
    "orange": "255,165,0",
    "pink": "255,192,203",
    "purple": "128,0,128",
    "brown": "165,42,42",
    "beige": "245,245,220",
}
