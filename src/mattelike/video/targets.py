"""What a clip can be written as: one row a kind of file, all that is asked of it known before the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mattelike.errors import OutputError, UsageError
from mattelike.video import engine
from mattelike.video.clips import Clip
from mattelike.video.segments import PREFIX, SUFFIX

Picture = Literal["cutout", "alpha", "composite"]
PICTURES: tuple[Picture, ...] = ("cutout", "alpha", "composite")
Sound = Literal["copy", "opus", "none"]

_PRORES = {"vendor": "apl0", "bits_per_mb": "8000"}
_VP9 = {"crf": "18", "b:v": "0", "deadline": "good", "cpu-used": "5", "row-mt": "1"}
_H264 = {"crf": "16", "preset": "medium"}
# What no muxer of FFmpeg says of itself: the codecs that players of a container expect in it.
_IN_MOV = frozenset(
    (
        *("aac", "alac", "mp3", "ac3", "eac3", "mp2"),
        *(
            "pcm_s16le",
            "pcm_s16be",
            "pcm_s24le",
            "pcm_s24be",
            "pcm_s32le",
            "pcm_f32le",
            "pcm_u8",
            "pcm_mulaw",
        ),
    )
)
_IN_MP4 = frozenset(("aac", "alac", "mp3", "ac3", "eac3", "opus", "flac"))
_IN_WEBM = frozenset(("opus", "vorbis"))


@dataclass(frozen=True, slots=True)
class Coding:
    """How one kind of picture is stored.

    Attributes:
        encoder: FFmpeg's name.
        pixels: FFmpeg's name of the pixel format.
        options: Of the encoder.
    """

    encoder: str
    pixels: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Container:
    """A kind of file.

    Attributes:
        suffix: Such as ``".mov"``.
        codings: How each picture it can hold is stored.
        audio: Codecs it takes as they are; None for all.
        subtitles: The same for subtitles.
        clock: Its time base, as a number of ticks a second; 0 for the clip's own.
    """

    suffix: str
    codings: Mapping[Picture, Coding]
    audio: frozenset[str] | None = None
    subtitles: frozenset[str] | None = frozenset()
    clock: int = 0


_PRORES_422 = Coding("prores_ks", "yuv422p10le", {**_PRORES, "profile": "hq"})
_VP9_ALPHA = Coding("libvpx-vp9", "yuva420p", {**_VP9, "auto-alt-ref": "0"})
_VP9_OPAQUE = Coding("libvpx-vp9", "yuv420p", _VP9)
_H264_OPAQUE = Coding("libx264", "yuv420p", _H264)
_IN_VP9: Mapping[Picture, Coding] = {"cutout": _VP9_ALPHA, "alpha": _VP9_OPAQUE, "composite": _VP9_OPAQUE}

CONTAINERS: Mapping[str, Container] = {
    row.suffix: row
    for row in (
        Container(
            ".mov",
            {
                "cutout": Coding(
                    "prores_ks", "yuva444p10le", {**_PRORES, "profile": "4444", "alpha_bits": "16"}
                ),
                "alpha": _PRORES_422,
                "composite": _PRORES_422,
            },
            _IN_MOV,
            frozenset(("mov_text",)),
        ),
        Container(".webm", _IN_VP9, _IN_WEBM, frozenset(("webvtt",)), 1000),
        Container(".mkv", _IN_VP9, None, frozenset(("subrip", "ass", "webvtt", "dvd_subtitle")), 1000),
        Container(
            ".mp4",
            {"alpha": _H264_OPAQUE, "composite": _H264_OPAQUE},
            _IN_MP4,
            frozenset(("mov_text",)),
        ),
    )
}
SEQUENCES = ("png", "exr")
"""Numbered pictures in a folder."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the result goes, and as what.

    Attributes:
        path: The file, or the folder of a sequence.
        kind: Suffix of a container, such as ``".mov"``, or one of `SEQUENCES`.
        picture: What is written of each frame.
        sound: What becomes of the audio.
    """

    path: Path
    kind: str
    picture: Picture
    sound: Sound = "copy"

    @property
    def container(self) -> Container | None:
        """The kind of file; None for a sequence."""
        return CONTAINERS.get(self.kind)

    @property
    def coding(self) -> Coding | None:
        """How its pictures are stored; None for a sequence of PNG."""
        if self.container is not None:
            return self.container.codings[self.picture]
        if self.kind == "exr":
            pixels = {"cutout": "gbrapf32le", "alpha": "grayf32le", "composite": "gbrpf32le"}[self.picture]
            return Coding("exr", pixels, {"compression": "zip16", "format": "half"})
        return None


def check(target: Target, clip: Clip) -> tuple[str, ...]:
    """Refuses what cannot be written as it was asked for, before anything is begun.

    Returns:
        What will be left out, one sentence each.

    Raises:
        UsageError: A file that cannot hold the picture or the sound (traps 87 and 88).
        OutputError: No encoder for it (trap 93).
        MissingExtraError: PyAV is not installed.
    """
    container = target.container
    if container is None and target.kind not in SEQUENCES:
        known = ", ".join((*CONTAINERS, "a folder with --format png or exr"))
        raise UsageError(f"{target.path}: no clip is written as {target.kind!r}; there are: {known}")
    if container is not None and target.picture not in container.codings:
        raise UsageError(
            f"{target.path}: MP4 (H.264) cannot be transparent; write a .mov (ProRes 4444) or a .webm (VP9), "
            "the matte alone with --emit alpha, or put the thing on a --background"
        )
    if target.kind == "exr" and clip.colours.cicp() is not None:
        raise UsageError(f"{clip.path}: EXR is written for clips in BT.709 colours; write png or a .mov")
    if target.coding is not None:
        engine.check_encoder(target.coding.encoder, str(target.path))
    if target.sound == "opus" and container is not None:
        engine.check_encoder("libopus", str(target.path))
    return _left_out(target, clip)


def _left_out(target: Target, clip: Clip) -> tuple[str, ...]:
    container = target.container
    notes = []
    if container is None:
        if clip.audio and target.sound != "none":
            notes.append(f"pictures have no sound: the audio stays in {clip.path}")
        return tuple(notes)
    allowed = container.audio
    foreign = [name for name in clip.audio if allowed is not None and name not in allowed]
    if foreign and target.sound == "copy":
        raise UsageError(
            f"{target.path}: a {target.kind} cannot hold the clip's audio ({foreign[0]}) as it is; write a "
            ".mov or .mkv, turn it into Opus with --audio opus, or leave it out with --audio none"
        )
    if target.sound == "opus" and clip.audio and allowed is not None and "opus" not in allowed:
        raise UsageError(f"{target.path}: a {target.kind} holds no Opus; leave --audio out, or write a .webm")
    held = container.subtitles
    lost = sorted({name for name in clip.subtitles if held is not None and name not in held})
    if lost:
        notes.append(f"a {target.kind} cannot hold subtitles of the kind {', '.join(lost)}: left out")
    return tuple(notes)


def target_for(
    output: str,
    clip: Clip,
    picture: Picture | None,
    background: bool,
    kind: str | None,
    sound: Sound,
    many: bool,
) -> Target:
    """Where one clip's result goes.

    Args:
        output: As typed: a file, or a folder.
        clip: What it is made of.
        picture: What was asked for, or None.
        background: Whether there is a background: then composites are wanted.
        kind: Format asked for in a folder, such as ``"mov"`` or ``"png"``; None for the default.
        sound: What becomes of the audio.
        many: Several clips: `output` is a folder, whatever it is called.

    Raises:
        UsageError: A file for several clips, or a background for something else than a composite.
    """
    chosen: Picture = picture or ("composite" if background else "cutout")
    if background and chosen != "composite":
        raise UsageError("--background is for composites; leave --emit out, or --background")
    path = Path(output)
    suffix = path.suffix.lower()
    if suffix and not path.is_dir() and (suffix in CONTAINERS or kind is None):
        if many:
            raise UsageError(f"{output} is one file, but several clips are named; give a folder with -o")
        if kind is not None and f".{kind}" != suffix:
            raise UsageError(f"{output} is no {kind}; leave --format out, or give a folder with -o")
        return Target(path, suffix, chosen, sound)
    kind = kind or "mov"
    if kind in SEQUENCES:
        return Target(path / clip.path.stem if many else path, kind, chosen, sound)
    return Target(path / f"{clip.path.stem}.{kind}", f".{kind}", chosen, sound)


def existing(target: Target) -> bool:
    """Whether a result is there already; what a killed run left of a sequence is none."""
    if target.container is not None:
        return target.path.exists()
    begun = (target.path.parent / f"{PREFIX}{target.path.name}{SUFFIX}").exists()
    return target.path.is_dir() and not begun and any(target.path.glob(f"*.{target.kind}"))


def check_place(target: Target, clip: Clip) -> None:
    """Refuses a place that cannot be written to (trap 18).

    Raises:
        OutputError: It cannot.
        UsageError: It is the clip itself.
    """
    if target.path.exists() and target.path.samefile(clip.path):
        raise UsageError(f"{target.path} is the clip itself; write the result somewhere else")
    folder = target.path.parent if target.container is not None else target.path
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror or error})") from error
