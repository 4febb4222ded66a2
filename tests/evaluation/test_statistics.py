"""Means, intervals, paired differences, presence: against cases worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from mattelike.errors import UsageError
from mattelike.evaluation import comparing, naming, rows
from mattelike.evaluation.pictures import worst
from mattelike.evaluation.rows import Row
from mattelike.evaluation.statistics import by_picture, difference, estimate, risk_coverage, spread
from mattelike.evaluation.summary import best, figure, summed


def row(
    target: str, sad: float, *, group: str = "a", method: str = "m", iou: float = 1.0, **more: object
) -> Row:
    values = {"sad": sad, "mad": sad / 10, "iou": iou}
    return Row(method, group, "category", "", target, values=values, **more)  # type: ignore[arg-type]


def test_rounds_are_averaged_before_pictures() -> None:
    found = [row("x", 1, turn=0), row("x", 3, turn=1), row("y", 8, turn=0)]
    assert by_picture(found, "sad") == {("a", "x"): 2, ("a", "y"): 8}
    assert estimate(by_picture(found, "sad")).mean == 5


def test_other_choices_of_reference_are_left_out_of_the_mean_and_make_the_spread() -> None:
    found = [row("x", 1), row("x", 3, choice=1)]
    assert by_picture(found, "sad") == {("a", "x"): 1}
    assert spread(found, "sad") == pytest.approx(math.sqrt(2))
    assert math.isnan(spread(found[:1], "sad"))


def test_an_interval_draws_groups_not_pictures() -> None:
    # Pictures of a group are right or wrong together: four groups, not forty pictures.
    values = {(f"g{g}", f"{g}/{n}"): float(g % 2) for g in range(4) for n in range(10)}
    found = estimate(values)
    assert found.mean == 0.5 and found.count == 40
    assert found.low == 0 and found.high == 1
    alone = estimate({("g", "x"): 1.0})
    assert math.isnan(alone.low) and alone.mean == 1


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    draw = np.random.default_rng(0)
    held = 0
    for trial in range(100):
        found = estimate({(f"g{g}", f"{g}"): float(draw.normal(2, 1)) for g in range(40)}, seed=trial)
        held += found.low <= 2 <= found.high
    assert 88 <= held <= 99


def test_paired_differences_see_what_two_means_cannot() -> None:
    draw = np.random.default_rng(1)
    base = draw.normal(20, 10, 30)
    one = {(f"g{n}", f"{n}"): float(v) for n, v in enumerate(base)}
    other = {key: value + 0.5 + draw.normal(0, 0.2) for key, value in one.items()}
    apart = [estimate(side) for side in (one, other)]
    assert apart[0].high > apart[1].low, "the two intervals overlap"
    change = difference(one, other)
    assert change.high < 0 and change.mean == pytest.approx(-0.5, abs=0.1)


def test_risk_is_that_of_the_surest_answers() -> None:
    found = [
        row("a", 0, iou=1.0, presence=0.9),
        row("b", 0, iou=0.5, presence=0.8),
        row("c", 0, iou=0.0, presence=0.1, present=False),
    ]
    curve = risk_coverage(found)
    assert curve is not None
    assert curve.coverage == pytest.approx((1 / 3, 2 / 3, 1))
    assert curve.risk == pytest.approx((0, 0.25, 0.5))
    assert curve.area == pytest.approx(0.25) and curve.auroc == 1
    assert risk_coverage([row("a", 0)]) is None, "a method that does not state presence"


def test_equal_presence_is_answered_together_whatever_the_order() -> None:
    found = [row(str(n), 0, iou=n / 4, presence=0.5, present=n > 1) for n in range(4)]
    one, other = risk_coverage(found), risk_coverage(found[::-1])
    assert one == other
    assert one is not None and one.coverage == (1.0,) and one.auroc == 0.5


def test_absent_pictures_are_a_table_of_their_own() -> None:
    found = [row("a", 1), row("b", 50, present=False)]
    parts = summed(found, ("sad", "mad", "iou")).parts
    assert [part.title.split(":")[0] for part in parts] == [
        "All pictures with the thing",
        "Pictures without the thing",
    ]
    assert parts[0].figures["m"][0].mean == 1 and parts[1].figures["m"][0].mean == 50


def test_relations_and_splits_are_tables_and_failures_are_counted() -> None:
    found = [
        row("a", 1),
        Row("m", "b", "instance", "far", "b/1", values={"sad": 3.0}),
        Row("m", "b", "instance", "near", "b/2", error="no answer"),
        Row("m", "b", "instance", "near", "b/3", values={"sad": 5.0}),
    ]
    summary = summed(found, ("sad",))
    titles = [part.title for part in summary.parts]
    assert titles[1].startswith("Groups of things of one category")
    assert titles[2].startswith("Groups of the same thing")
    assert titles[3:] == ["Split far", "Split near"]
    assert summary.failed == {"m": 1}
    assert summary.parts[0].figures["m"][0].count == 3


def test_the_best_is_that_of_those_given_the_same() -> None:
    found = [
        row("a", sad, method=name) for name, sad in (("one", 3), ("two", 2), ("told", 1), ("told too", 4))
    ]
    part = summed(found, ("sad", "iou")).parts[0]
    given = {"one": "references", "two": "references", "told": "trimap", "told too": "trimap"}
    assert best(part, given)[0] == {"two", "told"}
    assert best(part, {})[0] == {"told"}


def test_the_worst_come_first_and_absent_ones_are_among_them() -> None:
    found = [row(f"t{n}", n) for n in range(8)] + [row(f"u{n}", 100 + n, present=False) for n in range(8)]
    chosen = worst(found, 6)
    assert [r.target for r in chosen] == ["u7", "u6", "u5", "t7", "t6", "t5"]


def test_numbers_are_written_with_what_they_are_worth() -> None:
    assert [figure(v) for v in (0.00814, 0.5, 19.123, float("nan"))] == ["0.0081", "0.500", "19.12", "-"]


def test_two_sides_are_compared_on_what_both_have(tmp_path: Path) -> None:
    one = [row(f"{n}", 1.0 + n, group=f"g{n}", method="one") for n in range(12)]
    other = [row(f"{n}", 2.0 + n, group=f"g{n}", method="other") for n in range(3, 12)]
    found = comparing.compared(one, other, ("sad", "iou"))
    sad, iou = found
    assert sad.change.count == 9 and sad.change.mean == -1 and sad.won == 1 and sad.verdict == "first"
    assert iou.change.mean == 0 and iou.won == 0.5 and iou.verdict == "open"
    with pytest.raises(UsageError, match="no picture in common"):
        comparing.compared(one[:2], other, ("sad",))
    rows.write(tmp_path / "t.csv", [*one, *other], ("sad", "mad", "iou"))
    label, chosen, _ = comparing.side(f"{tmp_path / 't.csv'}@other")
    assert label == "other" and len(chosen) == 9
    with pytest.raises(UsageError, match="holds one, other: name one"):
        comparing.side(str(tmp_path / "t.csv"))
    with pytest.raises(UsageError, match="no method 'third'"):
        comparing.side(f"{tmp_path / 't.csv'}@third")


def test_methods_are_typed_or_listed(tmp_path: Path) -> None:
    found = naming.typed("remover:name=IS-Net,file=a b.onnx,stretch=false")
    assert (found.label, found.use) == ("IS-Net", "remover")
    assert found.options == {"file": "a b.onnx", "stretch": False}
    assert naming.typed("embedded").label == "embedded"
    listed = tmp_path / "m.toml"
    listed.write_text('[[method]]\nname = "AIM"\nuse = "command"\nrun = "python a.py {image} {out}"\n')
    assert naming.listed(listed)[0].options == {"run": "python a.py {image} {out}"}
    for text, message in (
        ("[[method]]\nname = 'x'\n", "each with use"),
        ("nonsense = [", "not a readable list"),
    ):
        listed.write_text(text)
        with pytest.raises(UsageError, match=message):
            naming.listed(listed)
    with pytest.raises(UsageError, match="key=value"):
        naming.typed("remover:isnet.onnx")
    with pytest.raises(UsageError, match="two methods are called 'embedded'"):
        naming.distinct([naming.typed("embedded"), naming.typed("embedded")])
    with pytest.raises(UsageError, match="cannot be a label"):
        naming.distinct([naming.typed("embedded:name=../x")])
    with pytest.raises(UsageError, match="no method"):
        naming.distinct([])
