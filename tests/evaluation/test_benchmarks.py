"""Layouts, groups, references: what is read, what is refused, and who is whose reference."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mattelike import photos
from mattelike.errors import PhotoError, SettingsError, UsageError
from mattelike.evaluation.benchmarks import Benchmark, opened
from mattelike.evaluation.layouts import READERS, Extra
from mattelike.evaluation.protocols import Protocol, framed, named, squared, unknown
from mattelike.evaluation.questions import asked, committed, listed
from mattelike.evaluation.reading import Shelf, read_truth
from mattelike.training.pairing import Pairs


def picture(path: Path, level: int = 255, size: tuple[int, int] = (20, 24)) -> None:
    """A photo, or a mask whose middle has a level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[5:15, 6:18] = level
    photos.write_rgb(path, pixels)


def perseg(root: Path) -> None:
    for thing in ("mug", "toy"):
        for name in ("00", "01", "02"):
            picture(root / "Images" / thing / f"{name}.jpg")
            picture(root / "Annotations" / thing / f"{name}.png", 128)


def fss(root: Path) -> None:
    for name in ("1", "2", "10"):
        picture(root / "abacus" / f"{name}.jpg")
        picture(root / "abacus" / f"{name}.png")


def davis(root: Path) -> None:
    for name in ("00000", "00001"):
        picture(root / "JPEGImages" / "480p" / "bear" / f"{name}.jpg")
        picture(root / "Annotations" / "480p" / "bear" / f"{name}.png", 38)


def icm(root: Path) -> None:
    index = {}
    for name in ("a_00", "a_01"):
        picture(root / "image" / f"{name}.jpg")
        picture(root / "alpha" / f"{name}.png")
        index[name] = {"dataset_name": "ICM", "class": "dog", "sub_class": "rex", "HalfOrFull": "full"}
    (root / "index.json").write_text(json.dumps(index))
    (root / "groups.csv").write_text("group,relation,split\ndog-rex-full,instance,dreambooth\n")


def folders(root: Path) -> None:
    for name in ("one", "two"):
        picture(root / "cats" / "image" / f"{name}.jpg")
        picture(root / "cats" / "alpha" / f"{name}.png")
    (root / "cats" / "references.txt").write_text("two\n")


def clips(root: Path) -> None:
    for number in (9, 10, 8):
        picture(root / "take" / "image" / f"frame{number}.png")
        picture(root / "take" / "alpha" / f"frame{number}.png")


LAYOUTS: dict[str, tuple[Callable[[Path], None], int, str]] = {
    "perseg": (perseg, 6, "instance"),
    "fss-1000": (fss, 3, "category"),
    "davis": (davis, 2, "instance"),
    "icm-57": (icm, 2, "instance"),
    "folders": (folders, 2, "category"),
    "clips": (clips, 3, "instance"),
}


def first_references(bench: Benchmark) -> dict[str, str]:
    protocol = Protocol()
    questions = asked(bench, protocol, "references", Shelf(protocol))
    return {q.target.sample.name: q.references[0].sample.name for q in questions}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read(tmp_path: Path, layout: str) -> None:
    make, count, relation = LAYOUTS[layout]
    make(tmp_path)
    found = opened(f"{layout}:{tmp_path}")
    assert len(found.entries) == count
    assert {entry.relation for entry in found.entries} == {relation}
    assert found.clips == (layout in ("davis", "clips"))
    for entry in found.entries:
        assert read_truth(entry).sum() == 120, "whatever level marks the thing"


def test_every_layout_has_a_test() -> None:
    assert set(READERS) - set(LAYOUTS) == {"csv", "json", "aim-500"}


def test_aim_500_takes_groups_and_edited_alphas_from_beside(tmp_path: Path) -> None:
    for name in ("o_1", "o_2"):
        picture(tmp_path / "original" / f"{name}.jpg")
        picture(tmp_path / "mask" / f"{name}.png")
        picture(tmp_path / "trimap" / f"{name}.png", 128)
    with pytest.raises(UsageError, match="published without groups"):
        opened(f"aim-500:{tmp_path}")
    table = tmp_path / "groups-of.csv"
    table.write_text("name,group\no_1,cat\no_2.jpg,cat\n")
    edited = tmp_path / "edited"
    picture(edited / "o_2.png", 64)
    found = opened(f"aim-500:{tmp_path}", Extra(table, edited))
    one, two = found.entries
    assert {one.sample.group, two.sample.group} == {"cat"}
    assert two.sample.alpha == edited / "o_2.png" and two.sample.trimap is None
    assert one.sample.trimap is not None
    table.write_text("picture,kind\no_1,cat\n")
    with pytest.raises(UsageError, match="columns name,group"):
        opened(f"aim-500:{tmp_path}", Extra(table))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"recipes/mini_benchmark\.py"):
        opened("mini")
    with pytest.raises(UsageError, match="nothing is downloaded"):
        opened(f"perseg:{tmp_path / 'nowhere'}")
    perseg(tmp_path)
    (tmp_path / "Annotations" / "toy" / "01.png").unlink()
    with pytest.raises(UsageError, match=r"toy/01: no mask there"):
        opened(f"perseg:{tmp_path}")
    with pytest.raises(UsageError, match="is this another layout"):
        opened(f"davis:{tmp_path}")


def test_a_relation_is_instance_or_category(tmp_path: Path) -> None:
    folders(tmp_path)
    (tmp_path / "groups.csv").write_text("group,relation\ncats,friends\n")
    with pytest.raises(UsageError, match="'friends', it must be instance or category"):
        opened(str(tmp_path))


def test_trap_96_truth_and_picture_of_two_sizes(tmp_path: Path) -> None:
    folders(tmp_path)
    picture(tmp_path / "cats" / "alpha" / "one.png", size=(20, 20))
    entry = opened(str(tmp_path)).entries[0]
    with pytest.raises(PhotoError, match=r"20 x 20 pixels, its picture one\.jpg has 24 x 20"):
        Shelf(Protocol()).shown(entry)


def test_D24_the_fixed_reference_is_that_of_the_training_reader(tmp_path: Path) -> None:
    folders(tmp_path)
    bench = opened(str(tmp_path))
    pairs = Pairs([entry.sample for entry in bench.entries], policy="fixed")
    expected = {target.name: ref.name for ref, target in (pairs.pair(0, n) for n in range(len(pairs)))}
    assert first_references(bench) == expected


def test_D24_committed_references_and_a_list_of_ones_own(tmp_path: Path) -> None:
    perseg(tmp_path)
    bench = opened(f"perseg:{tmp_path}")
    assert committed()["perseg"] == {"*": ["00"]}
    found = first_references(bench)
    assert found["mug/01.jpg"] == found["mug/02.jpg"] == "mug/00.jpg"
    assert found["mug/00.jpg"] == "mug/01.jpg", "never itself"
    fixed = tmp_path / "fixed.json"
    fixed.write_text('{"mug": ["02"]}')
    protocol = Protocol()
    questions = list(asked(bench, protocol, "references", Shelf(protocol), listed(fixed)))
    assert {q.references[0].sample.name for q in questions if q.target.sample.name == "mug/00.jpg"} == {
        "mug/02.jpg"
    }
    fixed.write_text('{"mug": ["07"]}')
    with pytest.raises(UsageError, match="its reference '07' is not among its pictures"):
        list(asked(bench, protocol, "references", Shelf(protocol), listed(fixed)))
    fixed.write_text("[1]")
    with pytest.raises(UsageError, match="a list of references is"):
        listed(fixed)


def test_an_absent_picture_is_no_reference_and_a_reference_of_the_split_no_target(bench: Benchmark) -> None:
    protocol = Protocol(choices=3)
    questions = list(asked(bench, protocol, "references", Shelf(protocol)))
    assert {entry.split for q in questions for entry in q.references} == {"references"}
    assert "references" not in {q.target.split for q in questions}
    assert len(questions) == 8 * 3
    by_choice = [[q.references for q in questions if q.choice == c] for c in range(3)]
    assert by_choice[0] != by_choice[1] and by_choice[0] == by_choice[2], "there are two to choose from"


def test_several_references_are_as_many_as_there_are(bench: Benchmark) -> None:
    for count, expected in ((1, 1), (2, 2), (4, 2)):
        protocol = Protocol(references=count)
        questions = asked(bench, protocol, "references", Shelf(protocol))
        assert {len(q.references) for q in questions} == {expected}


def test_rounds_differ_only_where_a_hand_is_simulated(bench: Benchmark) -> None:
    for form, given, turns in (
        ("mask", "references", 1),
        ("click", "references", 3),
        ("click", "marks", 3),
        ("click", "trimap", 1),
        ("click", "nothing", 1),
    ):
        protocol = Protocol(form=form)  # type: ignore[arg-type]
        questions = asked(bench, protocol, given, Shelf(protocol))  # type: ignore[arg-type]
        assert len({q.turn for q in questions}) == turns, (form, given)


def test_a_picture_without_the_thing_cannot_carry_its_own_mark(bench: Benchmark) -> None:
    protocol = Protocol()
    for given in ("marks", "trimap"):
        questions = asked(bench, protocol, given, Shelf(protocol))  # type: ignore[arg-type]
        assert {q.target.split for q in questions} == {"scenes", "photo-to-render"}
    own = Protocol(own=True)
    questions = list(asked(bench, own, "references", Shelf(own)))
    assert questions and not any(q.references for q in questions)


def test_A27_release_geometry_takes_the_centre_square_and_native_leaves_all() -> None:
    pixels = np.zeros((30, 50, 3), np.uint8)
    pixels[:, 24:26] = 200
    photo = photos.read(pixels)
    assert framed(photo, None) is photo
    seen = framed(photo, 60)
    assert seen.pixels.shape == (60, 60, 3) and seen.pixels.dtype == np.uint8
    columns = np.flatnonzero(seen.pixels[30, :, 0] > 100)
    assert columns.min() == 28 and columns.max() == 31
    assert squared(pixels[..., 0], 15).shape == (15, 15)


def test_D31_what_is_unknown_lies_around_partial_alpha() -> None:
    alpha = np.zeros((40, 40), np.float32)
    alpha[:, 20:] = 1
    alpha[:, 19] = 0.5
    levels = unknown(alpha, 3)
    assert set(np.unique(levels)) == {0, np.float32(0.5), 1}
    assert np.array_equal(np.flatnonzero(levels[5] == 0.5), np.arange(16, 23))


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(SettingsError, match="no protocol is called 'icm'"):
        named("icm")
    with pytest.raises(SettingsError, match="no mark has the form"):
        named("native", form="lasso")
    with pytest.raises(SettingsError, match="start at 1"):
        named("icm-768", references=0)
    assert named("icm-768").side == 768
