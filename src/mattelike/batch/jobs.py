"""What goes into a batch and what comes out: plain values, and the contract of an engine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from mattelike.contexts import Context
from mattelike.errors import UsageError
from mattelike.mattes import EMITS, Emit
from mattelike.predictor import Glance
from mattelike.refinement import Refine

Result = Literal["present", "unsure", "absent", "failed"]
RESULTS: tuple[Result, ...] = ("failed", "absent", "unsure", "present")
"""What can become of a photo; what needs a look comes first."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All that changes the bytes of the outputs, beside photo, context and model.

    Attributes:
        emit: Pictures to write of each photo.
        background: ``"r,g,b"`` or the path of a picture, for composites; empty is white.
        margin: Crop to the thing and this much around it: ``"5%"`` of its longer side, or pixels; None keeps
            the photo's size.
        largest: Only the largest thing.
        instances: One file for each separate thing.
        refine: Bring edges to the photo's own resolution; a name chooses the way, as for `Predictor.matte`.
        keep_absent: Write what the model found even where the kind seems absent; otherwise an empty matte.
        ignore_alpha: Leave an alpha the photo already has out.
        unpremultiply: The photos' colours are multiplied by their alpha: divide once.
        keep_hidden: Keep the photo's colours where alpha is 0.
        gray: Cut-outs of gray photos are gray and alpha instead of RGB and alpha.
        allow_truncated: Take what is there of a damaged file.
        strip: Leave EXIF, XMP, resolution and the model's settings out.
        max_pixels: Refuse larger photos from their header; None is the default limit.
    """

    emit: tuple[Emit, ...] = ("cutout", "alpha")
    background: str = ""
    margin: str | None = None
    largest: bool = False
    instances: bool = False
    refine: Refine = True
    keep_absent: bool = False
    ignore_alpha: bool = False
    unpremultiply: bool = False
    keep_hidden: bool = False
    gray: bool = False
    allow_truncated: bool = False
    strip: bool = False
    max_pixels: int | None = None

    def __post_init__(self) -> None:
        if not self.emit:
            raise UsageError(f"nothing to emit; choose among {', '.join(EMITS)}")
        for emit in self.emit:
            if emit not in EMITS:
                raise UsageError(f"nothing to emit is called {emit!r}; there are: {', '.join(EMITS)}")
        if self.ignore_alpha and self.unpremultiply:
            raise UsageError("--ignore-alpha and --unpremultiply exclude each other; leave one out")
        if self.largest and self.instances:
            raise UsageError("--largest and --instances exclude each other; leave one out")
        if self.margin is not None:
            parse_margin(self.margin)

    def digest(self) -> str:
        """A hash of all of it, the content of a background picture included."""
        values = asdict(self)
        path = Path(self.background) if self.background and not is_colour(self.background) else None
        if path is not None:
            values["background"] = content_hash(path.read_bytes())
        return content_hash(json.dumps(values, sort_keys=True).encode())


@dataclass(frozen=True, slots=True)
class Task:
    """One photo of a batch, its outputs decided.

    Attributes:
        source: The photo's path, or ``"-"`` for `data`.
        stem: Its outputs' common beginning, relative to the output folder, with ``/``.
        outputs: What to write where, relative to the output folder, one entry for each of ``Settings.emit``.
        known: Key of the last finished outcome; the photo is left alone if that has not changed.
        data: Content of the file where it has no path.
        glance: What the model said of it already, where it is its own reference.
        frame: Page or frame of the file, from 0; None for the first of whatever there is.
    """

    source: str
    stem: str
    outputs: tuple[tuple[Emit, str], ...]
    known: str = ""
    data: bytes | None = None
    glance: Glance | None = None
    frame: int | None = None

    def outputs_of(self, number: int | None) -> tuple[tuple[Emit, str], ...]:
        """Outputs for one of several things in the photo, numbered from 1; None for all together."""
        if number is None:
            return self.outputs
        cut = len(self.stem)
        return tuple((emit, f"{name[:cut]}.{number}{name[cut:]}") for emit, name in self.outputs)


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """Tasks to be done with one context.

    Attributes:
        tasks: In order.
        context: What to look for.
        settings: What to make of each photo.
        out: Folder of the outputs.
        base: Hash of everything the outputs depend on but the photo, see `base_key`.
        sheet: Make thumbnails for the contact sheet.
        store: URL the outputs go to, see `mattelike.batch.storage`; empty where `out` is their folder.
    """

    tasks: Sequence[Task]
    context: Context
    settings: Settings
    out: Path
    base: str
    sheet: bool = True
    store: str = ""

    def where(self, name: str) -> str:
        """Path or URL of an output."""
        return f"{self.store}/{name}" if self.store else str(self.out / name)

    def key(self, photo: str) -> str:
        """Hash of everything the outputs of one photo depend on.

        Args:
            photo: Hash of the photo's file.
        """
        return content_hash(f"{photo}\n{self.base}".encode())


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one photo.

    Attributes:
        source: As in its task.
        stem: As in its task; empty for what never became a task.
        result: Present, unsure, absent or failed.
        outputs: Files written, relative to the output folder.
        presence: Is the kind there, in [0, 1]; None when failed.
        doubt: Expected wrong area as a share of the thing's area; None when the model cannot tell.
        size: ``(width, height)`` of the photo; None when failed.
        seconds: Time spent on it.
        error: Why it failed, one line; empty otherwise.
        notes: What is worth knowing, one sentence each.
        key: See `Job.key`; empty when failed.
        settings: The model's effective settings, as JSON; empty when it has none.
        unchanged: It was done before and nothing has changed since.
        fatal: The batch cannot go on: the disk is full, or the output folder is gone.
        crowded: Memory ran out; with fewer photos beside it, it may succeed.
        frame: As in its task.
    """

    source: str
    stem: str
    result: Result
    outputs: tuple[str, ...] = ()
    presence: float | None = None
    doubt: float | None = None
    size: tuple[int, int] | None = None
    seconds: float = 0.0
    error: str = ""
    notes: tuple[str, ...] = ()
    key: str = ""
    settings: str = ""
    unchanged: bool = False
    fatal: bool = False
    crowded: bool = False
    frame: int | None = None


@runtime_checkable
class Engine(Protocol):
    """Something that does a job: threads of this process, other processes, a cluster."""

    def run(self, job: Job) -> Generator[Outcome, None, None]:
        """Gives one outcome for each task it has begun, in any order, as they come.

        A photo that fails is an outcome; exceptions are for what stops the whole batch. Closing the generator
        gives up what is not finished.
        """

    def stop(self) -> None:
        """Begin no further task; `run` ends when those begun are done. May come from a signal handler."""

    def close(self) -> None:
        """Lets go of the model and of all processes."""


def content_hash(data: bytes) -> str:
    """Hash of a file's content; 32 hexadecimal digits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def base_key(context: Context, identity: str, settings: Settings, answering: str = "") -> str:
    """Hash of context, model and settings.

    Args:
        context: What is looked for.
        identity: Hash of what the context was made from, or of its file: the same identity is the same
            context, also where the last bits of its numbers differ.
        settings: What is made of each photo.
        answering: Effective settings of the model that answers (`ModelCard.settings`): a saved context keeps
            those it was made with, and targets may be looked at with others.
    """
    parts = (identity, context.model, context.sha256, context.settings, answering, settings.digest())
    return content_hash("\n".join(parts).encode())


def is_colour(background: str) -> bool:
    """Whether a background of `Settings` is a colour, ``"r,g,b"``, rather than a picture."""
    parts = background.split(",")
    return len(parts) == 3 and all(part.isdigit() and int(part) <= 255 for part in parts)


def parse_margin(text: str) -> tuple[float, bool]:
    """A crop margin: its number, and whether it is a share of the thing's longer side rather than pixels.

    Raises:
        UsageError: Not a number, or negative.
    """
    share = text.endswith("%")
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e6:
        raise UsageError(f"a crop margin is pixels or percent, such as 20 or 5%, not {text!r}")
    return (number / 100 if share else number), share
