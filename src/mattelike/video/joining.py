"""Pieces joined into the result: nothing is coded again, sound and subtitles come as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from mattelike.errors import OutputError
from mattelike.video import engine
from mattelike.video.clips import Clip, opened
from mattelike.video.targets import Target

_FORMATS = {".mov": "mov", ".mp4": "mp4", ".webm": "webm", ".mkv": "matroska"}
# What a file says of its own making, which would be wrong of another one.
_OWN = frozenset(("major_brand", "minor_version", "compatible_brands", "encoder", "duration"))


def join(pieces: Sequence[Path], target: Target, clip: Clip, partial: Path) -> None:
    """Writes the result, whole or not at all.

    Args:
        pieces: In order; at least one.
        target: The result.
        clip: Where sound, subtitles and descriptions come from.
        partial: What the file is called until it is whole, on the same disk.

    Raises:
        OutputError: It cannot be written.
    """
    av = engine.library()
    options = {"movflags": "+faststart"} if target.kind == ".mp4" else {}
    try:
        with (
            opened(clip.path) as source,
            av.open(str(partial), "w", format=_FORMATS[target.kind], options=options) as result,
        ):
            result.metadata.update({k: v for k, v in source.metadata.items() if k not in _OWN})
            video = _video_stream(av, result, pieces[0], target)
            sound = _Sound(av, source, result, target)
            for packet in _packets(av, pieces):
                sound.up_to(packet.pts * packet.time_base)
                packet.stream = video
                result.mux(packet)
            sound.up_to(None)
        partial.replace(target.path)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise OutputError(f"{target.path}: cannot be written ({engine.reason(error)})") from error
    finally:
        partial.unlink(missing_ok=True)


def _video_stream(av: Any, result: Any, piece: Path, target: Target) -> Any:
    with av.open(str(piece)) as first:
        stream = result.add_stream_from_template(first.streams.video[0])
        stream.time_base = first.streams.video[0].time_base
    if target.picture == "cutout" and target.kind in (".webm", ".mkv"):
        # From this the muxer writes the mark without which browsers show no transparency.
        stream.codec_context.pix_fmt = "yuva420p"
    return stream


def _packets(av: Any, pieces: Sequence[Path]) -> Iterator[Any]:
    for piece in pieces:
        with av.open(str(piece)) as container:
            for packet in container.demux(container.streams.video[0]):
                if packet.dts is not None:
                    yield packet


class _Sound:
    """Audio and subtitles of the clip, written as far as the pictures have come."""

    def __init__(self, av: Any, source: Any, result: Any, target: Target) -> None:
        self._av, self._result = av, result
        self._streams: dict[int, Any] = {}
        self._opus: dict[int, Any] = {}
        container = target.container
        assert container is not None
        streams = list(source.streams.audio) if target.sound != "none" else []
        for stream in streams:
            if target.sound == "opus":
                made = result.add_stream("libopus", rate=48_000)
                made.codec_context.layout = "stereo" if stream.codec_context.channels > 1 else "mono"
                self._opus[stream.index] = av.AudioResampler(
                    format=made.codec_context.format, layout=made.codec_context.layout, rate=48_000
                )
            else:
                made = result.add_stream_from_template(stream)
            made.metadata.update({k: v for k, v in stream.metadata.items() if k == "language"})
            self._streams[stream.index] = made
        for stream in source.streams.subtitles:
            held = container.subtitles
            if stream.codec_context and (held is None or stream.codec_context.name in held):
                self._streams[stream.index] = result.add_stream_from_template(stream)
                streams.append(stream)
        self._packets = source.demux(streams) if streams else iter(())
        self._ahead: Any = None

    def up_to(self, time: Fraction | None) -> None:
        """Writes all that begins before a time in seconds; None for all there is."""
        while True:
            packet = self._ahead if self._ahead is not None else next(self._packets, None)
            self._ahead = None
            if packet is None:
                return
            begins = packet.dts if packet.dts is not None else packet.pts
            if time is not None and begins is not None and begins * packet.time_base > time:
                self._ahead = packet
                return
            self._write(packet)

    def _write(self, packet: Any) -> None:
        index = packet.stream.index
        stream = self._streams[index]
        if index not in self._opus:
            if packet.dts is not None:
                packet.stream = stream
                self._result.mux(packet)
            return
        for frame in packet.decode():
            for part in self._opus[index].resample(frame):
                self._result.mux(stream.encode(part))
        if packet.dts is None:  # the last of its stream
            for part in self._opus[index].resample(None):
                self._result.mux(stream.encode(part))
            self._result.mux(stream.encode(None))
