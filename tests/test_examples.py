"""The examples run as they stand, on the photos that come with them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("script", "results"),
    [
        ("simple.py", ["simple.png"]),
        (
            "advanced.py",
            ["advanced/vase.context", "advanced/vase-02.png", "advanced/vase-02.in-the-park.jpg"],
        ),
        ("expert.py", ["expert/00.png", "expert/05.png"]),
    ],
)
def test_example_runs_and_writes(script: str, results: list[str], examples: Path, tmp_path: Path) -> None:
    here = tmp_path / "examples"
    shutil.copytree(examples, here)
    ran = subprocess.run(
        [sys.executable, "-W", "error", here / script], capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    for result in results:
        assert (tmp_path / "demo" / result).stat().st_size > 0


def test_examples_carry_their_licence_and_sources(examples: Path) -> None:
    assert "Attribution 4.0 International" in (examples / "LICENSE.md").read_text(encoding="utf-8")
    sources = (examples / "references_and_licenses.txt").read_text(encoding="utf-8")
    assert all(name in sources for name in ("dog2", "grey_sloth_plushie", "vase", "Unsplash"))


def test_example_photos_are_few_and_small(examples: Path) -> None:
    photos = sorted((examples / "photos").rglob("*.jpg"))
    assert 8 <= len(photos) <= 12
    assert max(photo.stat().st_size for photo in photos) < 250_000
