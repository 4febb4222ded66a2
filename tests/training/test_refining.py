"""Training of the edge network: exact alpha in, exact resume, guesses that keep their promises."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from mattelike.network.refiner import RefinerSettings  # noqa: E402
from mattelike.training import pack, recipes, refining, refining_drawing, refining_losses  # noqa: E402
from mattelike.training.groups import Item  # noqa: E402
from mattelike.training.refining_coarse import GuessShares, guessed  # noqa: E402
from mattelike.training.refining_samples import (  # noqa: E402
    SOURCES,
    Samples,
    SampleSettings,
    composite,
    library,
)

SMALL = refining.RefiningRecipe(
    steps=4,
    warmup=2,
    save_every=2,
    precision="fp32",
    network=RefinerSettings(widths=(8, 8, 8, 8), last=8),
    samples=SampleSettings(side=64, batch=2),
)


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> pack.Pack:
    """A pack of discs with a ramp for an edge, and backgrounds."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:96, :120]
    alpha = np.clip((40 - np.hypot(rows - 48, columns - 60)) / 12, 0, 1)

    def items():
        for source in (*SOURCES, "background"):
            for number in range(2):
                truth = "none" if source == "background" else "alpha"
                item = Item(f"{source}/{number}", source, source, truth)
                colour = rng.integers(0, 256, (96, 120, 3))
                yield item, np.dstack([colour, 255 * alpha * (truth == "alpha")]).astype(np.uint8)

    folder = tmp_path_factory.mktemp("pack")
    pack.write(folder, items())
    return pack.load(folder)


def test_a_run_that_was_stopped_goes_on_bit_for_bit(toys, tmp_path) -> None:
    whole = refining.train(SMALL, toys, tmp_path / "whole").state_dict()
    refining.train(SMALL, toys, tmp_path / "parts", stop_at=2)
    parts = refining.train(SMALL, toys, tmp_path / "parts").state_dict()
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())
    rows = [json.loads(line) for line in (tmp_path / "parts" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 1, 2, 3]


def test_a_gradient_that_is_not_finite_stops_the_run(toys, tmp_path) -> None:
    wild = replace(SMALL, losses=refining_losses.RefiningWeights(l1=float("nan")))
    with pytest.raises(RuntimeError, match="not finite"):
        refining.train(wild, toys, tmp_path)


def test_a_batch_depends_on_its_number_alone(toys) -> None:
    samples = Samples(library(toys), SMALL.samples, 8)
    one, again, other = samples[5], samples[5], samples[6]
    assert torch.equal(one.rgb, again.rgb) and torch.equal(one.guess, again.guess)
    assert not torch.equal(one.rgb, other.rgb)


@pytest.mark.parametrize("source", SOURCES)
def test_composites_are_pictures_with_an_edge_in_sight(toys, source) -> None:
    generator = torch.Generator().manual_seed(3)
    made = [composite(library(toys), source, 64, generator) for _ in range(8)]
    for picture in made:
        assert picture.rgb.shape == (3, 64, 64) and picture.alpha.shape == (64, 64)
        assert float(picture.rgb.min()) >= 0 and float(picture.rgb.max()) <= 1
        assert float(picture.alpha.min()) >= 0 and float(picture.alpha.max()) <= 1
    partial = [bool(((p.alpha > 0.05) & (p.alpha < 0.95)).any()) for p in made]
    assert sum(partial) >= 7


def test_the_knowledge_of_every_guess_is_zero_or_one() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.linspace(-1, 2, 64).clamp(0, 1).expand(64, 64).contiguous()
    for shares in (GuessShares(1, 0, 0), GuessShares(0, 1, 0), GuessShares(0, 0, 1), GuessShares(0, 0, 0)):
        for _ in range(12):
            guess = guessed(truth, generator, shares)
            known = guess.alpha[guess.unknown == 0]
            assert ((known == 0) | (known == 1)).all()
            assert float(guess.alpha.min()) >= 0 and float(guess.alpha.max()) <= 1


def test_a_trimap_never_says_what_is_wrong() -> None:
    generator = torch.Generator().manual_seed(1)
    truth = torch.linspace(-1, 2, 64).clamp(0, 1).expand(64, 64).contiguous()
    for _ in range(12):
        guess = guessed(truth, generator, GuessShares(1, 0, 0))
        assert ((guess.alpha - truth).abs() * (1 - guess.unknown)).max() <= 0.02


def test_a_right_answer_costs_nothing_and_what_is_known_does_not_count() -> None:
    truth = torch.rand(2, 1, 32, 32)
    unknown = torch.zeros_like(truth)
    unknown[..., 8:24, 8:24] = 1
    guess = torch.cat([truth, unknown], dim=1)
    sure = torch.full((2, 1, 8, 8), -20.0)
    wrong_outside = truth + (1 - unknown)
    for name, value in refining_losses.terms(
        wrong_outside, sure, guess, truth, torch.ones_like(truth)
    ).items():
        assert float(value) == pytest.approx(0, abs=1e-6), name
    for name, value in refining_losses.terms(truth + 0.1, sure, guess, truth, torch.ones_like(truth)).items():
        assert name == "where" or float(value) > 0.001, name


def test_an_unknown_setting_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("stepps = 3\n")
    with pytest.raises(ValueError, match="stepps"):
        recipes.read(refining.RefiningRecipe, path)
    own = Path(__file__).parents[2] / "recipes" / "refiner.toml"
    assert recipes.read(refining.RefiningRecipe, own).name == "refiner"


@pytest.mark.parametrize("seed", range(4))
def test_drawings_are_the_same_for_the_same_seed_and_have_soft_and_solid_parts(seed) -> None:
    texture = np.full((refining_drawing.SIDE, refining_drawing.SIDE, 3), (0.2, 0.5, 0.7), np.float32)
    one, again = (refining_drawing.drawn(texture, np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(one, again)
    alpha = one[..., 3]
    assert alpha.min() == 0 and alpha.max() <= 1 and one[..., :3].max() <= 1
    assert ((alpha > 0.05) & (alpha < 0.95)).mean() > 0.001


def test_the_learning_rate_rises_and_falls() -> None:
    chosen = replace(SMALL, steps=100, warmup=10)
    rates = [refining.rate(chosen, step) for step in range(101)]
    assert max(rates) == pytest.approx(1) and rates.index(max(rates)) in (9, 10)
    assert rates[-1] == pytest.approx(0.01) and rates[10:] == sorted(rates[10:], reverse=True)
