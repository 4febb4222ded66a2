"""Recipes that follow each other: what is to be trained for what ships, from nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from mattelike.errors import SettingsError
from mattelike.training import loop, recipes

RECIPES = Path(__file__).parents[2] / "recipes"


def test_stages_come_in_the_order_they_are_trained_in():
    stages = recipes.stages(RECIPES / "embedded-nested.toml")
    assert [stage.recipe.name for stage in stages] == [
        "embedded.toml",
        "embedded-tuned.toml",
        "embedded-parts.toml",
        "embedded-taps.toml",
        "embedded-alike.toml",
        "embedded-fine.toml",
        "embedded-nested.toml",
    ]
    assert [stage.blend for stage in stages] == [1, 0.3, 0.5, 0.7, 0.5, 0.5, 0.5]
    assert [stage.taken for stage in stages] == [None] * 6 + [700]


def test_every_recipe_of_the_network_is_whole_and_so_are_those_it_follows():
    for path in sorted(RECIPES.glob("embedded*.toml")):
        for stage in recipes.stages(path):
            chosen = recipes.read(loop.Recipe, stage.recipe)
            assert chosen.name == stage.recipe.stem
            assert chosen.warmup < (stage.taken or chosen.steps) <= chosen.steps


def test_what_a_recipe_follows_is_not_taken_along_by_one_that_extends_it(tmp_path):
    (tmp_path / "a.toml").write_text("steps = 3")
    (tmp_path / "b.toml").write_text('extends = "a.toml"\nfollows = "a.toml"\nblend = 0.5')
    (tmp_path / "c.toml").write_text('extends = "b.toml"')
    assert [stage.recipe.name for stage in recipes.stages(tmp_path / "c.toml")] == ["c.toml"]
    assert recipes.table(tmp_path / "c.toml") == {"steps": 3}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('follows = "a.toml"', "circle"),
        ('follows = "b.toml"\nblend = 1.5', "blend is 1.5"),
        ("blend = 0.5", "follows no recipe"),
        ("taken = 0", "taken is 0"),
        ('follows = "gone.toml"', "cannot read the recipe"),
    ],
)
def test_stages_that_cannot_be_are_refused(tmp_path, text, says):
    (tmp_path / "a.toml").write_text(text)
    (tmp_path / "b.toml").write_text("")
    with pytest.raises(SettingsError, match=says):
        recipes.stages(tmp_path / "a.toml")
