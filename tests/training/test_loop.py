"""Training: deterministic, exactly resumable, and it learns."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mattelike.errors import SettingsError
from mattelike.network.encoder import EncoderSettings
from mattelike.training import episodes, loop
from mattelike.training.episodes import EpisodeSettings
from tests.training.toys import toy_pack

TINY = loop.Recipe(
    steps=10,
    warmup=2,
    cooldown=4,
    save_every=5,
    workers=0,
    precision="fp32",
    encoder=EncoderSettings(width=16, heads=2, head_channels=8, blocks=1),
    head_width=16,
    head_blocks=1,
    decoder=(12, 10, 8),
    episodes=EpisodeSettings(sides=(64,), scene_pairs=1, real_pairs=1, questions=6),
)


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    return toy_pack(tmp_path_factory.mktemp("pack"))


def test_trap_101_ten_steps_equal_five_and_five_bit_for_bit(pack, tmp_path):
    whole = loop.train(TINY, pack, tmp_path / "whole")
    loop.train(TINY, pack, tmp_path / "parts", stop_at=5)
    parts = loop.train(TINY, pack, tmp_path / "parts")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name
    rows = [
        [json.loads(line)["loss"] for line in (tmp_path / run / "log.jsonl").read_text().splitlines()]
        for run in ("whole", "parts")
    ]
    assert rows[0] == rows[1]
    assert len(rows[0]) == 10


def test_trap_102_the_number_of_workers_does_not_change_the_batches(pack):
    made = episodes.Episodes(episodes.library(pack, False), TINY.episodes, 4)
    for workers in (0, 2):
        for step, batch in enumerate(loop.batches(made, 1, workers), start=1):
            assert torch.equal(batch.images, made[step].images)
            assert torch.equal(batch.truth, made[step].truth)


def test_an_unknown_setting_is_refused_by_name():
    with pytest.raises(ValueError, match=r"recipe.encoder: unknown setting 'widht'"):
        loop.from_table(loop.Recipe, {"encoder": {"widht": 3}})


def test_a_recipe_is_read_from_its_table():
    recipe = loop.from_table(loop.Recipe, {"steps": 7, "encoder": {"width": 64}, "decoder": [8, 8, 8]})
    assert (recipe.steps, recipe.encoder.width, recipe.decoder) == (7, 64, (8, 8, 8))
    assert recipe.episodes == EpisodeSettings()


def test_A24_the_rate_warms_up_holds_and_cools_down():
    recipe = loop.Recipe(steps=1000, warmup=250, cooldown=500)
    assert loop.rate(recipe, 0) == pytest.approx(1e-6)
    assert loop.rate(recipe, 125) == pytest.approx(0.5)
    assert loop.rate(recipe, 250) == loop.rate(recipe, 499) == 1
    assert loop.rate(recipe, 750) == pytest.approx(0.505)
    assert loop.rate(recipe, 1000) == pytest.approx(0.01)


def test_trap_94_a_step_with_no_finite_gradient_is_skipped_and_counted(pack, tmp_path, monkeypatch):
    real = loop.judged
    calls = []

    def sometimes(*arguments):
        calls.append(1)
        found = real(*arguments)
        return {name: value * float("nan") if len(calls) == 2 else value for name, value in found.items()}

    monkeypatch.setattr(loop, "judged", sometimes)
    model = loop.train(replace(TINY, steps=4, cooldown=1), pack, tmp_path)
    assert all(torch.isfinite(p).all() for p in model.parameters())
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["skipped"] for row in rows] == [0, 1, 1]


def test_a_damaged_step_over_and_over_stops_the_run(pack, tmp_path, monkeypatch):
    real = loop.judged
    monkeypatch.setattr(loop, "judged", lambda *a: {k: v * float("nan") for k, v in real(*a).items()})
    with pytest.raises(RuntimeError, match="not finite"):
        loop.train(replace(TINY, steps=40), pack, tmp_path)


def test_only_the_late_pointwise_convolutions_of_the_backbone_are_trained():
    model = loop.build(replace(TINY, encoder=replace(TINY.encoder, tuned_from=5)))
    loop.optimiser(model, TINY)
    names = [n for n, p in model.named_parameters() if p.requires_grad and n.startswith("encoder.backbone")]
    # The optimiser reads tuned_from of its recipe, which trains none.
    assert names == []
    recipe = replace(TINY, encoder=replace(TINY.encoder, tuned_from=5))
    model = loop.build(recipe)
    loop.optimiser(model, recipe)
    names = [n for n, p in model.named_parameters() if p.requires_grad and n.startswith("encoder.backbone")]
    assert names
    assert all("depthwise" not in n for n in names)
    assert {n.split(".")[3] for n in names if ".stages." in n} == {"5", "6"}


@pytest.mark.slow
def test_alpha_gets_better_by_a_third_on_shapes(pack, tmp_path):
    recipe = replace(TINY, steps=60, warmup=5, cooldown=20, learning_rate=3e-3, save_every=60)
    loop.train(recipe, pack, tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]

    def left(term):
        """Share of a term that is left: every batch has other questions, so means of several are compared."""
        return (sum(row[term] for row in rows[-8:]) / 8) / (sum(row[term] for row in rows[:4]) / 4)

    # The errors of alpha itself. The whole loss also holds terms with a floor far above 0 (is the kind there
    # at all, how sure is it, do kinds lie together), so it falls by less.
    assert left("l1") < 0.7
    assert left("bce") < 0.7
    assert left("loss") < 0.9


def test_a_run_writes_what_a_card_needs(pack, tmp_path):
    loop.train(replace(TINY, steps=2, cooldown=1), pack, tmp_path)
    saved = torch.load(Path(tmp_path) / "average.pt", weights_only=True)
    assert saved["step"] == 2
    assert saved["recipe"]["encoder"]["width"] == 16


def held(weight):
    """A recipe whose backbone is tuned, and held to what it was."""
    encoder = replace(TINY.encoder, kinds_head=True, tuned_from=5)
    return replace(TINY, encoder=encoder, backbone_rate=1.0, losses=replace(TINY.losses, untouched=weight))


def test_a_tuned_backbone_is_held_to_what_it_was(pack, tmp_path):
    drifted = {}
    for weight in (1e-6, 50.0):
        loop.train(held(weight), pack, tmp_path / str(weight))
        rows = [json.loads(line) for line in (tmp_path / str(weight) / "log.jsonl").read_text().splitlines()]
        assert rows[0]["untouched"] == pytest.approx(0, abs=1e-5)
        drifted[weight] = rows[-1]["untouched"]
    assert 0 < drifted[50.0] < 0.7 * drifted[1e-6]


def test_a_backbone_that_nothing_matches_by_cannot_be_held(pack):
    recipe = replace(TINY, losses=replace(TINY.losses, untouched=1.0))
    with pytest.raises(SettingsError, match="kinds_head"):
        loop.embedded(recipe, pack)


def test_training_needs_torch_and_numpy_alone():
    """It runs on machines with a GPU and next to nothing else: neither readers of photos nor a runtime."""
    script = (
        "import sys\n"
        "import mattelike.training.loop, mattelike.training.refining, mattelike.training.starts\n"
        "print(sorted({'onnxruntime', 'onnx', 'pyvips', 'PIL', 'cv2', 'av'} & set(sys.modules)))\n"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
