"""What a clip says of itself, read from its header alone."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from mattelike.errors import BrokenPhotoError, PhotoError, UnsupportedPhotoError
from mattelike.video import engine

# Code points of ITU-T H.273 that FFmpeg shares.
UNSPECIFIED, BT709, BT470BG, SMPTE170M, BT2020 = 2, 1, 5, 6, 9
RGB = 0
# Height above which players take an untagged clip for BT.709.
STANDARD_DEFINITION = 576
_TO_BT2020 = (9, 10)


@dataclass(frozen=True, slots=True)
class Colours:
    """How the colours of a clip are coded, by the code points of ITU-T H.273.

    Attributes:
        primaries: 1 is BT.709, 9 is BT.2020, 2 is unspecified.
        transfer: 16 is PQ, 18 is HLG.
        matrix: Between RGB and what is stored; 0 is RGB itself.
    """

    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED

    def cicp(self) -> tuple[int, int, int, int] | None:
        """What a `Photo` says of such colours once they are RGB; None for all that is shown as sRGB."""
        if self.transfer in (16, 18) or self.primaries == BT2020:
            return self.primaries, self.transfer, RGB, 1
        return None


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip.

    Attributes:
        path: Where it is.
        width: Columns as it is shown, its rotation applied.
        height: Rows as it is shown.
        time_base: Seconds of one unit of its timestamps.
        rate: Frames a second, on average.
        frames: How many frames its header promises; 0 where it does not say.
        seconds: Its length, or 0.
        depth: 8, or 16 for everything that has more than 8 bits.
        colours: How its colours are coded.
        aspect: Width of a pixel over its height, as it is shown.
        alpha: Whether it is transparent already.
        decoder: FFmpeg's name of the decoder that shows all of it.
        audio: FFmpeg's names of the codecs of its audio streams.
        subtitles: The same of its subtitles.
    """

    path: Path
    width: int
    height: int
    time_base: Fraction
    rate: Fraction
    frames: int = 0
    seconds: float = 0.0
    depth: int = 8
    colours: Colours = Colours()
    aspect: Fraction = Fraction(1)
    alpha: bool = False
    decoder: str = ""
    audio: tuple[str, ...] = ()
    subtitles: tuple[str, ...] = ()

    @property
    def matrix(self) -> int:
        """The matrix to read it with: its own, or what players take for an untagged clip of its size."""
        if self.colours.matrix != UNSPECIFIED:
            return self.colours.matrix
        return BT709 if min(self.width, self.height) > STANDARD_DEFINITION else SMPTE170M


def probe(path: str | Path) -> Clip:
    """Reads the header of a clip, and its first frame for what only that says.

    Raises:
        MissingExtraError: PyAV is not installed.
        BrokenPhotoError: It cannot be read, or no frame of it can.
        UnsupportedPhotoError: There is no picture in it, or no decoder for it.
    """
    av = engine.library()
    path = Path(path)
    with opened(path) as container:
        if not container.streams.video:
            raise UnsupportedPhotoError(f"{path}: there is no picture in it, only sound; name a clip")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise UnsupportedPhotoError(f"{path}: this FFmpeg has no decoder for its pictures")
        decoder = decoder_of(stream)
        first = _first_frame(av, container, stream, decoder, path)
        turned = first.rotation % 180 != 0
        aspect = Fraction(stream.sample_aspect_ratio or 1) or Fraction(1)
        return Clip(
            path=path,
            width=first.height if turned else first.width,
            height=first.width if turned else first.height,
            time_base=Fraction(stream.time_base),
            rate=Fraction(stream.average_rate or stream.guessed_rate or 25),
            frames=stream.frames,
            seconds=float((container.duration or 0) / av.time_base),
            depth=16 if max(part.bits for part in first.format.components) > 8 else 8,
            colours=_colours(first, stream.codec_context),
            aspect=1 / aspect if turned else aspect,
            alpha=has_alpha(first),
            decoder=decoder,
            audio=tuple(each.codec_context.name for each in container.streams.audio if each.codec_context),
            subtitles=tuple(
                each.codec_context.name for each in container.streams.subtitles if each.codec_context
            ),
        )


def opened(path: Path) -> Any:
    """A container for reading; close it.

    Raises:
        BrokenPhotoError: It cannot be read.
    """
    av = engine.library()
    if not path.is_file():
        raise PhotoError(f"{path}: no such clip")
    try:
        # Nothing but files: a playlist must not lead to addresses of the network or other files (trap 81).
        return av.open(str(path), metadata_errors="replace", options={"protocol_whitelist": "file"})
    except av.error.FFmpegError as error:
        raise BrokenPhotoError(f"{path}: cannot be read as a clip ({engine.reason(error)})") from error


def decoder_of(stream: Any) -> str:
    """The decoder to use: FFmpeg's own for VP8 and VP9 leave transparency out."""
    name: str = stream.codec_context.name
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    if name in ("vp8", "vp9") and tags.get("alpha_mode") == "1":
        return {"vp8": "libvpx", "vp9": "libvpx-vp9"}[name]
    return name


def has_alpha(frame: Any) -> bool:
    """Whether a decoded frame is transparent."""
    return any(part.is_alpha for part in frame.format.components)


def _first_frame(av: Any, container: Any, stream: Any, decoder: str, path: Path) -> Any:
    from mattelike.video.reading import decoder_for

    context = decoder_for(stream, decoder)
    try:
        for packet in container.demux(stream):
            try:
                for frame in context.decode(packet if packet.size else None):
                    return frame
            except av.error.FFmpegError:
                continue
    except av.error.FFmpegError as error:
        raise BrokenPhotoError(f"{path}: no frame of it can be read ({engine.reason(error)})") from error
    raise BrokenPhotoError(f"{path}: no frame of it can be read")


def _colours(frame: Any, container: Any) -> Colours:
    """What a frame says of its colours; what it leaves open, the container's header says.

    VP9 itself carries only the matrix, and the decoder that reads its alpha does not know the header.
    """
    matrix = int(frame.colorspace)
    if frame.format.is_rgb:
        matrix = RGB
    elif matrix in (RGB, BT470BG):  # RGB's own code means nothing for YUV; the two of PAL and NTSC are one
        matrix = SMPTE170M if matrix == BT470BG else UNSPECIFIED
    primaries, transfer = (
        int(header) if int(said) == UNSPECIFIED else int(said)
        for said, header in (
            (frame.color_primaries, container.color_primaries),
            (frame.color_trc, container.color_trc),
        )
    )
    return Colours(primaries, transfer, matrix)
