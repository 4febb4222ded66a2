"""What onnxruntime is opened with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mattelike
from mattelike.contexts import Context
from mattelike.errors import ContextError
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


def test_trap_70_threads_and_half_precision_change_nothing_that_shows() -> None:
    """Alpha agrees within half a level of 8 bits; numbers beyond half precision are refused, not used."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 60, (96, 128, 3), np.uint8)
    pixels[20:70, 30:90] += np.uint8(150)
    mark = mattelike.Box(30, 20, 90, 70)
    one, two = (mattelike.load("imagenet", device="cpu", threads=threads) for threads in (1, 2))
    context = one.encode(pixels, mark)
    first, second = one.matte(pixels, context), two.matte(pixels, context)
    assert np.abs(first.alpha - second.alpha).max() < 0.5 / 255
    assert first.status == second.status and abs(first.presence - second.presence) < 1e-3
    with np.errstate(over="ignore"):
        beyond = replace(context, tokens=(context.tokens.astype(np.float32) * 1e6).astype(np.float16))
    with pytest.raises(ContextError, match="impossible numbers"):
        Context.from_bytes(beyond.to_bytes())
