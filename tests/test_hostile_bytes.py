"""Files as attackers and bad disks make them: read, or refused in one line (`scripts/fuzz.py`)."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mattelike.contexts import Context
from mattelike.errors import ContextError, PhotoError

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import fuzz  # noqa: E402

CORPUS = sorted((ROOT / "tests" / "corpus").iterdir())
QUICK = settings(max_examples=60)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_every_file_of_the_corpus_is_read_or_refused_in_one_line(path: Path) -> None:
    fuzz.attempt(path.read_bytes())


def test_the_corpus_is_worth_its_name() -> None:
    from mattelike import photos

    formats = set()
    for path in CORPUS:
        try:
            formats.add(photos.header(path).format)
        except (PhotoError, ImportError):
            continue
    assert formats >= {"jpeg", "png", "gif", "tiff", "webp", "avif"}
    assert Context.load(ROOT / "tests/corpus/small.context").model == "toy"


@QUICK
@given(st.integers(0, 2**32))
def test_damaged_files_never_escape_the_tree_of_errors(seed: int) -> None:
    rng = random.Random(seed)
    fuzz.attempt(fuzz.damaged([path.read_bytes() for path in CORPUS], rng))


@QUICK
@given(st.data())
def test_damaged_contexts_are_refused_or_hold_sound_numbers(data: st.DataObject) -> None:
    whole = bytearray((ROOT / "tests/corpus/small.context").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(whole) - 1))
        whole[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    for content in (bytes(whole), bytes(whole[:cut])):
        try:
            context = Context.from_bytes(content)
        except ContextError as error:
            assert "\n" not in str(error)
            continue
        assert len(context.tokens) == len(context.weights) == len(context.reference) > 0
        assert context.weights.min() >= 0 and context.weights.max() <= 1


def test_what_was_damaged_in_a_png_is_looked_at() -> None:
    whole = (ROOT / "tests/corpus/rgba.png").read_bytes()
    assert fuzz.with_sums(whole) == whole
    broken = bytearray(whole)
    broken[18] ^= 1
    assert fuzz.with_sums(bytes(broken)) != bytes(broken)
    assert fuzz.with_sums(whole[:30]) == whole[:30]
