"""What onnxruntime is opened with."""

from __future__ import annotations

from pathlib import Path

import pytest

from mattelike.models import runtime


@pytest.mark.parametrize(
    ("written", "affinity", "cores"),
    [
        ("max 100000\n", 8, 8),
        ("200000 100000\n", 8, 2),
        ("50000 100000\n", 8, 1),
        ("1600000 100000\n", 8, 8),
        ("nonsense\n", 8, 8),
        (None, 3, 3),
    ],
)
def test_trap_68_the_container_s_quota_of_cores_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str | None, affinity: int, cores: int
) -> None:
    limit = tmp_path / "cpu.max"
    if written is not None:
        limit.write_text(written)
    monkeypatch.setattr(runtime, "Path", lambda name: limit)
    monkeypatch.setattr(runtime.os, "sched_getaffinity", lambda process: set(range(affinity)), raising=False)
    assert runtime.quota() == cores


def test_trap_68_what_was_asked_for_counts_before_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "quota", lambda: 7)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert runtime.thread_count(None) == 7
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert runtime.thread_count(None) == 2 and runtime.thread_count(5) == 5
