"""`mattelike train recipes/icon-768.toml` on small random weights of the real classes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import load_file

import mattelike as ml
from mattelike.cli import main
from mattelike.errors import ModelDamagedError, SettingsError, UsageError
from mattelike.models import sd21_heads, sd21_source, sd21_trimap
from mattelike.models.sd21_settings import settings_of
from mattelike.network import head_files
from mattelike.network.icon_768 import Icon768
from mattelike.training import icon_recipe, recipes
from tests.models import tiny_sd
from tests.training import icon_data
from tests.training.test_together import in_two_processes

RECIPES = Path(__file__).parents[2] / "recipes"
SMALL = {
    "side": 64, "crop_size": 64, "ensemble_size": 1, "batch_size": 2, "max_steps": 10, "warmup_steps": 2,
    "allow_overlap": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small diffusion model and small data."""
    folder = tmp_path_factory.mktemp("room")
    tiny_sd.save(folder / "sd")
    icon_data.groups(folder / "data")
    return folder


def recipe(room: Path, name: str, **changes: Any) -> icon_recipe.IconRecipe:
    """One of the repository's recipes, made small."""
    settings = {**SMALL, "sd_path": str(room / "sd"), "sources": [str(room / "data")], **changes}
    table = recipes.table(RECIPES / name) | {"workers": 0}
    return icon_recipe.recipe_of(table, settings)


def train(room: Path, output: str, *args: str, **changes: Any) -> Result:
    settings = {**SMALL, "sd_path": room / "sd", "sources": room / "data", **changes}
    pairs = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    path = room / "here.toml"
    path.write_text(f'extends = "{RECIPES / "icon-768.toml"}"\nworkers = 0\n')
    return CliRunner().invoke(main, ["train", str(path), "-o", str(room / output), *pairs, *args])


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_trap_101_ten_steps_equal_five_and_five_bit_for_bit(room: Path) -> None:
    assert train(room, "whole").exit_code == 0
    assert train(room, "parts", "--stop-at", "5").exit_code == 0
    ended = train(room, "parts")
    assert ended.exit_code == 0, ended.output
    assert "--set weights=" in ended.stderr
    states = [torch.load(room / run / "last.pt", weights_only=True) for run in ("whole", "parts")]
    for part in ("model", "average"):
        for name, value in states[0][part].items():
            assert torch.equal(value, states[1][part][name]), name
    losses = [[row["loss"] for row in rows(room / run)] for run in ("whole", "parts")]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 10
    # The release's losses, by name.
    assert {"unknown_l1", "known_l1", "laplacian", "gradient"} <= set(rows(room / "whole")[0])


def test_A39_only_the_head_learns_and_the_loss_falls(room: Path) -> None:
    made = icon_recipe.task(recipe(room, "paper.toml", learning_rate=1e-3, max_steps=12))
    before = {name: value.clone() for name, value in made.model.state_dict().items()}
    extractor = made.judged.__self__.extractor  # type: ignore[attr-defined]
    frozen = sd21_source.fingerprint((extractor.backbone.unet, extractor.backbone.vae))
    icon_recipe.run(made, room / "paper")
    assert sd21_source.fingerprint((extractor.backbone.unet, extractor.backbone.vae)) == frozen
    moved = [name for name, value in made.model.named_parameters() if not torch.equal(value, before[name])]
    assert len(moved) == len(list(made.model.parameters()))
    losses = [row["loss"] for row in rows(room / "paper")]
    assert {"l1", "laplacian", "gradient"} <= set(rows(room / "paper")[0])
    assert losses[-1] < losses[0]


def test_a_trained_head_brings_the_settings_it_was_trained_with(room: Path) -> None:
    small = recipe(room, "table5-no-intra.toml", max_steps=1, timestep=100, query_reduction="mean")
    head = icon_recipe.train(small, room / "brought")
    loaded = ml.load("sd21", device="cpu", source=room / "sd", weights=head)
    settings = json.loads(loaded.card.settings)
    assert (settings["timestep"], settings["query_reduction"], settings["intra"]) == (100, "mean", False)
    # What it was not trained for stays the model's own.
    assert settings["batch_size"] == 8
    rgb, alpha = icon_data.picture(50, 0)
    context = loaded.encode(rgb, ml.Mask(alpha > 128))
    assert loaded.matte(icon_data.picture(51, 0)[0], context, refine=False).alpha.shape == alpha.shape
    with pytest.raises(ModelDamagedError, match="query_reduction=mean, not sum"):
        ml.load("sd21", device="cpu", source=room / "sd", weights=head, query_reduction="sum")


@pytest.mark.parametrize(
    ("name", "guide", "scales"),
    [
        ("icon-768.toml", "both", 2),
        ("table5-no-intra.toml", "inter", 2),
        ("table5-no-inter-no-intra.toml", "none", 2),
        ("table5-one-scale.toml", "both", 1),
        ("table5-no-masks.toml", "both", 2),
    ],
)
def test_every_arm_of_table_5_is_a_recipe(room: Path, name: str, guide: str, scales: int) -> None:
    made = icon_recipe.task(recipe(room, name))
    assert isinstance(made.model, Icon768)
    assert made.model.settings.guide == guide
    assert len(made.model.settings.scales) == scales
    assert recipe(room, name).name == name.removesuffix(".toml")
    loss, terms = made.judged(made.batches[0])
    assert torch.isfinite(loss) and terms


def test_table_5_without_segmentation_data_leaves_hard_masks_out(room: Path, tmp_path: Path) -> None:
    lines = ["group,image,alpha,trimap,kind,is_reference"]
    for number in range(4):
        kind = "segmentation" if number % 2 else "matting"
        folder = room / "data" / f"group{number % 2}"
        lines.append(
            f"g,{folder / 'image' / f'{number // 2}.png'},{folder / 'alpha' / f'{number // 2}.png'},,{kind},"
        )
    (tmp_path / "mixed.csv").write_text("\n".join(lines))
    kinds = []
    for name in ("icon-768.toml", "table5-no-masks.toml"):
        made = recipe(room, name, sources=[str(tmp_path / "mixed.csv")])
        learnt, _ = icon_recipe.samples(made, settings_of(made.settings))
        kinds.append(sorted(sample.kind for sample in learnt))
    assert kinds == [["matting", "matting", "segmentation", "segmentation"], ["matting", "matting"]]
    # A batch of both has the losses of both.
    made = icon_recipe.task(recipe(room, "icon-768.toml", sources=[str(tmp_path / "mixed.csv")]))
    terms = set().union(*(made.judged(made.batches[number])[1] for number in range(2)))
    assert {"known_smooth_l1", "unknown_l1"} <= terms


@pytest.mark.slow
def test_two_processes_train_the_head_that_one_trains_in_two_parts(room: Path) -> None:
    pytest.importorskip("accelerate", reason="needs the extra train")
    changes = {"batch_size": 4, "max_steps": 3}
    with one_thread():  # as many as each of the two has: sums by more threads round otherwise
        assert train(room, "parts-of-one", accumulate=2, **changes).exit_code == 0
    settings = {**SMALL, "sd_path": room / "sd", "sources": room / "data", **changes}
    pairs = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    command = [sys.executable, "-m", "mattelike", "train", str(room / "here.toml"), "-o", str(room / "two")]
    in_two_processes([*command, *pairs])
    one, two = (load_file(room / run / icon_recipe.HEAD) for run in ("parts-of-one", "two"))
    for name, _ in Icon768(made_of(room)).named_parameters():
        assert torch.equal(one[name], two[name]), name


@contextmanager
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def made_of(room: Path) -> Any:
    _, shape, _ = head_files.read(room / "two" / icon_recipe.HEAD)
    return head_files.icon_768_settings(shape)


# --- table 7 ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table_7(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("published")
    icon_data.published(root / "RM-1K", "image", "alpha", 10, "trimap")
    adobe = root / "Composition-1k"
    icon_data.published(adobe, "Training_set/merged", "Training_set/alpha", 3)
    icon_data.published(adobe, "Test_set/merged", "Test_set/alpha", 2, "Test_set/trimaps", first=20)
    # Several composites share an alpha.
    for number in range(2):
        rgb, _ = icon_data.picture(0, number)
        icon_data.written(adobe / "Training_set" / "merged" / f"p0_{number}.png", rgb)
    (adobe / "Training_set" / "merged" / "p0.png").unlink()
    return root


def test_table_7_real_photos_are_split_eight_to_two(room: Path, table_7: Path) -> None:
    sources = [f"rm-1k={table_7 / 'RM-1K'}"]
    parts = []
    for _ in range(2):
        made = recipe(room, "table7-real.toml", sources=sources)
        parts.append(icon_recipe.samples(made, settings_of(made.settings)))
    (learnt, kept), again = parts
    assert (len(learnt), len(kept)) == (8, 2)
    assert not {s.name for s in learnt} & {s.name for s in kept}
    assert [s.name for s in again[1]] == [s.name for s in kept]


@pytest.mark.parametrize("arm", ["table7-real.toml", "table7-composited.toml"])
def test_table_7_learns_from_trimaps_and_needs_no_reference(room: Path, table_7: Path, arm: str) -> None:
    made = recipe(room, arm, allow_overlap=False)
    places = [
        str(s).replace("data/", f"{table_7}/") for s in recipes.table(RECIPES / arm)["settings"]["sources"]
    ]
    tested = tuple(t.replace("data/", f"{table_7}/") for t in made.test)
    made = recipe(room, arm, allow_overlap=False, sources=places, max_steps=1)
    made = icon_recipe.replace(made, test=tested)
    task = icon_recipe.task(made)
    assert isinstance(task.model, Icon768)
    assert task.model.settings.image_channels == 4
    batch = task.batches[0]
    assert len(batch.references) == 0
    head = icon_recipe.train(made, room / arm)
    model = ml.load("sd21", device="cpu", source=room / "sd", weights=head).model
    rgb, alpha = icon_data.picture(70, 0)
    band = np.where(alpha > 250, 1.0, np.where(alpha < 5, 0.0, 0.5)).astype(np.float32)
    found = [
        sd21_trimap.matte(model, rgb.astype(np.float32) / 255, known)  # type: ignore[arg-type]
        for known in (band, band[::-1].copy())
    ]
    assert found[0].shape == alpha.shape
    assert (found[0][band == 1] == 1).all() and (found[0][band == 0] == 0).all()
    # The network reads it: elsewhere than where it is sure, too.
    both = (band == 0.5) & (band[::-1] == 0.5)
    assert not np.array_equal(found[0][both], found[1][both])


def test_a_trimap_is_for_models_that_take_one(room: Path) -> None:
    plain = ml.load("sd21", device="cpu", source=room / "sd", weights="untrained", side=64).model
    picture = np.zeros((64, 64, 3), np.float32)
    with pytest.raises(UsageError, match="image_channels=4"):
        sd21_trimap.matte(plain, picture, np.zeros((64, 64), np.float32))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="its picture"):
        sd21_trimap.matte(plain, picture, np.zeros((32, 64), np.float32))  # type: ignore[arg-type]


# --- what decides a step --------------------------------------------------------------------------------


def test_a_step_gathered_in_parts_is_the_step_at_once_but_for_batch_norm(room: Path) -> None:
    whole = icon_recipe.task(recipe(room, "icon-768.toml", batch_size=4))
    parts = icon_recipe.task(recipe(room, "icon-768.toml", batch_size=4, accumulate=2))
    assert (whole.parts, parts.parts) == (1, 2)
    numbers = [number for k in range(2) for number in parts.batches[k].numbers]
    assert numbers == list(whole.batches[0].numbers)
    for model in (whole.model, parts.model):
        model.eval()
    at_once = whole.judged(whole.batches[0])[0]
    gathered = torch.stack([parts.judged(parts.batches[k])[0] for k in range(2)]).mean()
    torch.testing.assert_close(gathered, at_once, rtol=1e-5, atol=1e-6)
    with pytest.raises(SettingsError, match="cannot be shared"):
        icon_recipe.shared_out(settings_of({"batch_size": 4}), 3)


def test_the_release_preset_trains_as_the_release(room: Path) -> None:
    made = icon_recipe.task(recipe(room, "icon-768.toml", preset="release", batch_size=2))
    assert isinstance(made.optimiser, torch.optim.Adam)
    assert made.optimiser.param_groups[0]["weight_decay"] == 0
    loss, _ = made.judged(made.batches[0])
    assert torch.isfinite(loss)
    assert made.rate(0) == pytest.approx(4e-10)
    assert made.rate(2) == pytest.approx(4e-4)


def test_the_flex_head_trains_on_the_same_backbone(room: Path) -> None:
    made = icon_recipe.task(recipe(room, "icon-768.toml", head="icon-flex", norm="gn"))
    loss, _ = made.judged(made.batches[0])
    loss.backward()  # type: ignore[no-untyped-call]
    assert any(p.grad is not None and bool(p.grad.any()) for p in made.model.parameters())


def test_trap_94_a_loss_gone_wrong_is_no_number(room: Path) -> None:
    made = icon_recipe.task(recipe(room, "icon-768.toml"))
    with torch.no_grad():
        next(made.model.parameters()).fill_(float("nan"))
    loss, terms = made.judged(made.batches[0])
    assert torch.isnan(loss) and not terms


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sources": "nowhere"}, "nowhere: no such data"),
        ({"allow_overlap": "false"}, "test set data/ICM-57/image: no such folder"),
        ({"crop_size": 128}, "works on side=64"),
        ({"batch_size": 3, "accumulate": 2}, "cannot be shared"),
        ({"timestpe": 3}, "no setting 'timestpe'"),
        ({"head": "vitmatte"}, "brings its own weights"),
        ({"sd_path": "nowhere"}, "nowhere: no such folder"),
    ],
)
def test_what_cannot_be_trained_is_one_line(room: Path, changes: dict[str, Any], says: str) -> None:
    result = train(room, "refused", **changes)
    assert result.exit_code in (1, 2), result.output
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (room / "refused" / "log.jsonl").exists()


def test_recipes_that_extend_each_other_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('extends = "b.toml"')
    (tmp_path / "b.toml").write_text('extends = "a.toml"')
    with pytest.raises(SettingsError, match="circle"):
        recipes.table(tmp_path / "a.toml")


def test_A1_the_recipe_of_the_release_trains_the_released_head() -> None:
    settings = settings_of(recipes.table(RECIPES / "icon-768.toml")["settings"])
    with torch.device("meta"):
        head = sd21_heads.untrained(settings, _full_size())
    assert sum(p.numel() for p in head.parameters()) == 21_101_585
    assert len(head.state_dict()) == 89


def _full_size() -> Any:
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        return UNet2DConditionModel(
            sample_size=96, block_out_channels=(320, 640, 1280, 1280), attention_head_dim=(5, 10, 20, 20),
            cross_attention_dim=1024, use_linear_projection=True,
        )  # fmt: skip
