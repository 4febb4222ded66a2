"""A clip in, a clip out: timing, sound, rotation, colours, alpha; traps 86 to 93."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from mattelike import photos
from mattelike.errors import BrokenPhotoError, MissingExtraError, OutputError, UsageError
from mattelike.models import Role
from mattelike.predictor import Predictor
from mattelike.prompts import Mask
from mattelike.values import Features, Float32
from mattelike.video import carry_out, engine, frames, making, probe
from mattelike.video.targets import Target, check
from tests.toy_model import ToyModel, toy
from tests.video.reel import job, opened, record, shot, sound_of, truth

SHOTS = [shot(t) for t in range(8)]


@pytest.mark.parametrize("suffix", [".mov", ".webm", ".mkv"])
def test_trap_86_uneven_timestamps_of_29_97_are_copied(tmp_path: Path, suffix: str) -> None:
    uneven = [0, 1001, 2002, 5005, 6006, 6507, 9009, 12012]
    source = record(tmp_path / "in.mp4", SHOTS, pts=uneven)
    carry_out(job(source, tmp_path / f"out{suffix}"), toy())
    times, _, alpha = opened(tmp_path / f"out{suffix}")
    wanted = [Fraction(each, 30000) for each in uneven]
    assert len(times) == len(uneven)
    slack = Fraction(0) if suffix == ".mov" else Fraction(1, 2000)  # Matroska counts in milliseconds
    assert max(abs(a - b) for a, b in zip(times, wanted, strict=True)) <= slack
    assert alpha is not None
    assert np.abs(alpha - [truth(t) for t in range(8)]).mean() < 0.02


def test_trap_87_sound_is_copied_bit_for_bit_and_rotation_applied(tmp_path: Path) -> None:
    source = record(tmp_path / "in.mp4", SHOTS, sound="aac", turn=90)
    assert (probe(source).width, probe(source).height) == (64, 96)
    carry_out(job(source, tmp_path / "out.mov"), toy())
    assert sound_of(tmp_path / "out.mov") == sound_of(source)
    with av.open(str(tmp_path / "out.mov")) as container:
        frame = next(container.decode(video=0))
        assert (frame.rotation, frame.width, frame.height) == (0, 64, 96)
    _, _, alpha = opened(tmp_path / "out.mov")
    assert alpha is not None
    # A turn by 90 degrees against the clock, as players show it.
    assert np.abs(alpha[2] - np.rot90(truth(2))).mean() < 0.02


@pytest.mark.parametrize("colours", [1, 6])
@pytest.mark.parametrize("suffix", [".mov", ".webm"])
def test_trap_87_colour_tags_and_colours_are_kept(tmp_path: Path, colours: int, suffix: str) -> None:
    source = record(tmp_path / "in.mp4", SHOTS, colours=colours)
    carry_out(job(source, tmp_path / f"out{suffix}"), toy())
    before, after = probe(source).colours, probe(tmp_path / f"out{suffix}").colours
    assert (before.matrix, before.primaries, before.transfer) == (colours, colours, colours)
    assert after == before
    _, shown, _ = opened(tmp_path / f"out{suffix}")
    middle = shown[3, 28:36, 22:30].reshape(-1, 3).mean(axis=0) / (257 if shown.dtype == np.uint16 else 1)
    assert np.abs(middle - SHOTS[3][30, 24]).max() < 4


def test_trap_87_sound_that_a_webm_cannot_hold_is_refused_or_coded_when_asked(tmp_path: Path) -> None:
    source = record(tmp_path / "in.mp4", SHOTS, sound="aac")
    with pytest.raises(UsageError, match="--audio opus"):
        check(Target(tmp_path / "out.webm", ".webm", "cutout"), probe(source))
    carry_out(job(source, tmp_path / "out.webm", sound="opus"), toy())
    with av.open(str(tmp_path / "out.webm")) as container:
        assert container.streams.audio[0].codec_context.name in ("opus", "libopus")
        heard = sum(frame.samples for frame in container.decode(audio=0))
    assert abs(heard - 8 * 1600) <= 2 * 960 + 1024
    with av.open(str(tmp_path / "out.webm")) as container:
        assert container.streams.video[0].metadata["alpha_mode"] == "1"


def test_trap_88_mp4_with_alpha_is_refused_with_the_alternatives(tmp_path: Path) -> None:
    clip = probe(record(tmp_path / "in.mp4", SHOTS))
    with pytest.raises(UsageError, match=r"\.mov .*\.webm .*--emit alpha.*--background"):
        check(Target(tmp_path / "out.mp4", ".mp4", "cutout"), clip)


@pytest.mark.parametrize(("suffix", "picture"), [(".mov", "cutout"), (".webm", "cutout"), (".mov", "alpha")])
def test_trap_89_odd_sizes_come_back_as_they_are(tmp_path: Path, suffix: str, picture: str) -> None:
    size = (63, 97)
    source = record(tmp_path / "in.mkv", [shot(t, size) for t in range(3)], codec="ffv1")
    carry_out(job(source, tmp_path / f"out{suffix}", picture=picture), toy())
    _, shown, alpha = opened(tmp_path / f"out{suffix}")
    assert shown.shape[1:3] == size
    found = alpha if alpha is not None else shown[..., 0].astype(np.float32) / np.iinfo(shown.dtype).max
    assert np.abs(found[1] - truth(1, size)).mean() < 0.03


def test_a_gray_matte_and_a_composite_as_mp4(tmp_path: Path) -> None:
    source = record(tmp_path / "in.mp4", SHOTS, sound="aac")
    carry_out(job(source, tmp_path / "matte.mp4", picture="alpha"), toy())
    carry_out(job(source, tmp_path / "blue.mp4", picture="composite", background=(20, 30, 220)), toy())
    _, matte, none = opened(tmp_path / "matte.mp4")
    _, blue, _ = opened(tmp_path / "blue.mp4")
    assert none is None
    assert np.abs(matte[4, ..., 0] / np.float32(255) - truth(4)).mean() < 0.03
    assert np.abs(blue[4, 2, 2].astype(int) - (20, 30, 220)).max() < 8
    assert sound_of(tmp_path / "blue.mp4") == sound_of(source)


@pytest.mark.parametrize("kind", ["png", "exr"])
def test_sequences_are_numbered_files(tmp_path: Path, kind: str) -> None:
    source = record(tmp_path / "in.mp4", SHOTS[:3])
    (tmp_path / "frames").mkdir()
    carry_out(job(source, tmp_path / "frames", kind=kind), toy())
    names = sorted(path.name for path in (tmp_path / "frames").iterdir())
    assert names == [f"{number:06d}.{kind}" for number in range(3)]
    if kind == "png":
        alpha = photos.read(tmp_path / "frames/000002.png").alpha
        assert alpha is not None
        assert np.abs(alpha / np.float32(255) - truth(2)).mean() < 0.02
        return
    with av.open(str(tmp_path / "frames/000002.exr")) as container:
        frame = next(container.decode(video=0))
        assert frame.format.name == "gbrapf16le"
        red, alpha = (np.frombuffer(frame.planes[k], "<f2").reshape(64, -1)[:, :96] for k in (2, 3))
    assert np.abs(alpha - truth(2)).mean() < 0.02
    assert abs(red[30, 24] - ((200 / 255 + 0.055) / 1.055) ** 2.4) < 0.05  # light, not code values
    assert red[2, 2] == 0  # premultiplied


class KilledError(Exception):
    pass


class Mortal(Predictor):
    """Dies after some frames."""

    def __init__(self, frames: int) -> None:
        super().__init__(toy().model)
        self.left, self.looks = frames, 0

    def glance(self, photo, context, **asked):  # type: ignore[no-untyped-def,override]
        self.left, self.looks = self.left - 1, self.looks + 1
        if self.left < 0:
            raise KilledError
        return super().glance(photo, context, **asked)


@pytest.mark.parametrize("suffix", [".mov", ".webm"])
def test_trap_90_a_killed_run_goes_on_by_piece_to_the_same_result(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "piece_length", lambda clip: 2)
    source = record(tmp_path / "in.mp4", SHOTS, sound="" if suffix == ".webm" else "aac")
    carry_out(job(source, tmp_path / f"whole{suffix}"), toy())
    with pytest.raises(KilledError):
        carry_out(job(source, tmp_path / f"out{suffix}"), Mortal(7))
    assert not (tmp_path / f"out{suffix}").exists()
    second = Mortal(100)
    summary = carry_out(job(source, tmp_path / f"out{suffix}"), second)
    # The first piece has two frames; five more, which wait for what comes after them, were looked at.
    assert (summary.frames, summary.resumed, second.looks) == (8, 2, 6)
    for one, other in zip(
        opened(tmp_path / f"out{suffix}"), opened(tmp_path / f"whole{suffix}"), strict=True
    ):
        assert np.array_equal(one, other)  # type: ignore[arg-type]
    assert not list(tmp_path.glob(".mattelike-*"))


def test_trap_90_other_settings_do_not_take_over_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "piece_length", lambda clip: 3)
    source = record(tmp_path / "in.mp4", SHOTS)
    with pytest.raises(KilledError):
        carry_out(job(source, tmp_path / "out.mov"), Mortal(7))
    assert carry_out(job(source, tmp_path / "out.mov", steady=False), toy()).resumed == 0


def damaged(path: Path, number: int) -> Path:
    """The same clip with the data of one frame overwritten."""
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        data = bytes(packets[number])
    whole = path.read_bytes()
    at = whole.index(data)
    path.write_bytes(whole[:at] + b"\xff" * len(data) + whole[at + len(data) :])
    return path


@pytest.mark.parametrize("broken", ["last", "clear", "stop"])
def test_trap_91_a_broken_frame_is_shown_as_asked_and_listed(tmp_path: Path, broken: str) -> None:
    source = damaged(record(tmp_path / "in.mkv", SHOTS, codec="ffv1", options={"g": "1"}), 4)
    assert [frame.number for frame in frames(probe(source)) if frame.photo is None] == [4]
    todo = job(source, tmp_path / "out.mov", broken=broken)
    if broken == "stop":
        with pytest.raises(BrokenPhotoError, match="frame 4"):
            carry_out(todo, toy())
        return
    summary = carry_out(todo, toy())
    assert (summary.frames, summary.broken) == (8, [4])
    times, _, alpha = opened(tmp_path / "out.mov")
    assert len(times) == 8
    assert alpha is not None
    if broken == "last":
        assert np.array_equal(alpha[4], alpha[3])
    else:
        assert not alpha[4].any()
    assert alpha[5].any()


def test_trap_91_a_clip_that_ends_in_its_midst_is_done_as_far_as_it_goes(tmp_path: Path) -> None:
    source = record(tmp_path / "in.mkv", SHOTS, codec="ffv1")
    data = source.read_bytes()
    source.write_bytes(data[: len(data) * 2 // 3])
    summary = carry_out(job(source, tmp_path / "out.mov"), toy())
    assert 2 <= summary.frames < 8


def test_trap_92_a_thing_that_leaves_and_returns_is_found_again(tmp_path: Path) -> None:
    shots = [shot(t, there=t not in (3, 4)) for t in range(8)]
    source = record(tmp_path / "in.mp4", shots)
    summary = carry_out(job(source, tmp_path / "out.mov"), toy())
    _, _, alpha = opened(tmp_path / "out.mov")
    assert alpha is not None
    assert alpha[3].max() < 0.02
    assert alpha[4].max() < 0.02
    assert np.abs(alpha[5] - truth(5)).mean() < 0.02
    assert summary.frames == 8


def test_trap_93_a_missing_encoder_is_found_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = probe(record(tmp_path / "in.mp4", SHOTS))
    codec = av.codec.Codec

    def poor(name: str, mode: str = "r") -> object:
        return codec("none of this name" if name == "prores_ks" else name, mode)

    monkeypatch.setattr(av.codec, "Codec", poor)
    with pytest.raises(OutputError, match=r"no encoder prores_ks.*pip install"):
        check(Target(tmp_path / "out.mov", ".mov", "cutout"), clip)


def test_trap_93_without_pyav_one_line_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mattelike\[video\]'"):
        engine.library()


class Counting(ToyModel):
    """A model that counts how often it looks."""

    def __init__(self) -> None:
        super().__init__()
        self.roles: list[Role] = []

    def features(self, images: Float32, role: Role) -> Features:
        self.roles.append(role)
        return super().features(images, role)


@pytest.mark.parametrize("steady", [True, False])
def test_A37_one_look_at_the_reference_and_one_a_frame_and_equal_frames_are_equal(
    tmp_path: Path, steady: bool
) -> None:
    source = record(tmp_path / "in.mkv", [shot(3)] * 5, codec="ffv1")
    model = Counting()
    predictor = Predictor(model)
    todo = job(source, tmp_path / "frames", kind="png", steady=steady)
    (tmp_path / "frames").mkdir()
    found = predictor.encode(shot(3), Mask(truth(3) > 0.5))
    carry_out(replace(todo, context=found), predictor)
    assert model.roles == ["reference"] + ["target"] * 5
    assert len({path.read_bytes() for path in (tmp_path / "frames").iterdir()}) == 1


def test_an_alpha_a_clip_has_is_multiplied_into_the_result(tmp_path: Path) -> None:
    source = record(tmp_path / "in.mp4", SHOTS)
    carry_out(job(source, tmp_path / "once.mov"), toy())
    assert probe(tmp_path / "once.mov").alpha
    assert probe(tmp_path / "once.mov").depth == 16
    carry_out(job(tmp_path / "once.mov", tmp_path / "twice.webm"), toy())
    assert probe(tmp_path / "twice.webm").alpha
    _, _, alpha = opened(tmp_path / "twice.webm")
    assert alpha is not None
    assert np.abs(alpha[3] - truth(3)).mean() < 0.02
