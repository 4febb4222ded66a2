"""Every choice has a name, a default and a type; presets set them together."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from mattelike.errors import SettingsError
from mattelike.models.sd21_settings import ELSEWHERE, IconSettings, default_dump, settings_of

DEFAULTS: dict[str, Any] = {
    "timestep": 200, "sd_id": "stabilityai/stable-diffusion-2-1", "sd_path": None, "features": "release",
    "inter_block": 5, "query_reduction": "sum", "query_norm": True, "temperature": 1.0, "mask_pool": "auto",
    "mask_threshold": 0.5, "min_tokens": 1, "attention_strides": (32, 16),
    "attention_places": ("down", "mid", "up"), "attention_axis": "key", "s_align_corners": True,
    "ensemble_size": 4, "latent_mode": "sample", "noise_mode": "by_role", "rounds": 3, "seeds": (0, 1, 2),
    "loss_preset": "release", "loss_batch_reduction": "mean", "loss_reference_area": 262144,
    "segmentation_rule": "field", "confident_radius": 15, "optimizer": "adamw", "learning_rate": 4e-4,
    "weight_decay": 0.01, "warmup_steps": 250, "batch_size": 8, "accumulate": 1, "max_steps": 20000,
    "train_geometry": "random_crop", "crop_size": 768, "sources": (), "allow_overlap": False, "mse_scale": 1,
    "region": "all", "conn_component": "foreground", "eval_geometry": "resize", "metric_size": "original",
    "reference_policy": "fixed", "allow_self": False, "prompt_extension_m": 16, "reference_reduction": "mean",
    "image_channels": 3, "trimap_radius": 10, "png_rounding": "round", "dtype": "float32",
    "head": "icon-768", "norm": "bn", "attn_mode": "accumulate", "block_rows": 8, "reuse_self": True,
    "on_empty": "raise", "resize_prompt": False, "negative_mode": "gate", "use_background": False,
    "presence_threshold": None, "inter": True, "intra": True, "multi_scale": True,
    "use_segmentation_data": True, "absent_share": 0.1,
}  # fmt: skip


def test_A42_the_dump_holds_every_argument_with_its_default() -> None:
    dump = default_dump()
    assert {name: dump.get(name) for name in DEFAULTS} == DEFAULTS
    assert json.loads(IconSettings().as_json())["timestep"] == 200


def test_text_becomes_the_type_of_the_setting() -> None:
    found = settings_of(
        {"timestep": "100", "query_norm": "false", "seeds": "3,4", "features": "5,8,11", "sd_path": "none",
         "temperature": "0.5", "presence_threshold": "0.2", "image_channels": "4"}
    )  # fmt: skip
    assert (found.timestep, found.query_norm, found.seeds, found.features) == (100, False, (3, 4), (5, 8, 11))
    assert (found.sd_path, found.temperature, found.presence_threshold) == (None, 0.5, 0.2)
    assert found.image_channels == 4
    assert settings_of({"features": "paper1"}).blocks == (4, 7, 10)
    assert settings_of({"multi_scale": False}).blocks == (5,)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"timstep": 1}, "no setting 'timstep'"),
        ({"timestep": "soon"}, "timestep='soon': must be int"),
        ({"timestep": 1000}, "0 to 999"),
        ({"mask_pool": "median"}, "auto or min or max or average"),
        ({"preset": "papers"}, "no preset"),
        ({"ensemble_size": 0}, "at least 1"),
        ({"features": "12"}, "0 to 11"),
        ({"attention_places": "side"}, "down, mid, up"),
        ({"side": 700}, "multiple of 64"),
    ],
)
def test_what_makes_no_sense_is_named(table: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        settings_of(table)


def test_presets_set_everything_at_once_and_yield_to_single_settings() -> None:
    release = settings_of({"preset": "release"})
    assert (release.mask_pool, release.optimizer, release.seeds, release.noise_mode) == (
        "min", "adam", (42,), "independent",
    )  # fmt: skip
    assert (release.eval_geometry, release.png_rounding, release.reuse_self) == ("release", "floor", False)
    paper = settings_of({"preset": "paper", "timestep": "0"})
    assert (paper.blocks, paper.ensemble_size, paper.latent_mode) == ((5, 8, 11), 1, "mean")
    assert (paper.query_reduction, paper.query_norm, paper.loss_preset, paper.timestep) == (
        "mean", False, "paper", 0,
    )  # fmt: skip
    flex = settings_of({"head": "icon-flex"})
    assert (flex.query_reduction, flex.s_align_corners) == ("mean", False)


def test_results_do_not_say_where_things_lie() -> None:
    own = settings_of(
        {
            "sd_path": "/home/me/models/sd21",
            "unet": "C:\\models\\clean\\",
            "sources": "rm-1k=/data/RM-1K,/data/own",
        }
    )
    told = json.loads(own.as_json(places=False))
    assert (told["sd_path"], told["unet"], told["sd_config"]) == ("sd21", "clean", None)
    assert told["sources"] == ["RM-1K", "own"]
    assert json.loads(own.as_json())["sd_path"] == "/home/me/models/sd21"


@pytest.mark.parametrize("name", sorted(ELSEWHERE))
def test_a_choice_that_acts_elsewhere_is_refused_with_the_place(name: str) -> None:
    other = {
        "rounds": 1, "mse_scale": 0.001, "region": "unknown", "conn_component": "release",
        "metric_size": "network", "reference_policy": "random", "resize_prompt": True,
    }  # fmt: skip
    with pytest.raises(SettingsError, match=f"{name} is not set here: "):
        settings_of({name: other[name]})
    with pytest.raises(SettingsError, match=f"{name} is not set here: "):
        settings_of({name: other[name]}, IconSettings())
    # What it is already may be said, and presets say what the release does.
    assert getattr(settings_of({name: DEFAULTS[name]}), name) == DEFAULTS[name]


def test_single_changes_to_finished_settings_keep_the_rest() -> None:
    release = settings_of({"preset": "release"})
    assert settings_of({"timestep": "0"}, release) == replace(release, timestep=0)


# Differences between paper and release that are a choice; the others are misprints, names, side effects.
CHOICES = {*range(1, 4), *range(5, 19), *range(21, 29), 31, 32, 38, 40}


def test_every_setting_and_every_difference_of_paper_and_release_is_documented() -> None:
    doc = str(IconSettings.__doc__)
    assert {int(number) for number in re.findall(r"\bD(\d+)", doc)} == CHOICES
    described = re.findall(r"^ {8}(\w+): ", doc, re.MULTILINE)
    assert described == list(default_dump())
