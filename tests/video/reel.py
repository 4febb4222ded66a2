"""Small clips with a red thing on green, and how they are opened again."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from mattelike.contexts import Context
from mattelike.prompts import Mask
from mattelike.video import ClipJob, Target, probe
from tests.batch.rooms import GREEN, RED, red_mask
from tests.toy_model import toy

RATE = Fraction(30000, 1001)


def shot(
    t: int, size: tuple[int, int] = (64, 96), *, there: bool = True, ground: tuple[int, ...] = GREEN
) -> np.ndarray:
    """A red square that has moved `t` steps to the right."""
    pixels = np.empty((*size, 3), np.uint8)
    pixels[:] = ground
    if there:
        pixels[20:44, 8 + 2 * t : 32 + 2 * t] = RED
    return pixels


def truth(t: int, size: tuple[int, int] = (64, 96)) -> np.ndarray:
    return red_mask(shot(t, size)).astype(np.float32)


def record(
    path: Path,
    shots: Sequence[np.ndarray],
    *,
    pts: Sequence[int] | None = None,
    clock: Fraction = 1 / RATE / 1001,
    codec: str = "libx264",
    pixels: str = "yuv444p",
    sound: str = "",
    turn: int = 0,
    colours: int = 1,
    options: dict[str, str] | None = None,
) -> Path:
    """Writes a clip; its matrix, primaries and transfer are those of BT.709 unless told otherwise."""
    pts = [1001 * number for number in range(len(shots))] if pts is None else pts
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        chosen = options or ({"crf": "6"} if codec == "libx264" else {})
        stream = container.add_stream(codec, rate=RATE, options=chosen)
        stream.height, stream.width = shots[0].shape[:2]
        stream.pix_fmt, stream.time_base, stream.codec_context.time_base = pixels, clock, clock
        context = stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = colours
        context.color_range = 1
        if turn:
            stream.set_display_rotation(turn)
        audio = container.add_stream(sound, rate=48_000) if sound else None
        if audio is not None:
            audio.codec_context.layout = "mono"
        for number, (shown, when) in enumerate(zip(shots, pts, strict=True)):
            frame = av.VideoFrame.from_ndarray(shown, format="rgb24").reformat(
                format=pixels, dst_colorspace={1: 1, 6: 5}.get(colours, 5), dst_color_range="MPEG"
            )
            frame.pts, frame.time_base = when, clock
            frame.colorspace, frame.color_range = colours, 1
            container.mux(stream.encode(frame))
            if audio is not None:
                container.mux(audio.encode(_tone(number)))
        container.mux(stream.encode(None))
        if audio is not None:
            container.mux(audio.encode(None))
    return path


def _tone(number: int) -> av.AudioFrame:
    samples = np.sin(np.arange(1600 * number, 1600 * (number + 1)) * 2 * np.pi * 440 / 48_000)
    frame = av.AudioFrame.from_ndarray((samples * 8000).astype(np.int16)[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = 48_000, 1600 * number, Fraction(1, 48_000)
    return frame


def context() -> Context:
    """Red things."""
    return toy().encode(shot(3), Mask(red_mask(shot(3))))


def job(source: Path, out: Path, **how: object) -> ClipJob:
    """A cut-out of a clip, unless told otherwise."""
    picture, sound = how.pop("picture", "cutout"), how.pop("sound", "copy")
    kind = how.pop("kind", out.suffix)
    target = Target(out, str(kind), picture, sound)  # type: ignore[arg-type]
    return ClipJob(probe(source), target, context(), "red", **how)  # type: ignore[arg-type]


def opened(path: Path) -> tuple[list[Fraction], np.ndarray, np.ndarray | None]:
    """Seconds, colours and alpha of all frames."""
    clip = probe(path)
    times, colours, alphas = [], [], []
    from mattelike.video import frames

    for frame in frames(clip):
        assert frame.photo is not None
        times.append(frame.pts * clip.time_base)
        colours.append(frame.photo.pixels)
        if frame.photo.alpha is not None:
            top = np.iinfo(frame.photo.alpha.dtype).max
            alphas.append(frame.photo.alpha.astype(np.float32) / top)
    return times, np.stack(colours), np.stack(alphas) if alphas else None


def sound_of(path: Path) -> list[bytes]:
    """The audio packets, as they are stored."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]
