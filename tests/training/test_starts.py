"""Committed checkpoints: small, complete, and strict."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from mattelike.errors import ModelDamagedError
from mattelike.training import loop, starts
from tests.training.test_loop import TINY


def test_a_checkpoint_comes_back_to_float16(tmp_path):
    model = loop.build(TINY)
    starts.write(tmp_path / "a.safetensors", TINY, model.state_dict(), 7)
    recipe, back, step = starts.read(tmp_path / "a.safetensors")
    assert (recipe, step) == (TINY, 7)
    for name, value in model.state_dict().items():
        if "classifier" not in name:
            assert torch.allclose(back.state_dict()[name].float(), value.float(), rtol=1e-3, atol=1e-4), name


def test_the_average_of_a_run_is_written_and_read_whole(tmp_path):
    model = loop.build(TINY)
    starts.write(tmp_path / "average.pt", TINY, model.state_dict(), 7)
    recipe, back, step = starts.read(tmp_path / "average.pt")
    assert (recipe, step) == (TINY, 7)
    assert all(torch.equal(value, back.state_dict()[name]) for name, value in model.state_dict().items())
    (tmp_path / "broken.pt").write_bytes(b"no")
    with pytest.raises(ModelDamagedError, match=r"broken\.pt: not the average of a run"):
        starts.read(tmp_path / "broken.pt")


def test_trap_63_missing_and_spare_tensors_are_named(tmp_path):
    path = tmp_path / "a.safetensors"
    starts.write(path, TINY, loop.build(TINY).state_dict(), 7)
    state = load_file(path)
    model = loop.build(TINY)
    with pytest.raises(ModelDamagedError, match=r"lacks encoder\.tokens\.weight"):
        starts.load(model, {k: v for k, v in state.items() if k != "encoder.tokens.weight"}, "a")
    with pytest.raises(ModelDamagedError, match="belongs nowhere"):
        starts.load(model, {**state, "spare": torch.zeros(1)}, "a")
    with pytest.raises(ModelDamagedError, match=r"\(1,\)"):
        starts.load(model, {**state, "encoder.tokens.bias": torch.zeros(1)}, "a")


def test_another_file_is_no_checkpoint(tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(ModelDamagedError, match="not a checkpoint"):
        starts.read(tmp_path / "x.safetensors")
    (tmp_path / "y.safetensors").write_bytes(b"no")
    with pytest.raises(ModelDamagedError, match="not a checkpoint"):
        starts.read(tmp_path / "y.safetensors")


def test_between_two_checkpoints_lie_the_means_of_their_weights():
    one, other = loop.build(TINY).state_dict(), loop.build(TINY).state_dict()
    mixed = starts.between(one, other, 0.25)
    for name, value in other.items():
        expected = 0.75 * one[name] + 0.25 * value if value.is_floating_point() else value
        assert torch.allclose(mixed[name].double(), expected.double(), atol=1e-6), name
    with pytest.raises(ModelDamagedError, match="different shapes"):
        starts.between(one, {**other, "spare": torch.zeros(1)}, 0.5)
