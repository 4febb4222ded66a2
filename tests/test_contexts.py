"""Contexts survive a file bit for bit, join in order, and are refused where they do not belong."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mattelike.contexts import Context, Thumbnail
from mattelike.errors import ContextError, MattelikeError, OutputError
from mattelike.values import ModelCard

CARD = ModelCard("toy", stride=16, channels=4, sha256="abc")


def context(seed: int = 0, count: int = 6, **changes: object) -> Context:
    rng = np.random.default_rng(seed)
    values: dict[str, object] = {
        "tokens": rng.normal(size=(count, 4)).astype(np.float16),
        "weights": np.linspace(0, 1, count).astype(np.float16),
        "reference": np.zeros(count, np.int16),
        "model": "toy",
        "sha256": "abc",
        "thumbnails": (Thumbnail(b"\xff\xd8jpeg", "cat.jpg"),),
    }
    return Context(**(values | changes))  # type: ignore[arg-type]


def test_a_saved_context_comes_back_bit_for_bit(tmp_path):
    before = context()
    before.save(tmp_path / "cat.context")
    after = Context.load(tmp_path / "cat.context")
    for name in ("tokens", "weights", "reference"):
        assert np.array_equal(getattr(before, name), getattr(after, name))
        assert getattr(before, name).dtype == getattr(after, name).dtype
    assert (after.model, after.sha256, after.thumbnails) == ("toy", "abc", before.thumbnails)


def test_the_same_context_gives_the_same_bytes():
    assert context().to_bytes() == context().to_bytes()


def test_joining_numbers_the_references_in_order():
    both = context(0).joined(context(1)).joined(context(2))
    assert both.references == 3
    assert np.array_equal(both.tokens[6:12], context(1).tokens)
    assert len(both.thumbnails) == 3


def test_a_negative_keeps_only_what_was_marked_at_weight_zero():
    negative = context().negated()
    assert np.all(negative.weights == 0)
    assert np.array_equal(negative.tokens, context().tokens[3:])
    assert negative.thumbnails[0].negative


def test_trap_42_another_model_is_refused_in_one_line():
    with pytest.raises(ContextError, match="made by the model 'other'") as caught:
        context(model="other").check(CARD)
    assert "\n" not in str(caught.value)
    with pytest.raises(ContextError, match="other weights"):
        context(sha256="def").check(CARD)
    context().check(CARD)


def test_contexts_of_two_models_do_not_join():
    with pytest.raises(ContextError, match="different models"):
        context().joined(context(model="other"))


def test_trap_42_a_newer_version_is_refused():
    data = context().to_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    about = json.loads(header["__metadata__"]["mattelike"])
    about["version"] = 99
    header["__metadata__"]["mattelike"] = json.dumps(about)
    text = json.dumps(header).encode()
    with pytest.raises(ContextError, match="version 99"):
        Context.from_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


@pytest.mark.parametrize("data", [b"", b"PNG", b"\x00" * 100, b"\xff" * 64, b"{}" * 50])
def test_what_is_no_context_is_refused(data):
    with pytest.raises(ContextError):
        Context.from_bytes(data)


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": np.full(6, np.nan, np.float16)},
        {"weights": np.full(6, 2, np.float16)},
        {"tokens": np.full((6, 4), np.inf, np.float16)},
        {"reference": np.zeros(5, np.int16)},
        {
            "tokens": np.zeros((0, 4), np.float16),
            "weights": np.zeros(0, np.float16),
            "reference": np.zeros(0, np.int16),
        },
    ],
)
def test_impossible_arrays_never_reach_a_model(changes):
    with pytest.raises(ContextError, match="damaged"):
        Context.from_bytes(context(**changes).to_bytes())


@given(st.integers(0, 10_000), st.integers(0, 255), st.integers(0, 400))
def test_a_damaged_file_is_an_error_of_ours_or_still_a_context(position, byte, cut):
    data = bytearray(context().to_bytes())
    data[position % len(data)] = byte
    with contextlib.suppress(MattelikeError):
        Context.from_bytes(bytes(data[: len(data) - cut]))


def test_a_context_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    with pytest.raises(OutputError, match="cannot write the context"):
        context().save(tmp_path / "missing" / "cat.context")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(ContextError, match="cannot read the context"):
        Context.load(tmp_path / "none.context")
