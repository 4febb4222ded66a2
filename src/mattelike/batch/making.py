"""One photo, from its file to its outputs, in three steps that can run side by side for different photos.

::

    Task ── opened ──► Opened ── looked ──► Matte ── written ──► Outcome

Each step that fails gives the outcome at once; nothing one photo does can stop the others, except a disk that
is full.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from mattelike import __version__, photos
from mattelike.batch.jobs import Job, Outcome, Settings, Task, content_hash, is_colour, parse_margin
from mattelike.batch.memory import sweep
from mattelike.batch.storage import is_url
from mattelike.batch.storage import read as read_object
from mattelike.batch.storage import write as write_object
from mattelike.batch.thumbnails import write_thumbnails
from mattelike.errors import BrokenPhotoError, MattelikeError, OutputError, PhotoError, out_of_memory
from mattelike.mattes import Background, Emit, Matte
from mattelike.predictor import Predictor
from mattelike.values import Photo

R = TypeVar("R")
_TOO_LITTLE = "not enough memory for this photo, also when tried again; try --workers 1 or --no-refine"
_LITTLE = 1 << 20  # bytes; a disk with less is full
_TELLING = re.compile("full|space|quota|read-only", re.IGNORECASE)
_FATAL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A photo that was read.

    Attributes:
        task: What it is for.
        photo: Its pixels.
        key: Hash of everything its outputs depend on.
        seconds: Time spent so far.
    """

    task: Task
    photo: Photo
    key: str
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """A photo and its matte.

    Attributes:
        opened: The photo.
        matte: The model's answer.
        seconds: Time spent so far.
    """

    opened: Opened
    matte: Matte
    seconds: float


def opened(task: Task, job: Job) -> Opened | Outcome:
    """Reads a photo; or says that it failed, or that it was done before and nothing has changed."""
    began = time.monotonic()

    def read() -> Opened | Outcome:
        data = task.data if task.data is not None else _whole(task.source)
        key = job.key(content_hash(data) + ("" if task.frame is None else f" {task.frame}"))
        if key == task.known:
            return Outcome(task.source, task.stem, "present", key=key, unchanged=True, frame=task.frame)
        settings = job.settings
        photo = photos.read(
            data,
            ignore_alpha=settings.ignore_alpha,
            allow_truncated=settings.allow_truncated,
            max_pixels=settings.max_pixels,
            name="standard input" if task.source == "-" else task.source,
            frame=task.frame,
        )
        if settings.unpremultiply:
            photo = photos.unpremultiply(photo)
        return Opened(task, photo, key, time.monotonic() - began)

    return _guarded(task, job, began, read)


def looked(ready: Opened, job: Job, predictor: Predictor) -> Looked | Outcome:
    """The model's answer for a photo."""
    began = time.monotonic() - ready.seconds

    def look() -> Looked:
        matte = _answer(ready, job, predictor)
        return Looked(ready, replace(matte, hidden=job.settings.keep_hidden), time.monotonic() - began)

    return _guarded(ready.task, job, began, look)


def _answer(ready: Opened, job: Job, predictor: Predictor) -> Matte:
    """The matte; of a photo that is its own reference and was not read otherwise, from the look it had."""
    glance = ready.task.glance
    if glance is None or not np.array_equal(glance.photo.pixels, ready.photo.pixels):
        return predictor.matte(ready.photo, job.context, refine=job.settings.refine)
    return predictor.finish(replace(glance, photo=ready.photo), refine=job.settings.refine)


def written(done: Looked, job: Job) -> Outcome:
    """Writes all outputs of a photo."""
    if not job.store:
        return _written(done, job)
    began = time.monotonic() - done.seconds
    with tempfile.TemporaryDirectory(prefix="mattelike-") as folder:
        here = replace(job, out=Path(folder))
        outcome = _written(done, here)
        if outcome.result == "failed":
            return outcome
        return _guarded(done.opened.task, here, began, lambda: _sent(outcome, here, began))


def _sent(outcome: Outcome, job: Job, began: float) -> Outcome:
    """The outcome, its outputs sent from the folder they were made in to the store."""
    for name in outcome.outputs:
        write_object(job.where(name), (job.out / name).read_bytes())
    return replace(outcome, seconds=time.monotonic() - began)


def _written(done: Looked, job: Job) -> Outcome:
    began = time.monotonic() - done.seconds
    task = done.opened.task

    def write() -> Outcome:
        matte = shaped(done.matte, job.settings)
        if job.sheet:
            write_thumbnails(matte, task.stem, job.out)
        names = _write_all(matte, task, job)
        photo = done.opened.photo
        return Outcome(
            source=task.source,
            stem=task.stem,
            result=done.matte.status,
            outputs=names,
            presence=float(done.matte.presence),
            doubt=_doubt(done.matte),
            size=(photo.width, photo.height),
            seconds=time.monotonic() - began,
            notes=done.matte.notes,
            key=done.opened.key,
            frame=task.frame,
            settings=done.matte.settings,
        )

    return _guarded(task, job, began, write)


def made(task: Task, job: Job, predictor: Predictor) -> Outcome:
    """All three steps, one after the other."""
    ready = opened(task, job)
    if isinstance(ready, Outcome):
        return ready
    done = looked(ready, job, predictor)
    return done if isinstance(done, Outcome) else written(done, job)


def pixels_of(task: Task) -> int:
    """Pixels a photo has by its header, 0 where it has none: to know what it will cost.

    An object of a store has none before it is there; what is in the air is bounded by number then.
    """
    if task.data is None and is_url(task.source):
        return 0
    try:
        header = photos.header(Path(task.source) if task.data is None else task.data, task.frame)
    except MattelikeError:
        return 0
    return header.width * header.height


# --- reading -----------------------------------------------------------------------------------------


def _whole(source: str) -> bytes:
    """Content of a file that nobody wrote to while it was read (trap 21)."""
    if is_url(source):
        return read_object(source)
    photos.header(source)  # refuses pipes and devices, which would be waited for, and what is no photo
    with Path(source).open("rb") as file:
        before = os.fstat(file.fileno())
        data = file.read()
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise BrokenPhotoError(f"{source}: changed while it was read; run again when it is whole")
    return data


# --- writing -----------------------------------------------------------------------------------------


def shaped(matte: Matte, settings: Settings) -> Matte:
    """The matte as it is to be written: nothing where the kind is absent, one thing if one is asked for."""
    shown = matte if settings.keep_absent else matte.or_empty()
    return shown.largest() if settings.largest else shown


def cropped(matte: Matte, margin: str | None) -> Matte:
    """The matte cut to the thing plus a margin; None leaves it."""
    window = None if margin is None else matte.window()
    if margin is None or window is None:
        return matte
    amount, share = parse_margin(margin)
    longer = max(window.bottom - window.top, window.right - window.left)
    return matte.crop(amount if share else amount / longer)


def _write_all(matte: Matte, task: Task, job: Job) -> tuple[str, ...]:
    things = matte.instances() if job.settings.instances else []
    numbered: list[tuple[Matte, int | None]] = [(thing, number) for number, thing in enumerate(things, 1)]
    names: list[str] = []
    for thing, number in numbered or [(matte, None)]:
        part = cropped(thing, job.settings.margin)
        for emit, name in task.outputs_of(number):
            path = job.out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(part, path, emit, job)
            names.append(name)
    return tuple(names)


def _write(matte: Matte, path: Path, emit: Emit, job: Job) -> None:
    note = f"mattelike {__version__}; model {job.context.model} {job.context.sha256[:12]}"
    settings = job.settings
    if emit == "cutout" and settings.gray and matte.photo.gray:
        photos.write_cutout(
            path,
            matte.foreground(),
            matte.alpha,
            photo=matte.photo,
            gray=True,
            strip=settings.strip,
            note=note,
            settings=matte.settings,
            keep_hidden=matte.hidden,
        )
        return
    background = _background(settings) if emit == "composite" else None
    matte.save(path, emit, background=background, strip=settings.strip, note=note)


def _background(settings: Settings) -> Background | None:
    if not settings.background:
        return None
    if is_colour(settings.background):
        return tuple(int(level) for level in settings.background.split(","))
    return photos.read(settings.background)


def _doubt(matte: Matte) -> float | None:
    """Expected wrong area as a share of the thing's own."""
    if matte.uncertainty is None:
        return None
    return float(matte.uncertainty.sum(dtype=np.float64) / (matte.alpha.sum(dtype=np.float64) + 1))


# --- failing -----------------------------------------------------------------------------------------


def _guarded(task: Task, job: Job, began: float, step: Callable[[], R]) -> R | Outcome:
    """What a step gives, or why it could not."""
    try:
        return _tried_twice(step)
    except MattelikeError as error:
        return _failed(task, began, str(error), is_fatal(error, job.out))
    except Exception as error:  # noqa: BLE001 - one photo that finds a fault in us must not cost the others
        if out_of_memory(error):
            return replace(_failed(task, began, _TOO_LITTLE), crowded=True)
        if isinstance(error, OSError):
            return _failed(task, began, error.strerror or str(error), is_fatal(error, job.out))
        if os.environ.get("MATTELIKE_DEBUG"):
            traceback.print_exc()
        return _failed(
            task, began, f"unexpected {type(error).__name__}: {error} (MATTELIKE_DEBUG=1 shows more)"
        )


def _tried_twice(call: Callable[[], R]) -> R:
    """What a call gives; when memory runs out, once more with what others have let go of (trap 67)."""
    try:
        return call()
    except Exception as error:
        if not out_of_memory(error):
            raise
    sweep()  # only now: the error had held what the call had taken
    return call()


def _failed(task: Task, began: float, error: str, fatal: bool = False) -> Outcome:
    line = " ".join(error.split())
    if fatal and not _TELLING.search(line):
        line += " (is the disk full?)"
    seconds = time.monotonic() - began
    return Outcome(
        task.source, task.stem, "failed", error=line, seconds=seconds, fatal=fatal, frame=task.frame
    )


def is_fatal(error: BaseException, out: Path) -> bool:
    """Whether every other photo would fail as well: no room left, or no disk. Reading a photo never is."""
    if isinstance(error, PhotoError):
        return False
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _FATAL:
            return True
        cause = cause.__cause__
    # libvips does not say in a number why a write failed; the disk does.
    return isinstance(error, OutputError) and _room(out) < _LITTLE


def _room(out: Path) -> int:
    try:
        return shutil.disk_usage(out).free
    except OSError:
        return 0
