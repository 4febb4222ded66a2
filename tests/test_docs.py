"""What the documentation says is true: its symbols exist and its examples run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "docs" / "quickstart.md", *(ROOT / "docs" / "howto").glob("*.md")])


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def resolved(symbol: str) -> object:
    """The object that a dotted name means: the longest module there is, then attributes."""
    parts = symbol.split(".")
    found: object = import_module(parts[0])
    for number, part in enumerate(parts[1:], start=2):
        found = getattr(found, part, None) or import_module(".".join(parts[:number]))
    return found


def test_every_symbol_of_paper_to_code_exists() -> None:
    text = (ROOT / "docs" / "paper-to-code.md").read_text(encoding="utf-8")
    symbols = set(re.findall(r"`(mattelike\.[\w.]+)`", text))
    assert len(symbols) > 20
    for symbol in sorted(symbols):
        assert resolved(symbol) is not None


def test_links_of_the_readme_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / target).exists(), target


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with the examples in it, as a reader of the documentation has them."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_of_the_documentation_runs(page: Path, workplace: Path) -> None:
    code = "\n".join(blocks(page, "python"))
    if not code:
        pytest.skip("no Python on this page")
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=240
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_the_documentation_run(page: Path, workplace: Path) -> None:
    lines = "".join(blocks(page, "console")).splitlines()
    commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ mattelike ")]
    if not commands:
        pytest.skip("no command on this page")
    for command in commands:
        arguments = [sys.executable, "-m", "mattelike", *shlex.split(command)[1:]]
        ran = subprocess.run(arguments, capture_output=True, text=True, timeout=240, env=os.environ)
        assert ran.returncode == 0, f"{command}\n{ran.stderr}"
