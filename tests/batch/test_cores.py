"""How many workers a machine can feed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mattelike.batch import cores


@pytest.mark.parametrize(
    ("photos", "device", "quota", "free", "workers"),
    [
        (500, "cpu", 8, 64e9, 8),
        (500, "cuda", 8, 64e9, 1),
        (500, "cpu", 8, 3e9, 2),
        (500, "cpu", 8, 0, 1),
        (4, "cpu", 8, 64e9, 2),
        (0, "cpu", 8, 64e9, 1),
    ],
)
def test_trap_68_workers_fit_cores_memory_and_work(
    monkeypatch: pytest.MonkeyPatch, photos: int, device: str, quota: int, free: float, workers: int
) -> None:
    monkeypatch.setattr(cores, "quota", lambda: quota)
    monkeypatch.setattr(cores, "free_memory", lambda: int(free))
    assert cores.workers_for(photos, device) == workers


def test_trap_68_the_container_s_memory_counts(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9 kB\nMemAvailable:   8000000 kB\n")
    assert cores.free_memory(meminfo, tmp_path) == 8_192_000_000
    (tmp_path / "memory.max").write_text("3000000000\n")
    (tmp_path / "memory.current").write_text("1000000000\n")
    assert cores.free_memory(meminfo, tmp_path) == 2_000_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert cores.free_memory(meminfo, tmp_path) == 8_192_000_000
    assert cores.free_memory(tmp_path / "nowhere", tmp_path) > 1 << 40
