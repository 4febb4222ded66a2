"""Every metric against closed forms (A19), and proof that the closed forms can fail."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import metric_references as plain
import numpy as np
import pytest
from metric_oracles import ORACLES, Oracle, edge

from mattelike import metrics
from mattelike.metrics.gradient import kernels, taps

OURS: dict[str, Callable[..., float]] = {name: row.measure for name, row in metrics.METRICS.items()}
REFERENCES: dict[str, Callable[..., float]] = {
    "sad": plain.sad,
    "mse": plain.mean_power,
    "mad": partial(plain.mean_power, power=1),
    "grad": plain.grad,
    "conn": plain.conn,
    "iou": plain.iou,
    "boundary_iou": plain.boundary_iou,
    "dtssd": plain.dtssd,
    "messddt": plain.messddt,
}
PLANTED: dict[str, list[dict[str, object]]] = {
    "sad": [{"power": 2}, {"unit": 1}, {"signed": True}],
    "mse": [{"power": 1}, {"whole": True}],
    "mad": [{"power": 2}, {"whole": True}, {"signed": True}],
    "grad": [
        {"sigma": 1.0},
        {"sigma": 1.41},
        {"reach": 3},
        {"unit_norm": False},
        {"border": "constant"},
        {"exponent": 1},
        {"same_axis": True},
        {"only_x": True},
    ],
    "conn": [
        {"theta": 0.0},
        {"theta": 0.25},
        {"late": 1},
        {"diagonal": True},
        {"strict": True},
        {"decimal": True},
        {"region_first": True},
        {"last_tie": True},
        {"any_part": True},
    ],
    "iou": [{"threshold": 0.3}, {"dice": True}, {"empty": 0.0}],
    "boundary_iou": [{"share": 0.01}, {"diamond": True}, {"outside": 1}],
    "dtssd": [{"root": False}, {"still": True}],
    "messddt": [{"power": 1}, {"swapped": True}, {"backwards": True}, {"floor": True}],
}
MISTAKES = [(metric, knob) for metric, knobs in PLANTED.items() for knob in knobs]


@pytest.mark.parametrize("oracle", ORACLES, ids=lambda oracle: oracle.name)
def test_A19_oracle(oracle: Oracle) -> None:
    value = OURS[oracle.metric](oracle.pred, oracle.true, **oracle.options)
    assert value == pytest.approx(oracle.expected, abs=1e-12)


def test_A19_every_oracle_is_there() -> None:
    names = {oracle.name.split("-")[0] for oracle in ORACLES}
    assert {f"O{number}" for number in range(1, 18)} <= names


def test_A19_O3_closed_form_of_a_step_edge() -> None:
    x = np.arange(-4, 5)
    gauss = np.exp(-(x**2) / (2 * 1.4**2)) / (1.4 * math.sqrt(2 * math.pi))
    slope = -x * gauss / 1.4**2
    steps = sum(slope[x >= k].sum() ** 2 for k in range(-3, 5))
    row = gauss.sum() ** 2 * steps / ((gauss**2).sum() * (slope**2).sum())
    assert row == pytest.approx(19.590716006416216, abs=1e-12)
    assert metrics.grad(np.zeros((64, 20)), edge(64)) == pytest.approx(64 * row / 1000, abs=1e-12)


def test_A21_gradient_kernels() -> None:
    hx, hy = kernels()
    assert hx.shape == (9, 9)
    assert np.linalg.norm(hx) == pytest.approx(1, abs=1e-15)
    assert np.array_equal(hy, hx.T)
    assert abs(hx.sum()) <= 1e-15
    gauss, slope = taps()
    assert slope[0] > 0 > slope[-1] and np.array_equal(gauss, gauss[::-1])


@pytest.mark.parametrize("metric", PLANTED)
def test_the_plain_copies_pass_where_no_knob_is_turned(metric: str) -> None:
    assert [case.name for case in ORACLES if case.metric == metric and case.misses(REFERENCES[metric])] == []


@pytest.mark.parametrize(
    ("metric", "knob"), MISTAKES, ids=[f"{metric}-{next(iter(knob))}" for metric, knob in MISTAKES]
)
def test_planted_mistakes_are_caught(metric: str, knob: dict[str, object]) -> None:
    wrong = partial(REFERENCES[metric], **knob)
    assert [case.name for case in ORACLES if case.metric == metric and case.misses(wrong)]
