"""``mattelike models``: fetching, checking, removing, converting; and that offline means offline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mattelike.models import pulled
from tests.cli.conftest import ROOT, Call
from tests.models.fake_hub import COMMIT, FakeHub, fake_hub

FILES = {"config.json": b"{}", "model.safetensors": bytes(1000)}
# Any socket but one between processes of this machine ends the program.
NO_SOCKETS = """
import sys
def refuse(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.bind", "socket.gethostbyname") or (
        event == "socket.__new__" and int(args[1]) != 1
    ):
        print("a socket was opened:", event, args, file=sys.stderr, flush=True)
        import os
        os._exit(77)
sys.addaudithook(refuse)
from mattelike.cli import main
main(sys.argv[1:])
"""


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    pytest.importorskip("huggingface_hub")
    monkeypatch.setenv("MATTELIKE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MATTELIKE_OFFLINE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with fake_hub(dict(FILES)) as served:
        template = served.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", served.address)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield served


def without_sockets(*args: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "MATTELIKE_OFFLINE": "1", **variables}
    return subprocess.run(
        [sys.executable, "-c", NO_SOCKETS, *args],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_model_is_pulled_listed_verified_and_removed(remote: FakeHub, call: Call, tmp_path: Path) -> None:
    done = call("models", "pull", "dino", "--source", "someone/thing")
    assert done.exit_code == 0, done.stderr
    folder = tmp_path / "home/models/someone--thing" / COMMIT
    assert done.stdout.strip() == str(folder) and "2 files" in done.stderr
    (dino,) = [each for each in json.loads(call("models", "list", "--json").stdout) if each["name"] == "dino"]
    assert dino["pulled"] == [{"name": f"someone/thing@{COMMIT[:12]}", "folder": str(folder)}]
    assert f"someone/thing@{COMMIT[:12]}" in call("models", "list").stdout
    assert call("models", "path", "dino").stdout.strip() == str(folder)
    good = call("models", "verify", "dino")
    assert good.exit_code == 0 and good.stdout == f"dino (someone/thing@{COMMIT[:12]}): ok\n"

    (folder / "model.safetensors").write_bytes(bytes(999) + b"!")
    bad = call("models", "verify")
    assert bad.exit_code == 1 and "is not what was pulled" in bad.stdout and "embedded: ok" in bad.stdout

    assert call("models", "remove", "dino", "--source", "someone/else").exit_code == 1
    gone = call("models", "remove", "dino")
    assert gone.exit_code == 0 and "removed someone/thing" in gone.stderr
    assert not folder.exists() and pulled.everything() == []
    assert call("models", "remove", "dino").exit_code == 1


def test_what_came_with_the_package_is_neither_fetched_nor_removed(call: Call) -> None:
    done = call("models", "pull", "embedded")
    assert done.exit_code == 0 and "nothing to fetch" in done.stderr
    done = call("models", "remove", "embedded")
    assert done.exit_code == 1 and "came with the package" in done.stderr
    assert call("models", "pull", "../embedded").exit_code == 2


def test_trap_58_a_wrong_hash_is_exit_1_and_says_what_to_do(remote: FakeHub, call: Call) -> None:
    remote.served["model.safetensors"] = bytes(999) + b"!"
    done = call("models", "pull", "dino", "--source", "someone/thing")
    assert done.exit_code == 1 and done.stdout == ""
    assert ".damaged and is not used" in done.stderr and "pull again" in done.stderr


def test_trap_59_offline_no_socket_is_opened(remote: FakeHub, call: Call, room: Path) -> None:
    """The main job, the check of all models, and one that would have to be fetched."""
    assert call("models", "pull", "dino", "--source", "someone/thing").exit_code == 0
    asked = len(remote.asked)
    more = {"HF_ENDPOINT": remote.address, "MATTELIKE_HOME": str(pulled.home())}
    like = ("--like", "like.png", "--mask", "mask.png", "-m", "imagenet", "-j", "1", "-o", "out")
    done = without_sockets("matte", "photos", *like, **more)
    assert done.returncode == 0, done.stderr
    done = without_sockets("models", "pull", "dino", "--source", "someone/thing", **more)
    assert done.returncode == 2 and "MATTELIKE_OFFLINE is set" in done.stderr
    done = without_sockets("models", "verify", **more)
    assert done.returncode == 0 and "someone/thing" in done.stdout, done.stderr
    assert len(remote.asked) == asked


def test_a_socket_would_have_been_seen() -> None:
    done = without_sockets(
        "models", "pull", "dino", "--source", "someone/thing",
        MATTELIKE_OFFLINE="0", HF_ENDPOINT="http://127.0.0.1:9",
    )  # fmt: skip
    assert done.returncode == 77 and "a socket was opened" in done.stderr


def test_trap_62_the_authors_checkpoint_becomes_safetensors(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    from mattelike.network import head_files

    wanted = {"a.weight": torch.Size([2, 3]), "a.bias": torch.Size([2])}
    monkeypatch.setattr(head_files, "shapes", lambda settings: wanted)
    tensors = {name: torch.rand(shape) for name, shape in wanted.items()}
    state = {f"in_context_decoder.{name}": tensor for name, tensor in tensors.items()}
    torch.save({"state_dict": {**state, "feature_extractor.x": torch.zeros(1)}}, tmp_path / "icm.ckpt")
    done = call("models", "convert", str(tmp_path / "icm.ckpt"), "-o", str(tmp_path / "icm.safetensors"))
    assert done.exit_code == 0 and done.stdout.strip() == str(tmp_path / "icm.safetensors"), done.stderr
    head, _, found = head_files.read(tmp_path / "icm.safetensors")
    assert head == "icon-768" and all(torch.equal(found[name], tensors[name]) for name in wanted)

    torch.save({"state_dict": {"in_context_decoder.other": torch.zeros(1)}}, tmp_path / "wrong.ckpt")
    done = call("models", "convert", str(tmp_path / "wrong.ckpt"))
    assert done.exit_code == 1 and "a.bias" in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "wrong.safetensors").exists()
    assert call("models", "convert", str(tmp_path / "none.ckpt")).exit_code == 2


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("ran",)


def test_trap_62_a_checkpoint_that_would_run_code_is_refused(room: Path, call: Call) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"state_dict": Evil()}, room / "evil.ckpt")
    done = call("models", "convert", "evil.ckpt")
    assert done.exit_code == 1 and "without running code" in done.stderr
    assert not (room / "ran").exists() and not (room / "evil.safetensors").exists()
