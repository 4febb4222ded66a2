"""The frames of a clip, one after the other: upright, with their timestamps, and none missing.

Every packet announces a frame by its timestamp. A frame that was announced and never came, because its data
is damaged or a decoder dropped it, is given as one without pixels in its turn: sound and picture stay
together, and whoever reads decides what is shown instead (trap 91).
"""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mattelike.errors import BrokenPhotoError
from mattelike.values import Metadata, Photo, Pixels
from mattelike.video import engine
from mattelike.video.clips import RGB, Clip, has_alpha, opened

# FFmpeg's scaler has the matrices of ITU-T H.273 under numbers of its own.
SCALER = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame of a clip.

    Attributes:
        number: From 0.
        pts: When it is shown, in units of the clip's time base.
        duration: For how long; 0 where nobody says.
        photo: What it shows, upright; None when it is broken.
    """

    number: int
    pts: int
    duration: int
    photo: Photo | None


def frames(clip: Clip, *, after: int | None = None, number: int = 0) -> Generator[Frame, None, None]:
    """All frames of a clip, each once, in the order they are shown.

    Args:
        clip: From `probe`.
        after: Only frames shown later than this timestamp; earlier ones are sought past, not decoded.
        number: Number of the first frame that is given.

    Raises:
        BrokenPhotoError: The file ends in its midst or cannot be read on.
    """
    av = engine.library()
    with opened(clip.path) as container:
        stream = container.streams.video[0]
        context = decoder_for(stream, clip.decoder)
        if after is not None:
            _seek(av, container, stream, after)
        ordered = _Ordered(clip, after, number)
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError as error:
                yield from ordered.rest()
                raise BrokenPhotoError(
                    f"{clip.path}: ends in its midst ({engine.reason(error)}); frames up to there were read"
                ) from error
            if packet is None:
                break
            ordered.announce(packet)
            yield from ordered.taken(_decoded(av, context, packet))
        yield from ordered.rest()


def decoder_for(stream: Any, name: str) -> Any:
    """A decoder of a stream that says of every packet whether it could be read."""
    context = stream.codec_context
    if context.name not in (name, f"lib{name}") and name.startswith("libvpx"):
        av = engine.library()
        context = av.codec.CodecContext.create(name, "r")
        context.extradata = stream.codec_context.extradata
        return context
    # Threads that hold several frames would tell of damage when another packet's turn is.
    context.thread_type = "SLICE"
    context.options = {**context.options, "err_detect": "explode"}
    return context


def _seek(av: Any, container: Any, stream: Any, after: int) -> None:
    try:
        container.seek(after, stream=stream, backward=True)
    except av.error.FFmpegError:
        container.seek(0)


def _decoded(av: Any, context: Any, packet: Any) -> list[Any]:
    """Frames that a packet gives; none when it is damaged."""
    try:
        return list(context.decode(packet if packet.size else None))
    except av.error.EOFError:
        return []
    except av.error.FFmpegError:
        if not packet.size:
            raise
        return []


class _Ordered:
    """Puts frames in order, and broken ones in the places of those that were announced and never came."""

    def __init__(self, clip: Clip, after: int | None, number: int) -> None:
        self._clip = clip
        self._after = after
        self._number = number
        self._announced: list[int] = []
        self._last: int | None = after
        self._step = max(1, round(1 / clip.rate / clip.time_base))

    def announce(self, packet: Any) -> None:
        """A packet has come, whatever becomes of it."""
        if packet.size and packet.pts is not None and not packet.is_discard:
            heapq.heappush(self._announced, packet.pts)

    def taken(self, decoded: list[Any]) -> Iterator[Frame]:
        """Frames that were decoded, after those that must be missing."""
        for frame in decoded:
            if frame.pts is not None:
                yield from self._missing(frame.pts)
            yield from self._given(frame.pts, frame)

    def rest(self) -> Iterator[Frame]:
        """All that was announced and did not come."""
        while self._announced:
            yield from self._given(heapq.heappop(self._announced), None)

    def _missing(self, until: int) -> Iterator[Frame]:
        while self._announced and self._announced[0] < until:
            yield from self._given(heapq.heappop(self._announced), None)
        if self._announced and self._announced[0] == until:
            heapq.heappop(self._announced)

    def _given(self, pts: int | None, frame: Any) -> Iterator[Frame]:
        if self._after is not None and pts is not None and pts <= self._after:
            return
        # Timestamps that are missing or go backwards (broken muxers) cannot be written anywhere.
        earliest = 0 if self._last is None else self._last + 1
        if pts is None:
            pts = earliest if self._last is None else self._last + self._step
        elif self._last is not None:
            pts = max(pts, earliest)
        self._last = pts
        photo = None if frame is None or frame.is_corrupt else _photo(frame, self._clip, self._number)
        duration = 0 if frame is None else int(frame.duration or 0)
        yield Frame(self._number, pts, duration, photo)
        self._number += 1


def _photo(frame: Any, clip: Clip, number: int) -> Photo:
    turns = round(frame.rotation / 90) % 4
    depth = 16 if clip.depth == 16 else 8
    alpha = has_alpha(frame)
    wanted = {8: ("rgb24", "rgba"), 16: ("rgb48le", "rgba64le")}[depth][alpha]
    matrix = SCALER.get(clip.matrix)
    how = {} if frame.format.is_rgb or clip.matrix == RGB else {"src_colorspace": matrix}
    try:
        shown = frame.reformat(format=wanted, **how).to_ndarray()
    except ValueError as error:
        raise BrokenPhotoError(f"{clip.path}: frame {number} cannot be read ({error})") from error
    upright = np.ascontiguousarray(np.rot90(shown, turns))
    pixels: Pixels = np.ascontiguousarray(upright[..., :3]) if alpha else upright
    cicp = clip.colours.cicp()
    return Photo(
        pixels=pixels,
        alpha=np.ascontiguousarray(upright[..., 3]) if alpha else None,
        name=f"{clip.path.name}, frame {number}",
        metadata=Metadata() if cicp is None else Metadata(cicp=cicp),
    )


def frame_at(clip: Clip, number: int) -> Photo:
    """One frame, by its number from 0.

    Raises:
        BrokenPhotoError: It is broken, or there are not so many.
    """
    for frame in frames(clip):
        if frame.number == number:
            if frame.photo is None:
                raise BrokenPhotoError(f"{clip.path}: frame {number} is broken; mark another one")
            return frame.photo
    raise BrokenPhotoError(f"{clip.path}: has no frame {number}; the first is 0")
