"""A program of its own environment, run once a photo: the way in for systems that cannot be installed here.

The command names its files by placeholders; each is written before the program runs:

==================  ==============================================================================
``{image}``         the photo, PNG
``{out}``           where the program has to write alpha, a PNG of the photo's size
``{reference}``     the first reference photo, PNG
``{reference_mask}`` what is marked on it, PNG, white on black
``{mask}``          what is marked on the photo itself, PNG, white on black
``{trimap}``        the trimap of the photo itself, PNG of levels 0, 128, 255
``{points}``        clicks that stand for the mark, ``x,y;x,y`` (on the reference, or on the photo itself)
``{box}``           rectangle around the mark, ``x0,y0,x1,y1`` (of the same)
==================  ==============================================================================

No shell is involved: the command is split into words first, then filled in.
"""

from __future__ import annotations

import shlex
import string
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mattelike import photos
from mattelike.baselines import Answer, Help, Reference, Trimap
from mattelike.baselines.asked import clicks, pixels, region
from mattelike.components import bounds
from mattelike.errors import ModelError, SettingsError
from mattelike.training.sample_pixels import one_channel
from mattelike.values import Bool, Float32, Photo

PLACES = ("image", "out", "reference", "reference_mask", "mask", "trimap", "points", "box")
GIVEN: tuple[Help, ...] = ("references", "marks", "trimap", "nothing")
TIMEOUT = 600.0
LAST = 300


class Command:
    """A program.

    Args:
        run: Its command line, with placeholders.
        given: What it is given.
        timeout: Seconds after which it is ended.
        version: What to call the program's version or weights, for the report.

    Raises:
        SettingsError: No command, an unknown placeholder, or no ``{out}``.
    """

    def __init__(self, run: str, given: Help, timeout: int | float, version: str) -> None:
        self.help: Help = given
        self._words = words_of(run)
        self._timeout = float(timeout)
        self._about = {"method": "command", "run": run, "given": given, "version": version}

    @property
    def about(self) -> Mapping[str, str]:
        """The command line, what it is given, and the version somebody stated."""
        return self._about

    def encode(self, references: Sequence[Reference]) -> tuple[Reference, ...]:
        """Kept until there is a photo to run on."""
        return tuple(references)

    def matte(self, photo: Photo, context: tuple[Reference, ...]) -> Answer:
        """What the program wrote.

        Raises:
            ModelError: The program failed, took too long, or wrote no matte of the photo's size.
        """
        with tempfile.TemporaryDirectory(prefix="mattelike-") as folder:
            places = written(Path(folder), photo, context)
            missing = [name for name in _names(self._words) if name not in places]
            if missing:
                raise SettingsError(
                    f"the command wants {{{missing[0]}}}, which is not given with {self.help!r}"
                )
            self._run([word.format_map(places) for word in self._words])
            return Answer(read_alpha(Path(places["out"]), photo, self._words[0]))

    def _run(self, words: Sequence[str]) -> None:
        try:
            done = subprocess.run(words, capture_output=True, timeout=self._timeout, check=False)
        except OSError as error:
            raise ModelError(f"{words[0]}: cannot be run ({error.strerror or error})") from error
        except subprocess.TimeoutExpired as error:
            raise ModelError(f"{words[0]}: not finished after {self._timeout:g} s; raise timeout=") from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()[-LAST:]
            raise ModelError(f"{words[0]}: ended with code {done.returncode}: {said or 'it said nothing'}")


def words_of(run: str) -> list[str]:
    """The words of a command line, its placeholders checked.

    Raises:
        SettingsError: No command, an unknown placeholder, or no ``{out}``.
    """
    try:
        words = shlex.split(run)
        names = _names(words)
    except ValueError as error:
        raise SettingsError(f"run={run!r}: not a command line ({error})") from error
    if not words:
        raise SettingsError("give run=COMMAND, such as: python matte.py {image} {out}")
    unknown = [name for name in names if name not in PLACES]
    if unknown:
        raise SettingsError(f"the command has no use for {{{unknown[0]}}}; there are: {', '.join(PLACES)}")
    if "out" not in names:
        raise SettingsError("the command must say where alpha is written to: {out}")
    return words


def _names(words: Sequence[str]) -> list[str]:
    return [name for word in words for _, name, _, _ in string.Formatter().parse(word) if name is not None]


def written(folder: Path, photo: Photo, references: Sequence[Reference]) -> dict[str, str]:
    """Files for the placeholders, written to a folder."""
    places = {"image": str(folder / "image.png"), "out": str(folder / "out.png")}
    photos.write_rgb(places["image"], pixels(photo))
    if not references:
        return places
    marked, hint = references[0]
    itself = len(references) == 1 and marked is photo
    if isinstance(hint, Trimap):
        places["trimap"] = _raster(folder / "trimap.png", hint.levels)
        return places
    mask = region(marked, hint).positive
    if itself:
        places["mask"] = _raster(folder / "mask.png", mask)
    else:
        places["reference"] = str(folder / "reference.png")
        photos.write_rgb(places["reference"], pixels(marked))
        places["reference_mask"] = _raster(folder / "reference_mask.png", mask)
    places["points"] = ";".join(f"{column},{row}" for row, column in clicks(mask).tolist())
    box = bounds(mask)
    if box is not None:
        top, left, bottom, right = box
        places["box"] = f"{left},{top},{right},{bottom}"
    return places


def _raster(path: Path, values: Bool | Float32) -> str:
    photos.write_alpha(path, values.astype(np.float32))
    return str(path)


def read_alpha(path: Path, photo: Photo, who: str) -> Float32:
    """A matte that another system wrote.

    Raises:
        ModelError: It is not there.
        PhotoError: It cannot be read.
    """
    if not path.is_file():
        raise ModelError(f"{who}: wrote no matte for {photo.name or 'the photo'} ({path.name})")
    alpha = one_channel(photos.read(path))
    if alpha.shape != (photo.height, photo.width):
        height, width = alpha.shape
        raise ModelError(
            f"{who}: the matte of {photo.name or 'the photo'} has {width} x {height} pixels, not "
            f"{photo.width} x {photo.height}; nothing is resized here"
        )
    return alpha


def chosen_help(given: str) -> Help:
    """What a system is given, by name.

    Raises:
        SettingsError: No such help.
    """
    for name in GIVEN:
        if given == name:
            return name
    raise SettingsError(f"given={given!r}: there are {', '.join(GIVEN)}")


def command(
    *,
    device: str = "auto",
    threads: int | None = None,
    run: str = "",
    given: str = "references",
    timeout: int | float = TIMEOUT,
    version: str = "",
) -> Command:
    """A program as a method; device and threads are its own business.

    Args:
        device: Not used.
        threads: Not used.
        run: Its command line, with placeholders.
        given: ``references``, ``marks``, ``trimap`` or ``nothing``.
        timeout: Seconds after which it is ended.
        version: What to call the program's version or weights.

    Raises:
        SettingsError: A command that cannot be run as it is, or no such help.
    """
    return Command(run, chosen_help(given), timeout, version)
