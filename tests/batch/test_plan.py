"""Which photo goes where."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mattelike.batch.finding import Found
from mattelike.batch.jobs import Settings, Task
from mattelike.batch.names import folded, natural_key
from mattelike.batch.plan import Plan, _Naming, plan_file, plan_folder


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def outputs(plan: Plan) -> dict[str, str]:
    """Source to the first output, both short."""
    return {Path(task.source).name: task.outputs[0][1] for task in plan.tasks}


def folder(tmp_path: Path, *names: str, settings: Settings | None = None, **more: object) -> Plan:
    touch(tmp_path / "in", *names)
    return plan_folder([str(tmp_path / "in")], tmp_path / "out", settings or Settings(), **more)  # type: ignore[arg-type]


def test_a_folder_is_mirrored_in_natural_order(tmp_path: Path) -> None:
    plan = folder(tmp_path, "x10.jpg", "x2.jpg", "b/y.png", "a/1.webp")
    assert [task.outputs for task in plan.tasks] == [
        (("cutout", "a/1.png"), ("alpha", "a/1.matte.png")),
        (("cutout", "b/y.png"), ("alpha", "b/y.matte.png")),
        (("cutout", "x2.png"), ("alpha", "x2.matte.png")),
        (("cutout", "x10.png"), ("alpha", "x10.matte.png")),
    ]


def test_several_folders_keep_their_names(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.jpg", "b/x.jpg", "c.jpg")
    plan = plan_folder([str(tmp_path / n) for n in ("a", "b", "c.jpg")], tmp_path / "out", Settings())
    assert [task.stem for task in plan.tasks] == ["a/x", "b/x", "c"]


def test_trap_15_same_stem_other_suffix_keeps_the_suffix(tmp_path: Path) -> None:
    plan = folder(tmp_path, "x.jpg", "x.webp", "y.jpg")
    assert outputs(plan) == {"x.jpg": "x.jpg.png", "x.webp": "x.webp.png", "y.jpg": "y.png"}


def test_trap_15_names_that_differ_in_case_only(tmp_path: Path) -> None:
    plan = folder(tmp_path, "X.JPG", "x.jpg")
    names = [name for task in plan.tasks for _, name in task.outputs]
    assert len({folded(name) for name in names}) == 4


def test_trap_15_files_of_one_name_from_several_folders(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.jpg", "b/x.jpg", "b/y.jpg")
    named = [str(tmp_path / n) for n in ("a/x.jpg", "b/x.jpg", "b/y.jpg")]
    plan = plan_folder(named, tmp_path / "out", Settings())
    assert [task.stem for task in plan.tasks] == ["a/x", "b/x", "b/y"]


def test_trap_15_a_photo_called_like_the_matte_of_another(tmp_path: Path) -> None:
    touch(tmp_path, "x.jpg", "x.matte.jpg")
    plan = plan_folder([str(tmp_path / "x.jpg"), str(tmp_path / "x.matte.jpg")], tmp_path / "out", Settings())
    assert [Path(task.source).name for task in plan.tasks] == ["x.jpg"]


def test_trap_15_a_folder_called_like_an_output(tmp_path: Path) -> None:
    plan = folder(tmp_path, "x.png/y.jpg", "x.jpg")
    assert {task.stem for task in plan.tasks} == {"x.png/y", "x.jpg"}


def test_trap_15_numbered_things_meet_no_other_photo(tmp_path: Path) -> None:
    plan = folder(tmp_path, "x.jpg", "x.1.jpg", settings=Settings(instances=True))
    names = [name for task in plan.tasks for number in (None, 1, 2) for _, name in task.outputs_of(number)]
    assert len(set(names)) == len(names)


NAMES = st.text(st.sampled_from("aAbB1.éÉ\u0301-_ "), min_size=1, max_size=5).filter(
    lambda name: name.strip(". ") != "" and not name.startswith(".")
)
PATHS = st.builds(
    lambda parents, name, suffix: "/".join([*parents, name + suffix]),
    st.lists(NAMES, max_size=2),
    NAMES,
    st.sampled_from([".jpg", ".JPG", ".png", ".webp", ".matte.png", ".1.jpg", ""]),
)


@given(st.lists(PATHS, min_size=1, max_size=12, unique=True), st.booleans())
def test_trap_15_no_two_photos_ever_share_an_output(relatives: list[str], instances: bool) -> None:
    out = Path("/nowhere/out")
    found = [Found(f"/nowhere/out/{relative}", relative) for relative in relatives]
    tasks = _Naming(out, Settings(instances=instances), ".png", found).tasks()
    numbers = (None, 1, 10) if instances else (None,)
    names = [folded(name) for task in tasks for number in numbers for _, name in task.outputs_of(number)]
    assert len(set(names)) == len(names)
    inputs = {folded(f"/nowhere/out/{relative}") for relative in relatives}
    plain = [name for task in tasks for _, name in task.outputs]
    assert not {folded(f"/nowhere/out/{name}") for name in plain} & inputs
    parents = {folded(str(parent)) for name in plain for parent in Path(name).parents}
    assert not parents & set(names)


def test_trap_16_outputs_inside_the_input_folder_are_no_inputs(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "out/old.jpg", "deep/b.jpg")
    plan = plan_folder([str(tmp_path)], tmp_path / "out", Settings())
    assert [task.stem for task in plan.tasks] == ["a", "deep/b"]


def test_trap_16_output_folder_is_the_input_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.png", "a.png", "a.matte.png", "_sheet/1.jpg")
    plan = plan_folder([str(tmp_path)], tmp_path, Settings(), ours=["a.png", "a.matte.png"])
    assert {Path(t.source).name: t.stem for t in plan.tasks} == {"a.jpg": "a", "b.png": "b.png"}
    assert any("2 outputs of earlier runs" in note for note in plan.notes)


def test_trap_16_outputs_are_no_inputs_when_a_shell_names_them(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "a.png", "a.matte.png")
    named = [str(tmp_path / n) for n in ("a.jpg", "a.matte.png", "a.png")]
    plan = plan_folder(named, tmp_path, Settings(), ours=["a.png", "a.matte.png"])
    assert [Path(task.source).name for task in plan.tasks] == ["a.jpg"]


def test_trap_17_links_that_lead_round_are_not_followed(tmp_path: Path) -> None:
    touch(tmp_path / "in", "a/x.jpg")
    (tmp_path / "in/a/loop").symlink_to(tmp_path / "in", target_is_directory=True)
    (tmp_path / "in/out-of-here.jpg").symlink_to("/etc/hostname")
    plan = folder(tmp_path)
    assert [task.stem for task in plan.tasks] == ["a/x"]
    assert sum("not followed" in note for note in plan.notes) == 2


def test_trap_17_followed_links_end_all_the_same(tmp_path: Path) -> None:
    touch(tmp_path, "in/a/x.jpg", "elsewhere/y.jpg")
    (tmp_path / "in/a/loop").symlink_to(tmp_path / "in", target_is_directory=True)
    (tmp_path / "in/more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "in/again.jpg").symlink_to(tmp_path / "in/a/x.jpg")
    plan = folder(tmp_path, follow_links=True)
    assert sorted(Path(os.path.realpath(task.source)).name for task in plan.tasks) == ["x.jpg", "y.jpg"]


def test_trap_17_pipes_and_sockets_are_left_alone(tmp_path: Path) -> None:
    touch(tmp_path / "in", "a.jpg")
    os.mkfifo(tmp_path / "in/pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        before = Path.cwd()
        os.chdir(tmp_path / "in")
        try:
            server.bind("s.jpg")
        finally:
            os.chdir(before)
        plan = folder(tmp_path)
    assert [task.stem for task in plan.tasks] == ["a"]
    assert sum("no regular file" in note for note in plan.notes) == 2


@pytest.mark.parametrize(
    "name", ["a b.jpg", "new\nline.jpg", "\N{CAT FACE}.jpg", "-rf.jpg", "a" * 251 + ".jpg"]
)
def test_trap_14_odd_names_have_outputs_that_can_be_written(tmp_path: Path, name: str) -> None:
    plan = folder(tmp_path, name)
    (task,) = plan.tasks
    for number in (None, 123):
        for _, output in task.outputs_of(number):
            assert len(output.encode()) <= 255 - len(".premultiplied")


def test_trap_14_names_that_are_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"x")
    (task,) = folder(tmp_path).tasks
    assert task.stem == "caf%E9"
    assert Path(task.source).read_bytes() == b"x"


def test_trap_14_long_names_that_share_a_beginning_stay_apart(tmp_path: Path) -> None:
    plan = folder(tmp_path, "a" * 240 + "1.jpg", "a" * 240 + "2.jpg")
    assert len({task.stem for task in plan.tasks}) == 2


def test_trap_22_pictures_that_are_not_read_are_tried_and_so_named(tmp_path: Path) -> None:
    plan = folder(tmp_path, "a.CR2", "b.svg", "c.txt", ".hidden.jpg", "d.jpg")
    assert [Path(task.source).name for task in plan.tasks] == ["a.CR2", "b.svg", "d.jpg"]
    assert "1 hidden left out" in plan.notes
    assert "1 other files left out (.txt)" in plan.notes


def test_patterns_that_no_shell_expanded(tmp_path: Path) -> None:
    touch(tmp_path, "a/x1.jpg", "b/x2.jpg", "b/y.jpg")
    plan = plan_folder([str(tmp_path / "**" / "x*.jpg")], tmp_path / "out", Settings())
    assert [task.stem for task in plan.tasks] == ["x1", "x2"]


def test_what_is_not_there_is_named_and_the_rest_is_done(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    plan = plan_folder(
        [str(tmp_path / n) for n in ("a.jpg", "no.jpg", "no*.jpg")], tmp_path / "out", Settings()
    )
    assert len(plan.tasks) == 1
    assert [outcome.error for outcome in plan.failed] == [
        "no such file or folder",
        "no file fits this pattern",
    ]


def test_a_file_named_twice_is_done_once(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg")
    named = [str(tmp_path / "in"), str(tmp_path / "in/a.jpg"), str(tmp_path / "in/../in/a.jpg")]
    assert len(plan_folder(named, tmp_path / "out", Settings()).tasks) == 1


def test_one_photo_into_the_file_that_was_named() -> None:
    plan = plan_file("x.jpg", Path("deep/cat.webp"), Settings(emit=("cutout", "alpha", "trimap")))
    assert plan.out == Path("deep")
    assert plan.tasks[0].outputs == (
        ("cutout", "cat.webp"),
        ("alpha", "cat.matte.png"),
        ("trimap", "cat.trimap.png"),
    )
    mask = plan_file("x.jpg", Path("mask.jpg"), Settings(emit=("alpha",)))
    assert mask.tasks[0].outputs == (("alpha", "mask.jpg"),)


def test_a_composite_takes_the_plain_name_where_there_is_no_cutout(tmp_path: Path) -> None:
    alone = folder(tmp_path, "x.jpg", settings=Settings(emit=("composite", "alpha")), suffix=".jpg")
    assert alone.tasks[0].outputs == (("composite", "x.jpg"), ("alpha", "x.matte.png"))
    both = folder(tmp_path, "x.jpg", settings=Settings(emit=("cutout", "composite")))
    assert both.tasks[0].outputs == (("cutout", "x.png"), ("composite", "x.composite.png"))


def test_numbered_outputs_keep_what_they_are() -> None:
    task = Task("x.jpg", "a.b/x", (("cutout", "a.b/x.png"), ("alpha", "a.b/x.matte.png")))
    assert task.outputs_of(2) == (("cutout", "a.b/x.2.png"), ("alpha", "a.b/x.2.matte.png"))


def test_natural_order_counts_like_people() -> None:
    names = ["x10", "x2", "X1", "a/2", "a/10", "\u00b2", "x\u0662"]
    assert sorted(names, key=natural_key) == ["a/2", "a/10", "X1", "x2", "x10", "x\u0662", "\u00b2"]
