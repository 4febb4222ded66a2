"""The shipped edge network: it is what its card says, better than a solver, and tiles of it have no seams."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mattelike.errors import ModelNotFoundError
from mattelike.models.embedded import weights_folder
from mattelike.models.refiner import EdgeGraph, edge_network
from mattelike.models.runtime import file_hash
from mattelike.refinement import from_trimap, guided, refine, trimap
from mattelike.refinement.grids import enlarged
from mattelike.values import Float32

FOLDER = weights_folder("refiner")


def hairy(seed: int = 0, side: int = 320) -> tuple[np.ndarray, Float32]:
    """A disc with straight hairs, drawn four times as large: picture and exact alpha."""
    rng = np.random.default_rng(seed)
    large = 4 * side
    rows, columns = np.mgrid[:large, :large]
    thing = np.hypot(rows - large / 2, columns - large / 2) < large / 4
    for angle in rng.uniform(0, 2 * np.pi, 220):
        along = np.arange(large * 0.22, large * rng.uniform(0.27, 0.36))
        at = [(large / 2 + along * f(angle)).astype(int) for f in (np.sin, np.cos)]
        for shift in range(4):
            thing[at[0] + shift, at[1]] = True
    alpha = thing.reshape(side, 4, side, 4).mean(axis=(1, 3)).astype(np.float32)
    noise = rng.normal(0, 3, (side, side, 3))
    colour = np.where(alpha[..., None] >= 0, np.array([190, 120, 60]), 0)
    behind = np.array([60, 90, 150]) + 25 * np.sin(np.arange(side) / 17)[:, None, None]
    mixed = colour * alpha[..., None] + behind * (1 - alpha[..., None]) + noise
    return mixed.clip(0, 255).round().astype(np.uint8), alpha


def sad(one: Float32, other: Float32) -> float:
    return float(np.abs(one - other).sum())


@pytest.fixture(scope="module")
def network() -> EdgeGraph:
    return edge_network(1)


def test_the_graph_is_that_of_its_card_and_small() -> None:
    card = json.loads((FOLDER / "card.json").read_text(encoding="utf-8"))
    assert file_hash(FOLDER / "refiner.onnx") == card["sha256"]
    assert (FOLDER / "refiner.onnx").stat().st_size <= 4 * 2**20
    assert card["licence"] and card["source"]


@pytest.mark.parametrize("stride", [2, 4])
def test_edges_are_nearer_the_truth_than_any_filter_leaves_them(network: EdgeGraph, stride: int) -> None:
    pixels, alpha = hairy()
    coarse = (alpha > 0.5).reshape(320 // stride, stride, 320 // stride, stride).mean(axis=(1, 3))
    coarse = coarse.astype(np.float32)
    ours = refine(pixels, coarse, network=network).alpha
    large = enlarged(coarse, 320, 320)
    filtered = guided(pixels.astype(np.float32) / 255, large, 3 * stride).clip(0, 1)
    assert sad(ours, alpha) < 0.7 * min(sad(large, alpha), sad(filtered, alpha))


def test_a_trimap_is_solved_and_kept(network: EdgeGraph) -> None:
    pixels, alpha = hairy(1)
    known = trimap(alpha, radius=8, floor=0.02, ceiling=0.98)
    found = from_trimap(pixels, known, network)
    assert (found[known == 0] == 0).all() and (found[known == 1] == 1).all()
    assert sad(found, alpha) < 0.35 * sad(known, alpha)


def test_trap_45_tiles_have_no_seams(network: EdgeGraph) -> None:
    pixels, alpha = hairy(2, 640)
    coarse = (alpha > 0.5).reshape(320, 2, 320, 2).mean(axis=(1, 3)).astype(np.float32)
    whole = refine(pixels, coarse, network=network, tile=4096).alpha
    for tile in (96, 256):
        assert np.abs(refine(pixels, coarse, network=network, tile=tile).alpha - whole).max() <= 1e-3


def test_trap_50_solid_parts_are_solid_and_the_rest_is_empty(network: EdgeGraph) -> None:
    pixels, alpha = hairy(3)
    found = refine(pixels, alpha[::2, ::2].copy(), network=network).alpha
    rows, columns = np.mgrid[:320, :320]
    away = np.hypot(rows - 160, columns - 160)
    assert (found[away < 68] == 1).all()
    assert (found[away > 130] == 0).all()


def test_one_pixel_and_one_colour_give_no_nan(network: EdgeGraph) -> None:
    for size in ((1, 1), (2, 90), (40, 40)):
        pixels = np.full((*size, 3), 128, np.uint8)
        coarse = np.array([[0, 1]], np.float32)
        assert np.isfinite(refine(pixels, coarse, network=network).alpha).all()


def test_a_missing_graph_is_named(tmp_path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"refiner\.onnx"):
        EdgeGraph(tmp_path)
