"""A clip from end to end: decoded, looked at, finished and coded side by side, piece by piece.

::

    frames ── glance, steadied, finish ─► edges, colours, planes ─► writer ── pieces ─► result
    (thread)       (this thread)                (thread)            (thread)

Each step is at another frame at the same time. Edges wait for a few later frames, so a piece ends with what
was written: a run that goes on from there looks at the frames that waited once more. What waits is bounded,
so memory depends on the size of a frame and not on how many there are.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mattelike import photos
from mattelike.errors import BrokenPhotoError
from mattelike.mattes import Background, Matte
from mattelike.predictor import Glance, Predictor
from mattelike.values import Float32, Guidance, Metadata, Photo, Pixels
from mattelike.video import edges
from mattelike.video.clips import Clip
from mattelike.video.jobs import ClipJob, Summary
from mattelike.video.joining import join
from mattelike.video.reading import Frame, frames
from mattelike.video.segments import Done, Segments
from mattelike.video.steady import Memory, steadied
from mattelike.video.writing import PIECES, Piece, Sequence, Writer

AHEAD = 2
"""Frames that wait in front of each step."""

PIECE_PIXELS = 150_000_000
SHORTEST, LONGEST = 24, 240
"""A piece is so many pixels, within these numbers of frames: what a killed run has to do again."""

Tell = Callable[[int], None]


def carry_out(job: ClipJob, predictor: Predictor, tell: Tell = lambda number: None) -> Summary:
    """Makes the result of a clip; a run that was killed goes on where its last whole piece ends.

    Args:
        job: What to make.
        predictor: The model.
        tell: Hears the number of each frame as it is handed on to be written.

    Returns:
        What became of it. Memory does not depend on its length.

    Raises:
        OutputError: It cannot be written there.
        BrokenPhotoError: No frame can be read, or one cannot and the job says to stop there.
    """
    target = job.target
    suffix = PIECES[target.kind][0] if target.container is not None else ""
    segments = Segments(target.path, job.key(), suffix)
    try:
        summary = Summary(resumed=sum(each.frames for each in segments.done))
        count, summary.fault = _made(job, predictor, segments, tell)
        if target.container is not None:
            pieces = [segments.path(index) for index in range(count)]
            join(pieces, target, job.clip, segments.folder / "result.part")
        for each in segments.done:
            summary.count(each)
        segments.remove()
    finally:
        segments.release()
    return summary


def piece_length(clip: Clip) -> int:
    """Frames of a piece."""
    return min(LONGEST, max(SHORTEST, PIECE_PIXELS // (clip.width * clip.height)))


def _made(job: ClipJob, predictor: Predictor, segments: Segments, tell: Tell) -> tuple[int, str]:
    """All pieces that are not there yet; how many there are in the end, and why reading ended early."""
    done = segments.done
    index, begun = len(done), sum(each.frames for each in done)
    window, memory = edges.Window(), Memory()
    if done and job.steady:
        memory, window = Memory.load(segments.state(index - 1)), edges.load(segments.held(index - 1))
    background = _background(job)
    with _Reading(job, done[-1].last if done else None, begun) as reading:
        run = _Run(job, predictor, reading, tell, memory, window)
        while not reading.over:
            writer = _writer(job, segments.path(index), background)
            try:
                piece = run.piece(writer, piece_length(job.clip))
                writer.close()
            except BaseException:
                writer.discard()
                raise
            run.memory.save(segments.state(index))
            edges.save(run.window, segments.held(index))
            segments.finish(index, piece)
            index += 1
    if not index:
        raise BrokenPhotoError(f"{job.clip.path}: {reading.fault or 'no frame of it can be read'}")
    return index, reading.fault


def _background(job: ClipJob) -> Background | None:
    """A picture is laid out once, not for every frame."""
    if not isinstance(job.background, Photo):
        return job.background
    clip = job.clip
    return Photo(photos.covering(job.background, black(clip)), name=job.background.name)


def _writer(job: ClipJob, path: Path, background: Background | None) -> Writer:
    if job.target.container is not None:
        return Piece(path, job.target, job.clip, background)
    return Sequence(job.target, job.clip, background)


class _Reading:
    """Frames read ahead by a thread of their own."""

    def __init__(self, job: ClipJob, after: int | None, number: int) -> None:
        self._job = job
        self._frames = frames(job.clip, after=after, number=number)
        self._pool = ThreadPoolExecutor(1, "reading")
        self._waiting: deque[Future[Frame | None]] = deque()
        self.fault = ""

    def __enter__(self) -> _Reading:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._frames.close()

    def next(self) -> Frame | None:
        """The frame `peek` shows, taken."""
        frame = self.peek()
        if frame is not None:
            self._waiting.popleft()
        return frame

    def peek(self) -> Frame | None:
        """The next frame; None at the end, or where the clip ends before its time."""
        while len(self._waiting) < AHEAD:
            self._waiting.append(self._pool.submit(next, self._frames, None))
        try:
            frame = self._waiting[0].result()
        except BrokenPhotoError as error:
            self.fault = str(error)
            return None
        most = self._job.most
        return None if frame is None or (most is not None and frame.number >= most) else frame

    @property
    def over(self) -> bool:
        """Whether there is no further frame."""
        return self.peek() is None


@dataclass(frozen=True, slots=True, eq=False)
class _Looked:
    """A frame that was looked at.

    Attributes:
        frame: Which.
        matte: What the model says of it and of those before; None if it could not be read.
        memory: What the frame after it needs to know.
        cut: A new scene begins with it.
    """

    frame: Frame
    matte: Matte | None
    memory: Memory
    cut: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Ready:
    """A frame that only needs to be written."""

    looked: _Looked
    status: str
    prepared: Any


@dataclass(slots=True)
class _Counts:
    """What became of the frames of a piece so far."""

    frames: int = 0
    last: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    broken: list[int] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)

    def add(self, ready: _Ready) -> None:
        """One more that is written."""
        frame = ready.looked.frame
        self.frames, self.last = self.frames + 1, frame.pts
        self.statuses[ready.status] += 1
        if frame.photo is None:
            self.broken.append(frame.number)
        if ready.looked.cut:
            self.cuts.append(frame.number)

    def done(self) -> Done:
        """As a value."""
        return Done(self.frames, self.last, dict(self.statuses), tuple(self.broken), tuple(self.cuts))


class _Run:
    """Takes frames through the steps; remembers what the next frame needs.

    Attributes:
        memory: Of the last frame that was written.
        window: Of the frames whose edges are, or will be, settled.
    """

    def __init__(
        self,
        job: ClipJob,
        predictor: Predictor,
        reading: _Reading,
        tell: Tell,
        memory: Memory,
        window: edges.Window,
    ) -> None:
        self.memory, self.window = memory, window
        self._latest = memory
        self._waiting: deque[tuple[_Looked, Matte]] = deque()
        self._last: _Ready | None = None
        self._job, self._predictor, self._reading, self._tell = job, predictor, reading, tell

    def piece(self, writer: Writer, length: int) -> Done:
        """Mattes of the next `length` frames, as far as they need not wait, written in order."""
        counts = _Counts()
        settling: deque[Future[list[_Ready]]] = deque()
        writing: deque[Future[None]] = deque()
        with ThreadPoolExecutor(1, "settling") as settler, ThreadPoolExecutor(1, "writing") as pen:

            def hand_on(most: int) -> None:
                while len(settling) > most:
                    for ready in settling.popleft().result():
                        counts.add(ready)
                        self.memory = ready.looked.memory
                        writing.append(pen.submit(writer.add, ready.looked.frame, ready.prepared))
                        self._tell(ready.looked.frame.number)
                while len(writing) > most:
                    writing.popleft().result()

            try:
                for frame in self._taken(length):
                    settling.append(settler.submit(self._settled, self._looked(frame), writer))
                    hand_on(AHEAD)
                if self._reading.over:
                    settling.append(settler.submit(self._ended, writer))
                hand_on(0)
            finally:
                for written in writing:
                    written.cancel()
                for settled in settling:
                    settled.cancel()
        return counts.done()

    def _taken(self, length: int) -> Iterator[Frame]:
        """The frames read for a piece: at first as many more as wait at its end.

        The next piece must not begin with a frame that this one has to be shown for.
        """
        most = length + (edges.AHEAD if self._job.steady and not self._waiting else 0)
        taken = 0
        while (frame := self._reading.peek()) is not None and (taken < most or frame.photo is None):
            taken += 1
            self._reading.next()
            yield frame

    def _looked(self, frame: Frame) -> _Looked:
        """The matte of a frame, those before it considered, and whether a new scene begins."""
        if frame.photo is None:
            if self._job.broken == "stop":
                raise BrokenPhotoError(
                    f"{self._job.clip.path}: frame {frame.number} is broken; --broken last or clear goes on"
                )
            return _Looked(frame, None, self._latest)
        glance = self._predictor.glance(frame.photo, self._job.context, considered=False)
        if not self._job.steady:
            return _Looked(frame, self._finished(glance), self._latest)
        steady = steadied(self._latest, glance)
        self._latest = steady.memory
        return _Looked(frame, self._finished(steady.glance), steady.memory, steady.cut)

    def _finished(self, glance: Glance) -> Matte:
        """The matte; empty where the thing is absent."""
        matte = self._predictor.finish(glance, refine=self._job.refine)
        return matte if self._job.keep_absent else matte.or_empty()

    # One frame after the other: a single thread settles them.

    def _settled(self, looked: _Looked, writer: Writer) -> list[_Ready]:
        """Takes in a frame; all those that need not wait any longer."""
        matte = looked.matte
        if matte is None:
            # So nothing waits for more than a few frames, however many cannot be read.
            return [*self._ended(writer), self._stood_in(looked, writer)]
        self._waiting.append((replace(looked, matte=None), matte))
        if not self._job.steady or matte.photo.alpha is not None:
            return self._released([matte.alpha], writer)
        answers, self.window = edges.extended(self.window, matte.photo.pixels, matte.alpha, cut=looked.cut)
        return self._released(answers, writer)

    def _ended(self, writer: Writer) -> list[_Ready]:
        """The frames that wait for others, which do not come."""
        answers, self.window = edges.ended(self.window), replace(self.window, waiting=0)
        return self._released(answers, writer)

    def _released(self, answers: list[Float32], writer: Writer) -> list[_Ready]:
        """The first frames that wait, with their alphas."""
        ready = []
        for alpha in answers:
            looked, matte = self._waiting.popleft()
            self._last = _Ready(looked, matte.status, writer.prepare(replace(matte, alpha=alpha)))
            ready.append(self._last)
        return ready

    def _stood_in(self, looked: _Looked, writer: Writer) -> _Ready:
        """What is shown for a frame that could not be read."""
        if self._last is None or self._job.broken != "last":
            return _Ready(looked, "broken", writer.prepare(blank(self._job.clip)))
        self._last = replace(self._last, looked=looked)
        return self._last


def black(clip: Clip) -> Photo:
    """A black frame at the size, depth and colours of a clip."""
    shape = clip.height, clip.width, 3
    pixels: Pixels = np.zeros(shape, np.uint8) if clip.depth == 8 else np.zeros(shape, np.uint16)
    return Photo(pixels, metadata=Metadata(cicp=clip.colours.cicp()))


def blank(clip: Clip) -> Matte:
    """Nothing at all, at the size of a clip."""
    nothing = np.zeros((1, 1), np.float32)
    return Matte(
        photo=black(clip),
        alpha=np.zeros((clip.height, clip.width), np.float32),
        presence=0.0,
        status="absent",
        guidance=Guidance(nothing[None], ("nothing",), nothing, nothing, 0.0),
    )
