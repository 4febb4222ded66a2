"""Photos in an object store and results into one: the names, the report and the bytes of a local folder."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mattelike import photos, predictor
from mattelike.batch import storage, stored
from mattelike.batch.jobs import Outcome
from mattelike.batch.stored import PIECES, StoredJournal
from mattelike.predictor import Predictor
from tests.batch.rooms import contents, picture, task_of, write
from tests.cli.conftest import Call, program
from tests.toy_model import toy

server = pytest.importorskip("moto.server")
s3fs = pytest.importorskip("s3fs")

LIKE = ("--like", "like.png", "--mask", "mask.png")
_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A server of this process that speaks S3."""
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    yield "http://{}:{}".format(*running.get_host_and_port())
    running.stop()


@pytest.fixture(autouse=True)
def account(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Who we are to that server, and nobody to any other."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in (
        ("HOME", str(tmp_path)),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "somebody"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ):
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    yield
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def bucket(room: Path) -> str:
    """URL of a new bucket with the photos of the room."""
    name = f"room-{next(_NUMBERS)}"
    s3fs.S3FileSystem().mkdir(name)
    for path in sorted((room / "photos").iterdir()):
        storage.write(f"s3://{name}/photos/{path.name}", path.read_bytes())
    return f"s3://{name}"


def held(url: str) -> dict[str, bytes]:
    """Every object below a URL."""
    return {name.removeprefix(f"{url}/"): storage.read(name) for name in storage.objects(url)}


def lines(report: bytes) -> list[dict[str, Any]]:
    return [{**json.loads(line), "seconds": 0} for line in report.splitlines()]


def test_from_store_to_store_names_report_and_bytes_are_those_of_a_folder(
    room: Path, bucket: str, call: Call
) -> None:
    write(room / "photos/deep er/2.png", 7)
    storage.write(f"{bucket}/photos/deep er/2.png", (room / "photos/deep er/2.png").read_bytes())
    storage.write(f"{bucket}/photos/.hidden/3.png", b"")
    storage.write(f"{bucket}/photos2/4.png", b"its name begins like that of the folder")
    done = call("matte", f"{bucket}/photos/", *LIKE, "-o", f"{bucket}/out/")
    assert done.exit_code == 0, done.stderr
    assert "5 photos: 5 present" in done.stderr and f"-> {bucket}/out" in done.stderr
    assert call("matte", "photos", *LIKE, "-o", "out", "--no-sheet").exit_code == 0
    remote = held(f"{bucket}/out")
    report = remote.pop("report.jsonl")
    assert remote == {k: v for k, v in contents(room / "out").items() if not k.startswith("_sheet/")}
    assert lines(report) == lines((room / "out/report.jsonl").read_bytes())


def test_a_second_run_does_what_has_changed_and_nothing_else(bucket: str, call: Call) -> None:
    run = ("matte", f"{bucket}/photos", *LIKE, "-o", f"{bucket}/photos")  # outputs beside the photos
    assert call(*run).exit_code == 0
    before = held(f"{bucket}/photos")
    again = call(*run)
    assert "4 unchanged" in again.stderr, again.stderr
    assert held(f"{bucket}/photos") == before
    storage.write(f"{bucket}/photos/1.png", photos.encode(picture(50), ".png"))
    storage.remove([name for name in storage.objects(bucket) if name.endswith("/2.png.matte.png")])
    third = call(*run)
    assert third.exit_code == 0, third.stderr
    assert "4 photos: 4 present; " in third.stderr and "2 unchanged" in third.stderr


def test_what_is_there_and_not_ours_is_left(bucket: str, call: Call) -> None:
    storage.write(f"{bucket}/out/1.png", b"somebody's")
    done = call("matte", f"{bucket}/photos", *LIKE, "-o", f"{bucket}/out")
    assert done.exit_code == 1
    assert f"{bucket}/out/1.png is there and not known as ours" in done.stderr
    assert storage.read(f"{bucket}/out/1.png") == b"somebody's"
    assert call("matte", f"{bucket}/photos", *LIKE, "-o", f"{bucket}/out", "--overwrite").exit_code == 0


def test_between_store_and_folder_both_ways(room: Path, bucket: str, call: Call) -> None:
    for run in ((f"{bucket}/photos", "here"), ("photos", f"{bucket}/there")):
        done = call("matte", run[0], *LIKE, "-o", run[1])
        assert done.exit_code == 0, done.stderr
        assert "4 unchanged" in call("matte", run[0], *LIKE, "-o", run[1]).stderr
    there = held(f"{bucket}/there")
    assert {name: (room / "here" / name).read_bytes() for name in there if name != "report.jsonl"} == {
        name: data for name, data in there.items() if name != "report.jsonl"
    }
    assert f'data-source="{bucket}/photos/0.png"' in (room / "here/index.html").read_text()
    chosen = call("matte", "--only", "present", f"{bucket}/photos/2.png", "-o", "here")
    assert "1 photo: 1 present" in chosen.stderr, chosen.stderr


def test_one_object_to_one_file_and_file_urls_are_paths(room: Path, bucket: str, call: Call) -> None:
    assert call("matte", f"{bucket}/photos/2.png", *LIKE, "-o", "one.png").exit_code == 0
    done = call("matte", f"file://{room}/photos", *LIKE, "-o", f"file://{room}/out%201")
    assert done.exit_code == 0, done.stderr
    assert (room / "out 1/2.png").read_bytes() == (room / "one.png").read_bytes()


def test_a_dry_run_says_where_and_writes_nothing(bucket: str, call: Call) -> None:
    storage.write(f"{bucket}/out/old.png", b"what is among the results is no photo")
    before = held(bucket)
    done = call("matte", bucket, "-o", f"{bucket}/out", "--dry-run")
    assert (
        f"{bucket}/photos/1.png -> {bucket}/out/photos/1.png, {bucket}/out/photos/1.matte.png" in done.stdout
    )
    assert len(done.stdout.splitlines()) == 4
    assert held(bucket) == before


def test_a_photo_that_cannot_be_read_costs_no_other(bucket: str, call: Call) -> None:
    storage.write(f"{bucket}/photos/broken.png", b"no picture")
    done = call("matte", f"{bucket}/photos", *LIKE, "-o", f"{bucket}/out")
    assert done.exit_code == 1
    assert f"failed: {bucket}/photos/broken.png: text, not a picture" in done.stderr
    results = [line["result"] for line in lines(storage.read(f"{bucket}/out/report.jsonl"))]
    assert sorted(results) == ["failed", *["present"] * 4]


def test_results_that_cannot_be_written_are_no_success(
    room: Path, bucket: str, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone: list[bool] = []

    class Away(Predictor):
        """The bucket of the results goes away while the first photo is looked at."""

        def matte(self, photo, context, *, refine=True):  # type: ignore[no-untyped-def,override]
            if not gone:
                gone.append(True)
                storage.remove(storage.objects(bucket))
                s3fs.S3FileSystem().rmdir(bucket.removeprefix("s3://"))
            return super().matte(photo, context, refine=refine)

    monkeypatch.setattr(predictor, "load", lambda model="toy", **options: Away(toy().model))
    done = call("matte", "photos", *LIKE, "-o", f"{bucket}/out")
    assert done.exit_code == 1
    assert done.stderr.count("cannot be written (no such object or bucket)") >= 2, done.stderr
    assert "stopped: " in done.stderr and "4 failed" in done.stderr


@pytest.mark.parametrize(
    ("photo", "out", "says"),
    [
        (
            "s3://nowhere/photos",
            "out",
            "s3://nowhere/photos: cannot be looked into (no such object or b",
        ),
        ("photos", "s3://nowhere/out", "s3://nowhere/out: cannot be looked into (no such object or b"),
        ("BUCKET/none", "out", "/none: no such object, and nothing below it"),
        ("s3://", "out", "s3://: which bucket?"),
        ("gs://b/photos", "out", "gs://b/photos: only s3:// and file:// are read and written"),
        ("photos", "memory://out", "memory://out: only s3:// and file:// are read and written"),
        ("file://elsewhere/photos", "out", "names a file of another machine"),
        ("photos/1.png", "BUCKET/cat.png", "results go to a folder of a store"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(
    room: Path, bucket: str, call: Call, photo: str, out: str, says: str
) -> None:
    done = call("matte", photo.replace("BUCKET", bucket), *LIKE, "-o", out.replace("BUCKET", bucket))
    assert done.exit_code == 2
    assert says in done.stderr and done.stderr.count("\n") == 1
    assert not (room / "out").exists()


@pytest.mark.parametrize("option", ["--watch", "--all-frames"])
def test_options_for_files_of_this_machine_are_refused(bucket: str, call: Call, option: str) -> None:
    done = call("matte", f"{bucket}/photos", *LIKE, "-o", "out", option)
    assert done.exit_code == 2 and f"{option} wants files of this machine" in done.stderr


def test_without_credentials_one_line_says_so(
    bucket: str, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    s3fs.S3FileSystem.clear_instance_cache()
    done = call("matte", f"{bucket}/photos", *LIKE, "-o", "out")
    assert done.exit_code == 2
    assert "no credentials; set AWS_ACCESS_KEY_ID" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("out", ["out", "BUCKET/out"])
def test_without_the_package_one_line_says_what_to_type(
    bucket: str, call: Call, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    done = call("matte", f"{bucket}/photos", *LIKE, "-o", out.replace("BUCKET", bucket))
    assert done.exit_code == 2
    assert "pip install 'mattelike[s3]'" in done.stderr and done.stderr.count("\n") == 1


def test_a_killed_run_leaves_pieces_that_the_next_one_reads(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "EVERY", 0.0)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    out, source = f"{bucket}/out", f"{bucket}/photos/1.png"
    killed = StoredJournal(tmp_path / "a", out)
    killed.promise([task_of(Path("1.png"))])
    outcome = Outcome(source, "1", "present", outputs=("1.png",), presence=0.9, size=(96, 64), key="k")
    killed.record(outcome)
    assert all(name.startswith(f"{PIECES}/") for name in held(out))
    with StoredJournal(tmp_path / "b", out) as journal:
        found = journal.find(source)
        assert found == replace(outcome, source="../photos/1.png")
        assert journal.source(found.source) == source
        assert journal.outputs() == {"1.png", "1.matte.png"}
        journal.finish()
    assert list(held(out)) == ["report.jsonl"]


def test_a_process_killed_in_mid_run_is_gone_on_from(room: Path, bucket: str, call: Call) -> None:
    out = f"{bucket}/out"
    command, environment = program("matte", f"{bucket}/photos", *LIKE, "-o", out, seconds="0.5")
    running = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    while f"{out}/0.matte.png" not in storage.objects(out) and running.poll() is None:
        time.sleep(0.1)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    assert f"{out}/report.jsonl" not in storage.objects(out)
    done = call("matte", f"{bucket}/photos", *LIKE, "-o", out)
    assert done.exit_code == 0, done.stderr
    assert len(held(out)) == 9 and len(lines(storage.read(f"{out}/report.jsonl"))) == 4


def test_one_command_takes_a_bucket_through_ray_with_the_bytes_of_a_local_run(
    room: Path, bucket: str, call: Call
) -> None:
    pytest.importorskip("ray")
    out = f"{bucket}/out"
    run = ("matte", f"{bucket}/photos", *LIKE, "-o", out, "--json")
    command, environment = program(*run, "--engine", "ray", "-j", "2", "--threads", "1")
    environment["RAY_worker_niceness"] = "0"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    *each, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(line["source"] for line in each) == [f"{bucket}/photos/{n}.png" for n in range(4)]
    assert last["summary"]["present"] == 4 and last["summary"]["where"] == out
    assert call("matte", "photos", *LIKE, "-o", "out", "--no-sheet").exit_code == 0
    remote = held(out)
    assert lines(remote.pop("report.jsonl")) == lines((room / "out/report.jsonl").read_bytes())
    assert remote == {k: v for k, v in contents(room / "out").items() if not k.startswith("_sheet/")}
    assert "4 unchanged" in call(*run).stderr  # whichever engine comes next knows what was done
