"""The paper's tables as recipes: every printed line has one, and what cannot run says why."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path

import pytest

from mattelike.baselines import BASELINES
from mattelike.errors import UsageError
from mattelike.evaluation import tables
from mattelike.evaluation.benchmarks import Benchmark
from mattelike.evaluation.paper import load_tables
from mattelike.evaluation.protocols import named
from mattelike.models import MODELS

RECIPES = Path(__file__).parents[2] / "recipes" / "tables"


@pytest.mark.parametrize("number", range(2, 9))
def test_A38_every_printed_line_has_a_recipe(number: int) -> None:
    experiment = tables.load(RECIPES / f"table{number}.toml")
    covered = {printed for line in experiment.lines for printed in line.printed() if printed.table == number}
    assert covered == {printed for printed in load_tables() if printed.table == number}
    for line in experiment.lines:
        named(experiment.protocol, form=line.form, references=line.references, own=line.own)
        row = BASELINES.get(line.use)
        assert row is not None or line.use in MODELS
        if row is not None:
            assert set(line.options) <= set(row.options)


def test_our_numbers_stand_beside_the_papers(bench: Benchmark, built: Path, tmp_path: Path) -> None:
    experiment = tables.load(RECIPES / "table6.toml")
    experiment = replace(tables.replaced(experiment, "outputs", {"folder": str(built)}), protocol="native")
    found = tables.run(experiment, {"ICM-57": bench}, tmp_path)
    text = tables.text(experiment, found)
    assert "## Table 6" in text and "Not run here" not in text
    assert text.count("| 0.0000 (") == 4 * 4
    assert "0.0000 (19.58)" in text and "references 4" in text


def test_what_cannot_run_is_listed_with_its_reason(bench: Benchmark, tmp_path: Path) -> None:
    experiment = tables.load(RECIPES / "table3.toml")
    lines = tuple(line for line in experiment.lines if line.use == "outputs")
    experiment = tables.Experiment(3, "", experiment.protocol, lines)
    text = tables.text(experiment, tables.run(experiment, {"ICM-57": bench}, tmp_path))
    assert "- MGM, ICM-57: outputs/MGM: no such folder" in text
    assert "- MGM, AIM-500: no AIM-500 was given: --data AIM-500=PATH" in text
    assert "- (84.25)" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "ICM-57"], "--data takes NAME=BENCHMARK, not 'ICM-57'"),
        (["--data", "ICM57=photos"], "table 6 has no data 'ICM57'; it is of ICM-57"),
        (["--data", "ICM-57=nowhere"], "nowhere: no such file or folder"),
        (["--set", "source"], "--set takes KEY=VALUE, not 'source'"),
    ],
)
def test_the_recipe_says_in_one_line_what_is_wrong(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["print.py", "6", *words])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(RECIPES / "print.py"), run_name="__main__")
    assert str(ended.value.code).startswith(f"print: {said}")


def test_a_line_the_paper_has_not_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    path.write_text(
        'table = 2\ntitle = ""\nprotocol = "native"\n[[row]]\npaper = "SAM"\nguidance = ""\n'
        'dataset = "ICM-57"\nuse = "sam"\n'
    )
    with pytest.raises(UsageError, match="table 2 has no line 'SAM'"):
        tables.load(path)
    path.write_text("table = 2\n")
    with pytest.raises(UsageError, match="not a table of the paper"):
        tables.load(path)


def test_the_recipe_for_other_systems_names_the_papers_and_can_be_run() -> None:
    from mattelike import baselines
    from mattelike.evaluation import naming

    methods = naming.distinct(naming.listed(RECIPES.parent / "methods" / "others.toml"))
    assert [method.label for method in methods] == ["SEEM", "MGM", "MGMiW", "LF", "AIM", "MAM"]
    for method in methods:
        assert baselines.load(method.use, **method.options).about["version"]
