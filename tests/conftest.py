"""What all tests share: checked shapes and types, and the development data where it is at hand."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

# No test is timed: on a busy machine one example in a thousand takes a second.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# Every call into these checks its arguments and results against its annotations while tests run. Left out:
# `network` and `training`, whose modules are traced by torch when graphs are exported, and `cli`, whose
# functions are rewritten by click.
CHECKED = [
    "mattelike.batch",
    "mattelike.components",
    "mattelike.contexts",
    "mattelike.drawings",
    "mattelike.errors",
    "mattelike.explain",
    "mattelike.figures",
    "mattelike.foreground",
    "mattelike.framing",
    "mattelike.lettering",
    "mattelike.mattes",
    "mattelike.metrics",
    "mattelike.models",
    "mattelike.paint",
    "mattelike.photos",
    "mattelike.positions",
    "mattelike.predictor",
    "mattelike.prompts",
    "mattelike.refinement",
    "mattelike.resampling",
    "mattelike.similarity",
    "mattelike.tokens",
    "mattelike.values",
]
install_import_hook(CHECKED, "beartype.beartype")

# Started in the background of a shell, tests inherit an ignored SIGINT, as would the programs they interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("MATTELIKE_SHARED", ROOT.parent / "shared"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what needs the development data where there is none."""
    if (SHARED / "data").is_dir():
        return
    absent = pytest.mark.skip(reason=f"no development data at {SHARED}; set MATTELIKE_SHARED")
    for item in items:
        if "shared" in item.keywords:
            item.add_marker(absent)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of the development data; tests that ask for it are marked `shared`."""
    return SHARED


@pytest.fixture(scope="session")
def examples() -> Path:
    """Folder of the example photos, which come with the checkout."""
    return ROOT / "examples"
