from __future__ import annotations

from pathlib import Path

import pytest

from mattelike.evaluation.benchmarks import Benchmark, opened
from tests.evaluation.benches import tiny


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, examples: Path) -> Path:
    """Folder of the tiny benchmark."""
    return tiny(tmp_path_factory.mktemp("tiny"), examples).parent


@pytest.fixture(scope="session")
def bench(built: Path) -> Benchmark:
    return opened(str(built))


@pytest.fixture(scope="session")
def examples() -> Path:
    return Path(__file__).parents[2] / "examples"
