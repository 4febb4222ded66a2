"""What a run leaves for whoever reads of it later."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mattelike import photos
from mattelike.training import loop, run_card
from tests.training.test_loop import TINY
from tests.training.toys import toy_pack


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Ten steps, stopped after five; the log of the first stretch goes on past its checkpoint."""
    folder = tmp_path_factory.mktemp("run")
    pack = toy_pack(folder / "pack")
    loop.train(TINY, pack, folder / "run", stop_at=5)
    with (folder / "run" / "log.jsonl").open("a") as log:
        log.write('{"l1": 9.0, "step": 5, "loss": 9.0, "seconds": 99}\n{"l1": 9.0, "st')
    loop.train(TINY, pack, folder / "run")
    return folder / "run", pack


def test_a_run_says_how_it_was_made_and_on_what(run):
    folder, pack = run
    card = json.loads((folder / "card.json").read_text())
    assert card["data"] == pack.sha256
    assert card["recipe"]["encoder"]["width"] == TINY.encoder.width
    assert (card["steps"], card["device"], card["processes"], card["skipped"]) == (10, "cpu", 1, 0)
    assert set(card["versions"]) == {"python", "mattelike", "torch", "numpy"}
    assert card["last"]["loss"] == pytest.approx(
        np.mean([row["loss"] for row in run_card.logged(folder / "log.jsonl")]), abs=1e-4
    )


def test_a_killed_run_logs_every_step_once(run):
    rows = run_card.logged(run[0] / "log.jsonl")
    assert [row["step"] for row in rows] == list(range(10))
    assert max(row["loss"] for row in rows) < 9


def test_the_time_of_all_stretches_counts(run):
    rows = run_card.logged(run[0] / "log.jsonl")
    assert run_card.spent(rows) == pytest.approx(rows[4]["seconds"] + rows[9]["seconds"])


def test_the_curves_are_a_picture(run):
    picture = photos.read(run[0] / "curves.png")
    assert picture.width > 800
    assert len(np.unique(picture.pixels.reshape(-1, picture.pixels.shape[-1]), axis=0)) > 20


def test_a_long_run_is_drawn_by_means(tmp_path):
    steps, values = run_card.smoothed(list(range(1000)), [float(i % 2) for i in range(1000)])
    assert len(steps) == len(values) == run_card.POINTS
    assert np.allclose(values, 0.5, atol=0.1)


def test_training_without_matplotlib_leaves_the_card_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(run_card, "find_spec", lambda name: None)
    pack = toy_pack(tmp_path / "pack")
    loop.train(replace(TINY, steps=1), pack, tmp_path / "run")
    assert (tmp_path / "run" / "card.json").is_file()
    assert not (tmp_path / "run" / "curves.png").exists()
