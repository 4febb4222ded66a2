"""Coded pictures into files: pieces of a clip, or one file a frame."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from mattelike.errors import OutputError
from mattelike.mattes import Background, Matte
from mattelike.photos import TEMPORARY_PREFIX, TEMPORARY_SUFFIX
from mattelike.video import engine
from mattelike.video.clips import Clip
from mattelike.video.pictures import LIMITED, coded, colours_of, drawn
from mattelike.video.reading import Frame
from mattelike.video.targets import Coding, Target

PIECES: Mapping[str, tuple[str, str]] = {
    ".mov": (".mov", "mov"),
    ".mp4": (".mov", "mov"),
    ".webm": (".mkv", "matroska"),
    ".mkv": (".mkv", "matroska"),
}
"""Suffix and FFmpeg's name of the container of pieces, for each container of results."""


class Writer(Protocol):
    """Takes the mattes of one piece, in order."""

    def prepare(self, matte: Matte) -> Any:
        """What can be done for one frame alone, at the same time as others."""

    def add(self, frame: Frame, prepared: Any) -> None:
        """Writes a frame, with what `prepare` gave for it or for the one that is shown in its place."""

    def close(self) -> None:
        """The piece is whole."""

    def discard(self) -> None:
        """The piece is given up."""


class Piece:
    """Frames of one piece, coded into one file.

    Args:
        path: The file; appears when it is whole.
        target: What it is a piece of.
        clip: What it is made of.
        background: Behind composites.
    """

    def __init__(self, path: Path, target: Target, clip: Clip, background: Background | None) -> None:
        assert target.coding is not None
        self._coding: Coding = target.coding
        self._path, self._partial = path, path.with_suffix(".part")
        self._target, self._clip, self._background = target, clip, background
        self._container: Any = None
        self._stream: Any = None
        self._durations: dict[int, int] = {}

    def prepare(self, matte: Matte) -> Any:
        """The picture as a frame of the encoder's pixel format."""
        return coded(drawn(matte, self._target.picture, self._background), self._coding, self._clip)

    def add(self, frame: Frame, prepared: Any) -> None:
        """Encodes one frame.

        Raises:
            OutputError: It cannot be written.
        """
        av = engine.library()
        if self._stream is None:
            self._open(av, prepared)
        prepared.pts, prepared.time_base = frame.pts, self._clip.time_base
        prepared.duration = frame.duration
        if frame.duration:
            self._durations[frame.pts] = frame.duration
        self._mux(av, prepared)

    def close(self) -> None:
        """Ends the file and puts it in its place.

        Raises:
            OutputError: It cannot be written.
        """
        av = engine.library()
        self._mux(av, None)
        try:
            self._container.close()
            self._partial.replace(self._path)
        except (av.error.FFmpegError, OSError) as error:
            raise OutputError(f"{self._target.path}: cannot be written ({engine.reason(error)})") from error

    def discard(self) -> None:
        """Lets go of the file."""
        if self._container is not None:
            self._container.close()
        self._partial.unlink(missing_ok=True)

    def _open(self, av: Any, first: Any) -> None:
        clip = self._clip
        try:
            self._container = av.open(str(self._partial), "w", format=PIECES[self._target.kind][1])
            stream = self._container.add_stream(
                self._coding.encoder,
                rate=clip.rate.limit_denominator(100_000),
                options=dict(self._coding.options),
            )
        except (av.error.FFmpegError, OSError) as error:
            raise OutputError(f"{self._partial}: cannot be written ({engine.reason(error)})") from error
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, self._coding.pixels
        stream.time_base = stream.codec_context.time_base = clip.time_base
        stream.codec_context.sample_aspect_ratio = clip.aspect
        # Reordered frames would have pieces overlap where they are joined.
        stream.codec_context.max_b_frames = 0
        colours = colours_of(clip)
        stream.codec_context.color_primaries, stream.codec_context.color_trc = (
            colours.primaries,
            colours.transfer,
        )
        stream.codec_context.colorspace, stream.codec_context.color_range = colours.matrix, LIMITED
        self._stream = stream

    def _mux(self, av: Any, frame: Any) -> None:
        try:
            for packet in self._stream.encode(frame):
                packet.duration = self._durations.pop(packet.pts, packet.duration or 0)
                self._container.mux(packet)
        except (av.error.FFmpegError, OSError) as error:
            raise OutputError(f"{self._target.path}: cannot be written ({engine.reason(error)})") from error


class Sequence:
    """Frames of one piece, each a numbered file of its own.

    Args:
        target: The folder, and what is written.
        clip: What it is made of.
        background: Behind composites.
    """

    def __init__(self, target: Target, clip: Clip, background: Background | None) -> None:
        self._target, self._clip, self._background = target, clip, background

    def prepare(self, matte: Matte) -> Any:
        """The matte itself; or, for EXR, the file's content."""
        coding = self._target.coding
        if coding is None:
            return matte
        av = engine.library()
        frame = coded(drawn(matte, self._target.picture, self._background), coding, self._clip)
        context = av.codec.CodecContext.create(coding.encoder, "w")
        context.width, context.height, context.pix_fmt = frame.width, frame.height, coding.pixels
        context.time_base, context.options = self._clip.time_base, dict(coding.options)
        frame.pts = 0
        return b"".join(bytes(packet) for packet in (*context.encode(frame), *context.encode(None)))

    def add(self, frame: Frame, prepared: Any) -> None:
        """Writes one file, whole or not at all.

        Raises:
            OutputError: It cannot be written.
        """
        path = self._target.path / f"{frame.number:06d}.{self._target.kind}"
        if isinstance(prepared, Matte):
            prepared.save(path, self._target.picture, background=self._background)
            return
        partial = path.with_name(f"{TEMPORARY_PREFIX}{path.name}{TEMPORARY_SUFFIX}")
        try:
            partial.write_bytes(prepared)
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error

    def close(self) -> None:
        """Every file is in its place already."""

    def discard(self) -> None:
        """What is written stays; the piece is done again."""
