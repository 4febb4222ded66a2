"""Images for Docker cannot be built everywhere; what their files name can be looked up."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCKERFILES = ("Dockerfile", "Dockerfile.cuda")


def instructions(name: str) -> list[tuple[str, str]]:
    """Instructions of a Dockerfile with their arguments, continued lines joined."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def copied(name: str) -> list[str]:
    """What is copied from this folder."""
    found = [rest.split() for word, rest in instructions(name) if word == "COPY"]
    return [source for words in found if not words[0].startswith("--from") for source in words[:-1]]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_every_file_an_image_copies_is_there_and_not_left_out(name: str) -> None:
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert copied(name)
    for source in copied(name):
        assert (ROOT / source).exists(), source
        assert any(fnmatch(source, rule[1:]) for rule in kept if rule.startswith("!")), source


@pytest.mark.parametrize("name", DOCKERFILES)
def test_what_the_package_is_built_from_is_copied(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {"pyproject.toml", "src", *project.get("license-files", ())}
    if isinstance(project.get("readme"), str):
        needed.add(project["readme"])
    assert needed <= set(copied(name))


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_starts_the_installed_command_as_somebody_who_is_not_root(name: str) -> None:
    found = dict(instructions(name))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (command,) = re.findall(r'"([^"]+)"', found["ENTRYPOINT"])
    assert command in project["scripts"]
    assert found["HEALTHCHECK"].split("CMD ")[1].startswith(f'["{command}"')
    made = [rest for word, rest in instructions(name) if word == "RUN" and "useradd" in rest]
    assert found["USER"] not in ("root", "0") and any(found["USER"] in rest for rest in made)
