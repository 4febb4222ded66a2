"""Fetching models: broken-off, damaged and forbidden downloads, several processes, shared folders."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.models.fake_hub import COMMIT, PAGE, FakeHub, fake_hub

from mattelike.errors import ModelDamagedError, ModelNotFoundError, OutputError
from mattelike.models import hub, pulled
from mattelike.models.hub import Wanted

pytest.importorskip("huggingface_hub")

WEIGHTS = bytes(range(256)) * 4000
FILES = {
    "config.json": b'{"model_type": "dinov2"}',
    "model.safetensors": WEIGHTS,
    "deep/more.json": b"{}",
    "pickle.bin": b"never",
}
WANTED = Wanted("dino", "someone/thing", "", ("config.json", "*.safetensors", "deep/*"), "dino")


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setenv("MATTELIKE_HOME", str(tmp_path / "home"))
    for name in ("MATTELIKE_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with fake_hub(dict(FILES)) as served:
        template = served.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", served.address)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(
            "huggingface_hub.file_download.HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False
        )
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
        yield served


def held() -> dict[str, bytes]:
    """Everything in the home, by path."""
    root = pulled.home()
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_a_model_is_pulled_whole_and_nothing_else(remote: FakeHub, tmp_path: Path) -> None:
    found = hub.pull(WANTED)
    assert found.folder == tmp_path / "home/models/someone--thing" / COMMIT
    names = {str(p.relative_to(found.folder)) for p in found.folder.rglob("*") if p.is_file()}
    assert names == {"config.json", "model.safetensors", "deep/more.json", "pulled.json"}
    assert (found.folder / "model.safetensors").read_bytes() == WEIGHTS
    pulled.verify(found)
    assert hub.located(WANTED) == found.folder and pulled.of_model("dino") == [found]
    assert pulled.of_model("sd21") == []
    asked = len(remote.requests("model.safetensors"))
    assert hub.pull(WANTED) == found  # nothing new: nothing is fetched
    assert len(remote.requests("model.safetensors")) == asked == 1
    assert pulled.remove(found) > len(WEIGHTS)
    assert pulled.everything() == [] and not list((tmp_path / "home/models").iterdir())


def test_a_newer_commit_is_pulled_beside_the_older_one(remote: FakeHub) -> None:
    first = hub.pull(WANTED)
    remote.commit, remote.files["config.json"] = "f" * 40, b'{"model_type": "dinov3"}'
    second = hub.pull(WANTED)
    assert first.folder != second.folder
    assert hub.located(WANTED) == second.folder
    assert hub.located(Wanted("dino", "someone/thing", COMMIT, WANTED.files, "dino")) == first.folder


def test_trap_57_a_broken_connection_is_taken_up_where_it_broke(
    remote: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 100_000)
    remote.cut["model.safetensors"] = [300_000]
    found = hub.pull(WANTED)
    assert (found.folder / "model.safetensors").read_bytes() == WEIGHTS
    ranges = remote.requests("model.safetensors")
    assert len(ranges) == 2 and ranges[0] == "" and ranges[1] == "bytes=300000-"


def test_trap_57_a_pull_that_was_killed_is_taken_up_by_the_next(
    remote: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import file_download

    whole = file_download.http_get

    def half(url: str, target, **more: object) -> None:  # type: ignore[no-untyped-def]
        if not url.endswith("model.safetensors"):
            whole(url, target, **more)  # type: ignore[arg-type]
            return
        target.write(WEIGHTS[:500_000])
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(file_download, "http_get", half)
        with pytest.raises(KeyboardInterrupt):
            hub.pull(WANTED)
    assert pulled.find("someone/thing") is None
    assert not any(name.endswith("/model.safetensors") for name in held())  # half a file has no name
    found = hub.pull(WANTED)
    assert remote.requests("model.safetensors") == ["bytes=500000-"]
    pulled.verify(found)
    assert not any(".part" in name for name in held())


def test_trap_57_a_page_of_a_proxy_is_no_model(remote: FakeHub) -> None:
    remote.page = True
    with pytest.raises(ModelNotFoundError, match="cannot be had from the hub") as caught:
        hub.pull(WANTED)
    assert "\n" not in str(caught.value)
    remote.page = False
    # The page in the place of a file, of another size and then of the very same.
    remote.served["model.safetensors"] = PAGE
    with pytest.raises(ModelNotFoundError, match="try again"):
        hub.pull(WANTED)
    assert pulled.everything() == []
    del remote.served["model.safetensors"]
    pulled.verify(hub.pull(WANTED))  # what the page left behind is in nobody's way


def test_trap_57_no_room_is_said_before_and_during(
    remote: FakeHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import shutil

    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
        with pytest.raises(OutputError, match="no room for 1 MB more"):
            hub.pull(WANTED)
    assert remote.requests("model.safetensors") == []

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("huggingface_hub.file_download.http_get", full)
        with pytest.raises(OutputError, match="MATTELIKE_HOME"):
            hub.pull(WANTED)
    pulled.verify(hub.pull(WANTED))


def test_trap_58_a_file_with_another_hash_is_refused_and_kept_aside(remote: FakeHub) -> None:
    wrong = WEIGHTS[:-1] + b"!"
    remote.served["model.safetensors"] = wrong
    with pytest.raises(ModelDamagedError) as caught:
        hub.pull(WANTED)
    sentences = str(caught.value).split(". ")
    assert len(sentences) == 3  # what, where it is, what to do
    aside = [name for name in held() if name.endswith(".damaged")]
    assert len(aside) == 1 and held()[aside[0]] == wrong and Path(aside[0]).name in sentences[1]
    assert pulled.everything() == []
    del remote.served["model.safetensors"]
    pulled.verify(hub.pull(WANTED))


def test_a_damaged_model_is_found_by_its_hash(remote: FakeHub) -> None:
    found = hub.pull(WANTED)
    path = found.folder / "model.safetensors"
    path.write_bytes(WEIGHTS[:-1] + b"?")
    with pytest.raises(ModelDamagedError, match="is not what was pulled"):
        pulled.verify(found)
    path.unlink()
    with pytest.raises(ModelDamagedError, match="cannot be read"):
        pulled.verify(found)


def test_trap_59_offline_what_is_here_is_used_and_what_is_not_fails_at_once(
    remote: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = hub.pull(WANTED)
    asked = len(remote.asked)
    for variable in ("MATTELIKE_OFFLINE", "HF_HUB_OFFLINE"):
        with monkeypatch.context() as patched:
            patched.setenv(variable, "1")
            assert hub.located(WANTED) == found.folder
            began = time.monotonic()
            with pytest.raises(ModelNotFoundError, match=f"{variable} is set") as caught:
                hub.located(Wanted("dino", "no/body", "", WANTED.files, "dino"))
            assert time.monotonic() - began < 1
            assert "models/no--body" in str(caught.value)
    assert len(remote.asked) == asked


def test_a_model_in_the_hubs_own_cache_is_used(remote: FakeHub, tmp_path: Path) -> None:
    from huggingface_hub import constants

    snapshot = Path(constants.HF_HUB_CACHE) / "models--someone--thing/snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_bytes(b"{}")
    refs = snapshot.parents[1] / "refs"
    refs.mkdir()
    (refs / "main").write_text(COMMIT)
    assert hub.located(WANTED) == snapshot
    assert not (tmp_path / "home").exists() and remote.asked == []


@pytest.mark.parametrize(
    ("source", "says"), [("no/body", "no such model"), ("../x", "not a hub id"), ("a/b/c", "not a hub id")]
)
def test_what_is_not_on_the_hub_is_said_in_one_line(remote: FakeHub, source: str, says: str) -> None:
    with pytest.raises(ModelNotFoundError, match=says) as caught:
        hub.pull(Wanted("dino", source, "", WANTED.files, "dino"))
    assert "\n" not in str(caught.value)


def test_paths_that_lead_elsewhere_are_not_fetched(remote: FakeHub, tmp_path: Path) -> None:
    remote.files["deep/../../../evil.safetensors"] = b"x"
    remote.files["/etc/evil.safetensors"] = b"x"
    hub.pull(WANTED)
    assert not list(tmp_path.rglob("*evil*"))
    assert not [path for path, _ in remote.asked if "evil" in path]


PULL = """
import sys
from mattelike.models import hub
from mattelike.models.hub import Wanted
files = ("config.json", "*.safetensors", "deep/*")
print(hub.pull(Wanted("dino", "someone/thing", "", files, "dino")).folder)
"""


def puller(remote: FakeHub) -> subprocess.Popen[str]:
    environment = {**os.environ, "HF_ENDPOINT": remote.address, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", PULL],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_trap_60_of_two_that_pull_at_once_one_fetches_and_both_have_it(remote: FakeHub) -> None:
    remote.slow = 0.5
    both = [puller(remote), puller(remote)]
    said = [each.communicate(timeout=120) for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    assert len({out for out, _ in said}) == 1
    assert remote.requests("model.safetensors") == [""]


def test_trap_60_a_lock_of_a_killed_process_is_nobodys(remote: FakeHub) -> None:
    remote.slow = 60.0
    first = puller(remote)
    while not remote.requests("config.json"):
        assert first.poll() is None
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    remote.slow = 0.0
    began = time.monotonic()
    pulled.verify(hub.pull(WANTED))
    assert time.monotonic() - began < 10


def test_trap_60_waiting_has_an_end(remote: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    import filelock

    monkeypatch.setattr(hub, "PATIENCE", 0.2)
    place = pulled.place_of("someone/thing")
    place.mkdir(parents=True)
    with filelock.FileLock(str(place / ".lock")), pytest.raises(OutputError, match="another process"):
        hub.pull(WANTED)


def test_trap_61_a_shared_folder_is_read_and_never_written(remote: FakeHub) -> None:
    found = hub.pull(WANTED)
    before = {path: path.stat().st_mtime_ns for path in pulled.home().rglob("*")}
    for path in before:
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)
    try:
        assert hub.located(WANTED) == found.folder
        assert pulled.everything() == [found]
        pulled.verify(found)
        assert {path: path.stat().st_mtime_ns for path in pulled.home().rglob("*")} == before
    finally:
        for path in before:
            path.chmod(stat.S_IMODE(path.stat().st_mode) | 0o200)


def test_records_that_are_damaged_are_as_good_as_none(remote: FakeHub) -> None:
    found = hub.pull(WANTED)
    for text in ("", "[]", "{}", '{"model": 1}', json.dumps({"files": 3})):
        (found.folder / pulled.RECORD).write_text(text)
        assert pulled.find("someone/thing") is None
    pulled.verify(hub.pull(WANTED))
