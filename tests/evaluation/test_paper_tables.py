"""A38: the printed figures parse, agree with each other, and are flagged where they cannot be true."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict

import pytest

from mattelike.evaluation.paper import PaperRow, load_hypotheses, load_tables

# Pixels of the 768 x 768 pictures the model works at.
PIXELS = 768 * 768
Entry = tuple[int, str, str | None, str | None, tuple[tuple[str, int], ...]]


@pytest.fixture(scope="module")
def rows() -> tuple[PaperRow, ...]:
    return load_tables()


def numbers(rows: tuple[PaperRow, ...]) -> dict[Entry, dict[str, float]]:
    """The figures of each printed line, by metric."""
    lines: dict[Entry, dict[str, float]] = defaultdict(dict)
    for row in rows:
        if isinstance(row.value, float):
            setting = tuple(sorted(row.setting.items()))
            lines[row.table, row.method, row.guidance, row.dataset, setting][row.metric] = row.value
    return lines


def test_A38_tables_parse(rows: tuple[PaperRow, ...]) -> None:
    assert len(rows) == 167
    assert {row.table for row in rows} == set(range(1, 9))
    assert {row.metric for row in rows if row.table > 1} == {"MSE", "SAD", "GRAD", "CONN"}
    assert all(isinstance(row.value, float) for row in rows if row.table > 1)
    assert set(load_hypotheses()) == {"H1", "H2"}


def test_A38_no_figure_is_there_twice(rows: tuple[PaperRow, ...]) -> None:
    keys = Counter(
        (row.table, row.method, row.guidance, row.dataset, row.metric, tuple(row.setting.items()))
        for row in rows
    )
    assert max(keys.values()) == 1


def test_A38_the_main_result_is_the_same_in_every_table(rows: tuple[PaperRow, ...]) -> None:
    lines = numbers(rows)
    group = "1 mask per group"
    main = lines[2, "IconMatting", group, "ICM-57", ()]
    assert main == {"MSE": 0.0081, "SAD": 19.12, "GRAD": 18.65, "CONN": 11.21}
    assert lines[3, "IconMatting", group, "ICM-57", ()] == main
    assert lines[4, "IconMatting", "mask, one image per group", "ICM-57", ()] == {
        metric: main[metric] for metric in ("MSE", "SAD")
    }
    first = next(row for row in rows if row.table == 5)
    assert all(first.components.values()) and len(first.components) == 4
    assert lines[5, first.method, group, "ICM-57", ()] == main
    assert lines[8, "IconMatting", group, "ICM-57 (implied)", (("timestep", 200),)] == main


def test_A38_bound_1_flags_exactly_five_lines(rows: tuple[PaperRow, ...]) -> None:
    flagged = [
        (table, method, dataset, dict(setting))
        for (table, method, _, dataset, setting), line in numbers(rows).items()
        if not 1000 * line["SAD"] / line["MSE"] ** 0.5 <= PIXELS <= 1000 * line["SAD"] / line["MSE"]
    ]
    trimap = "IconMatting trimap variant (no in-context module; trimap concatenated to the image)"
    assert flagged == [
        (3, "LF", "ICM-57", {}),
        (3, "LF", "AIM-500", {}),
        (7, trimap, "Composition-1k (composited)", {}),
        (8, "IconMatting", "ICM-57 (implied)", {"timestep": 300}),
        (8, "IconMatting", "ICM-57 (implied)", {"timestep": 400}),
    ]


def test_A38_printed_misprints_are_kept_and_noted(rows: tuple[PaperRow, ...]) -> None:
    late = [row for row in rows if row.setting.get("timestep", 0) >= 300 and row.metric == "MSE"]
    assert [row.value for row in late] == [0.089, 0.098]
    assert all(row.note for row in late)


def test_rows_are_frozen(rows: tuple[PaperRow, ...]) -> None:
    row = rows[-1]
    with pytest.raises(dataclasses.FrozenInstanceError):
        row.value = 0.0  # type: ignore[misc]
    with pytest.raises(TypeError):
        row.setting["timestep"] = 0  # type: ignore[index]
    assert len(set(rows)) == len(rows)
