"""The command line on a disk that is really full: a small one, mounted for the test alone."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.batch.rooms import contents, write
from tests.cli.conftest import program, run_program

# Colours are kept everywhere, so that each result is larger than what counts as a full disk: when it is taken
# away again there is room, and yet the disk is full.
ASKED = ("photos", "--like", "like.png", "--mask", "mask.png", "--keep-hidden", "--no-refine")
MOUNT = "mount -t tmpfs -o size={size}k none {folder}"


def in_a_room_of_its_own(script: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A shell script with mounts that nobody else sees and that are gone when it ends."""
    return subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A folder to mount a small disk on, where the system lets us."""
    folder = tmp_path / "disk"
    folder.mkdir()
    script = MOUNT.format(size=100, folder=shlex.quote(str(folder)))
    if shutil.which("unshare") is None or in_a_room_of_its_own(script, dict(os.environ)).returncode:
        pytest.skip("mounting is not allowed here")
    return folder


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_trap_19_a_small_disk_fills_up_and_the_run_is_gone_on_with(
    room: Path, small_disk: Path, workers: str
) -> None:
    for index in range(7):
        write(room / f"photos/{index}.png", index, size=(900, 1100))
    assert run_program("matte", *ASKED, "-o", "whole", "--workers", workers).returncode == 0
    assert min(path.stat().st_size for path in (room / "whole").glob("?.png")) > 1 << 20
    sizes = sum(path.stat().st_size for path in (room / "whole").rglob("*") if path.is_file())
    command, environment = program("matte", *ASKED, "-o", "disk/out", "--workers", workers)
    run = shlex.join(command)
    disk = shlex.quote(str(small_disk))
    script = f"""
        {MOUNT.format(size=sizes * 5 // 8 // 1024, folder=disk)} || exit 99
        {run}; echo "code $?" >&2
        find disk -name '.mattelike-*' >&2; ls disk/out/.report.working.jsonl >&2
        mount -o remount,size=100m {disk} || exit 99
        {run}; echo "code $?" >&2
        cp -r disk/out kept
    """
    done = in_a_room_of_its_own(script, environment)
    said = done.stderr.splitlines()
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    codes = [line for line in said if line.startswith("code")]
    assert codes == ["code 1", "code 0"], done.stderr
    stopped = [line for line in said if line.startswith("stopped:")]
    assert len(stopped) == 1 and "full" in stopped[0] and "run the same command again" in stopped[0]
    assert not any(".part" in line for line in said)
    first = said[: said.index("code 1")]
    assert 1 <= sum(line.startswith("failed:") for line in first) <= 4, done.stderr  # those begun
    assert any("unchanged" in line for line in said), done.stderr
    assert contents(room / "kept").keys() == contents(room / "whole").keys()
    for name, content in contents(room / "whole").items():
        assert name in ("index.html", "_sheet/run.context") or contents(room / "kept")[name] == content, name
