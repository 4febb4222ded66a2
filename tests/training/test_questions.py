"""What a reference is allowed to say while a network learns: what it may say in use."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mattelike import tokens
from mattelike.training.questions import clear_of_edges


@pytest.mark.parametrize("top", [1.0, 0.3, 0.0])
def test_references_lose_the_cells_in_training_that_contexts_lose_in_use(top):
    """`tokens.fringe` is what `Predictor.encode` leaves out; a thing smaller than a cell has one, too."""
    draw = np.random.default_rng(4)
    weights = (draw.random((2, 1, 6, 8)) ** 3 * top).astype(np.float32)
    found = clear_of_edges(torch.tensor(weights).flatten(2), (6, 8))
    for one, kept in zip(weights[:, 0], found[:, 0], strict=True):
        assert np.array_equal(kept.numpy().reshape(6, 8), ~tokens.fringe(one))
