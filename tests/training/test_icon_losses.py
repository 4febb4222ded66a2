"""The losses of the paper and of its release, against figures worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from mattelike.training import icon_losses as losses
from mattelike.training.icon_losses import Truth
from mattelike.training.icon_schedule import optimiser, warmup

SIDE = 768


def box() -> Tensor:
    unknown = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    unknown[300:400, 200:400] = True
    return unknown


def ramp() -> Tensor:
    return (torch.arange(SIDE, dtype=torch.float64) / (SIDE - 1)).expand(SIDE, SIDE)


def test_A22_O18_regional_l1() -> None:
    unknown = box()
    alpha, truth = torch.full((SIDE, SIDE), 0.25), torch.zeros(SIDE, SIDE)
    expected = 0.25 * 262144 / 589824
    for region in (unknown, ~unknown):
        assert float(losses.regional_l1(alpha, truth, region)) == pytest.approx(expected, rel=1e-5)
    smooth = losses.regional_smooth_l1(alpha, truth, (~unknown).float())
    assert float(smooth) == pytest.approx(0.0138889, abs=1e-7)


def test_A22_O19_O20_regional_gradient() -> None:
    unknown, slope, nothing = box().double(), ramp(), torch.zeros(SIDE, SIDE, dtype=torch.float64)
    factor = 262144 / 589824
    same = losses.regional_gradient(slope, slope, unknown)
    assert float(same) == pytest.approx(0.01 * 8 / 767 * factor, rel=1e-6)
    assert float(same) == pytest.approx(4.635666e-5, abs=1e-10)
    assert float(losses.regional_gradient(slope, nothing, unknown)) == pytest.approx(4.682022e-3, abs=1e-8)
    assert float(losses.regional_gradient(nothing, slope, unknown)) == pytest.approx(4.635666e-3, abs=1e-8)


def test_A22_O21_laplacian() -> None:
    impulse = torch.zeros(64, 64, dtype=torch.float64)
    impulse[32, 32] = 1
    nothing = torch.zeros_like(impulse)
    assert float(losses.laplacian(impulse, nothing)) == pytest.approx(1.878198e-3, abs=1e-9)
    constant = losses.laplacian(torch.full((64, 64), 0.3), torch.zeros(64, 64))
    assert float(constant) <= 1e-6


@pytest.mark.parametrize("preset", ["release", "paper"])
@pytest.mark.parametrize("segmentation", [False, True])
def test_A22_gradients_equal_finite_differences(preset: Any, segmentation: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    alpha = torch.rand(64, 64, generator=generator, dtype=torch.float64).mul(0.8).add(0.1).requires_grad_()
    wanted = torch.rand(64, 64, generator=generator, dtype=torch.float64)
    truth = Truth(wanted, torch.rand(64, 64, generator=generator) > 0.5, segmentation)

    def loss(x: Tensor) -> Tensor:
        return torch.stack(list(losses.terms(x, truth, preset).values())).sum()

    (slope,) = torch.autograd.grad(loss(alpha), alpha)
    for row, column in ((3, 5), (32, 32), (63, 0), (20, 41)):
        step = torch.zeros_like(alpha)
        step[row, column] = 1e-7
        with torch.no_grad():
            found = (loss(alpha + step) - loss(alpha - step)) / 2e-7
        assert float(found) == pytest.approx(float(slope[row, column]), abs=1e-5 * (1 + abs(float(found))))


@pytest.mark.parametrize("known", [True, False])
def test_A22_an_empty_region_counts_nothing(known: bool) -> None:
    alpha = torch.rand(64, 64).requires_grad_()
    truth = Truth(torch.rand(64, 64), torch.full((64, 64), known), False)
    found = losses.terms(alpha, truth)
    empty = "known_l1" if known else "unknown_l1"
    assert float(found[empty].detach()) == 0
    assert all(bool(torch.isfinite(value)) for value in found.values())
    torch.stack(list(found.values())).sum().backward()  # type: ignore[no-untyped-call]
    assert alpha.grad is not None and bool(torch.isfinite(alpha.grad).all())


@pytest.mark.parametrize("preset", ["release", "paper"])
def test_A22_nothing_to_trust_gives_no_gradient(preset: Any) -> None:
    alpha = torch.rand(32, 32).requires_grad_()
    truth = Truth(torch.ones(32, 32), torch.ones(32, 32, dtype=torch.bool), True)
    (value,) = losses.terms(alpha, truth, preset).values()
    value.backward()  # type: ignore[no-untyped-call]
    assert float(value.detach()) == 0
    assert alpha.grad is not None and not alpha.grad.any()


def disc() -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(128), torch.arange(128), indexing="ij")
    return ((rows - 64) ** 2 + (columns - 60) ** 2 < 40**2).float()


@pytest.mark.parametrize("preset", ["release", "paper"])
def test_A23_the_edge_of_a_hard_mask_is_not_learnt_from(preset: Any) -> None:
    mask = disc()
    truth = losses.truth_of(mask, None, "segmentation", confident_radius=30)
    assert truth.segmentation
    alpha = torch.rand(128, 128)
    before = losses.terms(alpha, truth, preset)
    changed = torch.where(truth.unknown, 1 - alpha, alpha)
    after = losses.terms(changed, truth, preset)
    assert set(before) == set(after) == {"known_smooth_l1" if preset == "release" else "known_l1"}
    assert all(torch.equal(before[name], after[name]) for name in before)
    # 30 pixels at a side of 768 are 5 at 128.
    rows, columns = torch.meshgrid(torch.arange(128), torch.arange(128), indexing="ij")
    distance = ((rows - 64.0) ** 2 + (columns - 60.0) ** 2).sqrt() - 40
    assert not truth.unknown[distance.abs() > 7].any()
    assert truth.unknown[distance.abs() < 4].all()


def test_A23_which_samples_are_hard_masks() -> None:
    mask, soft = disc(), disc() * 0.5
    assert losses.is_segmentation(mask, None, "field")
    assert not losses.is_segmentation(mask, "matting", "field")
    assert losses.is_segmentation(mask, "matting", "binary")
    assert not losses.is_segmentation(mask, "segmentation", "release")
    assert losses.is_segmentation(torch.ones(4, 4), None, "release")
    assert not losses.is_segmentation(soft, None, "field")
    assert "gradient" in losses.terms(soft, losses.truth_of(mask, None, None, rule="release"))
    assert "gradient" not in losses.terms(soft, losses.truth_of(mask, None, None))


def test_a_missing_trimap_is_made_from_the_partly_transparent() -> None:
    alpha = disc()
    alpha[64, 20] = 0.5
    truth = losses.truth_of(alpha, None, None, trimap_radius=10)
    assert int(truth.unknown.sum()) == 21 * 21
    given = losses.truth_of(alpha, torch.full((128, 128), 0.5), "matting")
    assert bool(given.unknown.all())


def test_the_step_does_not_depend_on_the_batch_unless_it_is_summed() -> None:
    alpha = torch.rand(1, 1, 64, 64)
    truth = Truth(torch.rand(64, 64), torch.rand(64, 64) > 0.5, False)
    one, _ = losses.total(alpha, [truth])
    two, named = losses.total(alpha.repeat(2, 1, 1, 1), [truth, truth])
    summed, _ = losses.total(alpha.repeat(2, 1, 1, 1), [truth, truth], reduction="sum")
    torch.testing.assert_close(two, one)
    torch.testing.assert_close(summed, 2 * one)
    assert set(named) == {"unknown_l1", "known_l1", "laplacian", "gradient"}
    with pytest.raises(FloatingPointError):
        losses.total(alpha * math.nan, [truth])
    with pytest.raises(FloatingPointError):
        losses.total(alpha * 1e6, [truth])


def test_A24_the_learning_rate_warms_up() -> None:
    assert warmup(0) == 1e-6
    assert warmup(125) == pytest.approx(0.5000005, abs=1e-12)
    assert [warmup(step) for step in (250, 251, 100_000)] == [1, 1, 1]


def test_only_trained_parameters_are_in_the_optimiser() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    net[0].requires_grad_(False)
    adamw = optimiser(net, "adamw", 4e-4, 0.01)
    assert isinstance(adamw, torch.optim.AdamW)
    assert [len(group["params"]) for group in adamw.param_groups] == [2]
    assert type(optimiser(net, "adam", 4e-4, 0.0)) is torch.optim.Adam
