"""CONN on 12 megapixels, on the pictures of the benchmark."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from types import ModuleType

import pytest

from mattelike import metrics


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "metrics.py"
    found = importlib.util.spec_from_file_location("benchmark_of_metrics", path)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_benchmark_agrees_with_itself(benchmark: ModuleType) -> None:
    true = benchmark.portrait(150, 200)
    row = benchmark.against_loops("saved", benchmark.guess(true), true, 1)
    assert row["scipy_differs"] < 1e-12


@pytest.mark.slow
def test_connectivity_of_12_megapixels_in_2_seconds_of_one_core(benchmark: ModuleType) -> None:
    true = benchmark.portrait(3000, 4000)
    for pred in (benchmark.guess(true), benchmark.unsaved(benchmark.guess(true))):
        start = time.process_time()
        metrics.conn(pred, true)
        assert time.process_time() - start < 2
