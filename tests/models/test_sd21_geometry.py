"""Between a picture of any shape and the head's square, and the levels of a saved alpha."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mattelike.models.sd21_geometry import from_square, levels, to_square
from mattelike.models.sd21_marks import on_centre


def line(height: int, width: int, column: int) -> torch.Tensor:
    image = torch.zeros(1, 1, height, width)
    image[..., column - 3 : column + 3] = 1
    return image


def middle(image: torch.Tensor) -> float:
    """Centre of mass along the columns, relative to the width."""
    columns = image.sum(dim=(0, 1, 2))
    return float((columns * (torch.arange(len(columns)) + 0.5)).sum() / columns.sum() / len(columns))


def test_A27_resize_keeps_a_line_where_it_is() -> None:
    image = line(300, 400, 100)
    square = to_square(image, 128, "resize")
    back = from_square(square, (300, 400), "resize")
    assert square.shape == (1, 1, 128, 128)
    assert middle(square) == pytest.approx(0.25, abs=2e-3)
    assert middle(back) == pytest.approx(0.25, abs=2e-3)


def test_A27_the_release_crops_the_centre_and_stretches_it_back() -> None:
    image = line(300, 400, 100)
    square = to_square(image, 128, "release")
    back = from_square(square, (300, 400), "release")
    assert middle(square) == pytest.approx(50 / 300, abs=3e-3)
    assert middle(back) == pytest.approx(50 / 300, abs=3e-3)


def test_A27_padding_keeps_proportions_and_comes_back_in_place() -> None:
    image = line(300, 400, 100)
    square = to_square(image, 128, "pad")
    assert square.shape == (1, 1, 128, 128)
    assert torch.equal(square[..., 96:, :], square[..., 63:95, :].flip(-2))
    assert middle(from_square(square, (300, 400), "pad")) == pytest.approx(0.25, abs=3e-3)
    tiny = to_square(torch.rand(1, 3, 1, 7), 64, "pad")
    assert tiny.shape == (1, 3, 64, 64)


def test_cells_of_a_picture_fall_on_the_cells_of_its_centre() -> None:
    cells = np.zeros((8, 8), np.float32)
    cells[:, 2:6] = 1
    found = on_centre(cells, (100, 200))
    assert found.all()
    assert np.array_equal(on_centre(cells, (100, 100)), cells)


def test_A28_levels_round_and_clamp() -> None:
    k = np.arange(256, dtype=np.float64)
    for delta in (-0.4, 0.0, 0.4):
        assert np.array_equal(levels((k + delta) / 255, "round"), k)
    assert np.array_equal(levels((k[1:] - 0.4) / 255, "floor"), k[1:] - 1)
    assert levels(np.array([-0.1, 1.1]), "round").tolist() == [0, 255]
    assert levels(np.array([-0.1, 1.1]), "floor").tolist() == [0, 255]
