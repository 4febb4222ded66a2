"""Photos through the engine of this process."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mattelike import photos
from mattelike.batch import making
from mattelike.batch.jobs import Settings
from mattelike.batch.journal import REPORT, Journal
from mattelike.batch.local import Budget, LocalEngine
from mattelike.batch.plan import plan_folder
from tests.batch.rooms import batch, contents, context_of, job_of, picture, red_mask, run, task_of, write
from tests.toy_model import toy


def alpha_of(path: Path) -> np.ndarray:
    return photos.read(path).pixels[..., 0] / 255


def test_every_photo_gets_its_outputs_and_a_line(tmp_path: Path) -> None:
    for index in range(4):
        write(tmp_path / f"in/deep/{index}.png", index)
    summary, told = batch([str(tmp_path / "in")], tmp_path / "out")
    assert summary.exit_code == 0 and summary.results["present"] == 4
    assert [outcome.stem for outcome in told] == [f"deep/{index}" for index in range(4)]
    for index, outcome in enumerate(told):
        assert outcome.outputs == (f"deep/{index}.png", f"deep/{index}.matte.png")
        expected = red_mask(picture(index))
        assert np.mean((alpha_of(tmp_path / "out" / outcome.outputs[1]) > 0.5) == expected) > 0.9
        assert outcome.size == (96, 64) and outcome.presence is not None and outcome.doubt is not None


def test_trap_73_bad_files_are_listed_and_the_rest_is_done(tmp_path: Path) -> None:
    write(tmp_path / "in/good.png")
    (tmp_path / "in/empty.jpg").touch()
    (tmp_path / "in/text.png").write_text("not a photo")
    whole = write(tmp_path / "in/half.png", 5).read_bytes()
    (tmp_path / "in/half.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "in/raw.cr2").write_bytes(b"II*\0" + bytes(100))
    summary, told = batch([str(tmp_path / "in")], tmp_path / "out")
    assert summary.exit_code == 1
    assert dict(summary.results) == {"failed": 4, "present": 1}
    failed = {Path(each.source).name: each.error for each in told if each.result == "failed"}
    assert set(failed) == {"empty.jpg", "text.png", "half.png", "raw.cr2"}
    assert all("\n" not in error and name in error for name, error in failed.items())


def test_trap_20_only_what_has_changed_is_done_again(tmp_path: Path) -> None:
    for index in range(3):
        write(tmp_path / f"in/{index}.png", index)
    inputs, out = [str(tmp_path / "in")], tmp_path / "out"
    batch(inputs, out)
    before, report = contents(out), (out / REPORT).read_bytes()

    summary, told = batch(inputs, out)
    assert summary.unchanged == 3 and all(each.result == "present" for each in told)
    assert contents(out) == before and (out / REPORT).read_bytes() == report

    write(tmp_path / "in/1.png", 7)
    (out / "2.matte.png").unlink()
    _, told = batch(inputs, out)
    assert [each.unchanged for each in told] == [True, False, False]

    assert batch(inputs, out, Settings(strip=True))[0].unchanged == 0
    assert batch(inputs, out, Settings(strip=True), existing="overwrite")[0].unchanged == 0


def test_trap_20_files_that_are_not_ours_are_not_overwritten(tmp_path: Path) -> None:
    write(tmp_path / "in/a.png")
    mine = tmp_path / "out/a.png"
    mine.parent.mkdir()
    mine.write_bytes(b"a year of work")
    summary, (told,) = batch([str(tmp_path / "in")], tmp_path / "out")
    assert summary.exit_code == 1 and "--overwrite" in told.error
    assert mine.read_bytes() == b"a year of work"
    (tmp_path / "out/a.matte.png").write_bytes(b"too")
    assert batch([str(tmp_path / "in")], tmp_path / "out", existing="skip")[0].exit_code == 0
    assert mine.read_bytes() == b"a year of work"
    assert batch([str(tmp_path / "in")], tmp_path / "out", existing="overwrite")[0].exit_code == 0
    assert mine.read_bytes() != b"a year of work"


def test_trap_39_where_the_kind_is_absent_the_matte_is_empty(tmp_path: Path) -> None:
    write(tmp_path / "in/none.png", things=0)
    predictor = toy(replace(toy().card, absent_below=1.0, present_from=1.0))
    context = context_of(predictor)
    for keep, expected in ((False, 0.0), (True, None)):
        settings = Settings(keep_absent=keep)
        plan = plan_folder([str(tmp_path / "in")], tmp_path / f"out{keep}", settings)
        with Journal(plan.out) as journal:
            told: list = []
            summary = run(journal, job_of(context, plan.out, settings), plan, predictor, told)
        assert summary.exit_code == 0 and told[0].result == "absent"
        assert (alpha_of(plan.out / "none.matte.png").max() == 0) == (expected == 0.0) or keep


def test_trap_41_things_one_by_one(tmp_path: Path) -> None:
    write(tmp_path / "in/two.png", things=2, size=(64, 160))
    inputs = [str(tmp_path / "in")]
    _, (one,) = batch(inputs, tmp_path / "one", Settings(largest=True))
    assert 0 < np.count_nonzero(alpha_of(tmp_path / "one" / one.outputs[1]) > 0.5) < 900
    _, (each,) = batch(inputs, tmp_path / "each", Settings(instances=True))
    assert each.outputs == ("two.1.png", "two.1.matte.png", "two.2.png", "two.2.matte.png")
    _, (merged,) = batch(inputs, tmp_path / "all")
    assert np.count_nonzero(alpha_of(tmp_path / "all" / merged.outputs[1]) > 0.5) > 900
    # One thing has gone: what was numbered for it goes as well.
    write(tmp_path / "in/two.png", things=1, size=(64, 160))
    _, (less,) = batch(inputs, tmp_path / "each", Settings(instances=True))
    assert less.outputs == ("two.1.png", "two.1.matte.png")
    assert sorted(p.name for p in (tmp_path / "each").glob("two.*")) == ["two.1.matte.png", "two.1.png"]


def test_a_margin_in_pixels_and_in_percent(tmp_path: Path) -> None:
    write(tmp_path / "in/a.png", 3, size=(200, 200))
    sizes = []
    for margin in (None, "0", "10", "50%"):
        _, (done,) = batch([str(tmp_path / "in")], tmp_path / f"out{margin}", Settings(margin=margin))
        sizes.append(photos.read(tmp_path / f"out{margin}" / done.outputs[0]).width)
    full, tight, ten, half = sizes
    assert full == 200 and 20 <= tight < 60
    assert tight + 10 <= ten <= tight + 20  # the frame cuts one side off
    assert half > ten


def test_trap_76_photos_in_the_air_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [write(tmp_path / f"{index}.png", index, size=(40, 50)) for index in range(12)]
    held, most, lock = [0], [0], threading.Lock()
    opened, written = making.opened, making.written

    def counted_open(*args: object):  # type: ignore[no-untyped-def]
        with lock:
            held[0] += 1
            most[0] = max(most[0], held[0])
        return opened(*args)  # type: ignore[arg-type]

    def counted_write(*args: object):  # type: ignore[no-untyped-def]
        done = written(*args)  # type: ignore[arg-type]
        with lock:
            held[0] -= 1
        return done

    monkeypatch.setattr(making, "opened", counted_open)
    monkeypatch.setattr(making, "written", counted_write)
    predictor = toy()
    job = job_of(context_of(predictor), tmp_path / "out")
    job = replace(job, tasks=tuple(task_of(path) for path in paths))
    for room, bound in ((2 * 2000, 2), (1, 1), (10**9, 6)):
        most[0] = 0
        outcomes = list(LocalEngine(predictor, in_the_air=room).run(job))
        assert [outcome.stem for outcome in outcomes] == [str(index) for index in range(12)]
        assert 1 <= most[0] <= bound


def test_a_budget_lets_the_largest_through_alone() -> None:
    budget = Budget(10)
    budget.take(100)
    taken = threading.Event()
    thread = threading.Thread(target=lambda: (budget.take(1), taken.set()))
    thread.start()
    assert not taken.wait(0.05)
    budget.give(100)
    assert taken.wait(5)
    thread.join()


def test_stopping_finishes_what_is_begun(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{index}.png", index) for index in range(20)]
    predictor = toy()
    engine = LocalEngine(predictor)
    job = replace(job_of(context_of(predictor), tmp_path / "out"), tasks=tuple(map(task_of, paths)))
    outcomes = []
    for outcome in engine.run(job):
        outcomes.append(outcome)
        engine.stop()
    assert 1 <= len(outcomes) < 8
    for outcome in outcomes:
        assert all((tmp_path / "out" / name).is_file() for name in outcome.outputs)
    assert not list(tmp_path.rglob("*.part"))


def test_trap_19_a_full_disk_stops_and_can_be_gone_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(12):
        write(tmp_path / f"in/{index}.png", index)
    inputs, out = [str(tmp_path / "in")], tmp_path / "out"
    batch(inputs, tmp_path / "undisturbed")
    write_rgb, count = photos.write_rgb, [0]

    def full(*args: object, **more: object) -> None:
        count[0] += 1
        if count[0] > 3:
            raise OSError(28, "No space left on device")
        write_rgb(*args, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(photos, "write_rgb", full)
        summary, told = batch(inputs, out)
    assert summary.fatal and summary.exit_code == 1
    assert len(told) < 12
    summary, _ = batch(inputs, out)
    assert summary.exit_code == 0 and summary.unchanged == 3
    assert contents(out) == contents(tmp_path / "undisturbed")


NO_MEMORY = (
    MemoryError(),
    RuntimeError(
        "[ONNXRuntimeError] : 1 : FAIL : Failed to allocate memory for requested buffer of size 15859712"
    ),
    RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4000000000 bytes."),
    OSError(12, "Cannot allocate memory"),
)


@pytest.mark.parametrize("error", NO_MEMORY, ids=lambda error: str(error)[:20])
@pytest.mark.parametrize("times", [1, 2])
def test_trap_67_without_memory_it_is_tried_again_and_then_costs_one_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, times: int
) -> None:
    for index in range(3):
        write(tmp_path / f"in/{index}.png", index, size=(64, 96 + index))
    predictor = toy()
    context, matte, tries = context_of(predictor), predictor.matte, [0]

    def crowded(photo: photos.Header, *args: object, **more: object):  # type: ignore[no-untyped-def]
        if photo.width == 97:
            tries[0] += 1
            if tries[0] <= times:
                raise error
        return matte(photo, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(predictor, "matte", crowded)
    plan = plan_folder([str(tmp_path / "in")], tmp_path / "out", Settings())
    told: list = []
    with Journal(plan.out) as journal:
        run(journal, job_of(context, plan.out), plan, predictor, told)
    middle = "present" if times == 1 else "failed"
    assert [each.result for each in told] == ["present", middle, "present"]
    assert ("not enough memory" in told[1].error) == (times == 2) and not told[1].fatal


@pytest.mark.parametrize("step", ["read", "write_alpha"])
@pytest.mark.parametrize("times", [1, 2])
def test_trap_67_reading_and_writing_are_tried_again_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, times: int
) -> None:
    for index in range(3):
        write(tmp_path / f"in/{index}.png", index)
    call, tries = getattr(photos, step), [0]

    def crowded(*args: object, **more: object) -> object:
        tries[0] += not isinstance(args[0], np.ndarray)  # which is the reference
        if 0 < tries[0] <= times:
            raise MemoryError
        return call(*args, **more)

    monkeypatch.setattr(making.photos, step, crowded)
    summary, told = batch([str(tmp_path / "in")], tmp_path / "out")
    first = "present" if times == 1 else "failed"
    assert [each.result for each in told] == [first, "present", "present"]
    assert ("not enough memory" in told[0].error) == (times == 2) and not summary.fatal


def test_trap_47_gray_photos_are_cut_out_in_gray_if_asked(tmp_path: Path) -> None:
    level = picture(1)[..., 0]
    (tmp_path / "in").mkdir()
    photos.write_alpha(tmp_path / "in/gray.png", level.astype(np.float32) / 255)
    write(tmp_path / "in/red.png", 1)
    batch([str(tmp_path / "in")], tmp_path / "rgb")
    batch([str(tmp_path / "in")], tmp_path / "gray", Settings(gray=True))
    gray, rgb = (photos.read(tmp_path / f"{name}/gray.png") for name in ("gray", "rgb"))
    assert gray.gray and not rgb.gray and gray.alpha is not None
    assert np.array_equal(gray.pixels, rgb.pixels) and np.array_equal(gray.alpha, rgb.alpha)
    assert not photos.read(tmp_path / "gray/red.png").gray


def test_a_fault_in_us_costs_one_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(3):
        write(tmp_path / f"in/{index}.png", index, size=(64, 96 + index))
    predictor = toy()
    context = context_of(predictor)
    matte = predictor.matte

    def faulty(photo: photos.Header, *args: object, **more: object):  # type: ignore[no-untyped-def]
        if photo.width == 97:
            raise RuntimeError("two\nlines")
        return matte(photo, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(predictor, "matte", faulty)
    plan = plan_folder([str(tmp_path / "in")], tmp_path / "out", Settings())
    told: list = []
    with Journal(plan.out) as journal:
        run(journal, job_of(context, plan.out), plan, predictor, told)
    assert [each.result for each in told] == ["present", "failed", "present"]
    assert "RuntimeError: two lines" in told[1].error


def test_trap_21_a_file_that_grows_while_it_is_read_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.png")
    header = photos.header
    predictor = toy()
    job = job_of(context_of(predictor), tmp_path / "out")

    class Growing:
        """A file that another process writes to between our two looks."""

        def __init__(self, file) -> None:  # type: ignore[no-untyped-def]
            self._file = file

        def __enter__(self):  # type: ignore[no-untyped-def]
            return self

        def __exit__(self, *more: object) -> None:
            self._file.close()

        def fileno(self) -> int:
            return self._file.fileno()

        def read(self) -> bytes:
            data = self._file.read()
            with path.open("ab") as file:
                file.write(b"more")
            return data

    assert header(path).width == 96
    real = Path.open
    with monkeypatch.context() as patched:
        patched.setattr(
            Path, "open", lambda self, *a: Growing(real(self, *a)) if a == ("rb",) else real(self, *a)
        )
        done = making.made(task_of(path), job, predictor)
    assert done.result == "failed" and "changed while it was read" in done.error
