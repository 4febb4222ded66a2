"""The figures printed in the tables of In-Context Matting (CVPR 2024), with what is odd about them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

Component = Literal["INTER", "INTRA", "MF", "SD"]


@dataclass(frozen=True, slots=True)
class PaperRow:
    """One printed figure.

    Attributes:
        table: Number of the table, 1 to 8.
        method: Name as printed.
        guidance: What the method is given, and for how many pictures.
        dataset: ICM-57, AIM-500...; None in table 1, which compares settings in words.
        metric: ``"MSE"`` (plain), ``"SAD"``, ``"GRAD"`` or ``"CONN"`` (in thousands); in table 1 a property.
        value: As printed, misprints included; words in table 1, None where it could not be read.
        note: What is odd about it, or empty.
        setting: What varies in tables 6 and 8: ``references`` or ``timestep``.
        in_context: In table 4, whether one reference serves a whole group; None elsewhere.
        components: In table 5, which parts of the model were on, inferred from the discussion; else empty.
    """

    table: int
    method: str
    guidance: str | None
    dataset: str | None
    metric: str
    value: float | str | None
    note: str = ""
    setting: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    in_context: bool | None = None
    components: Mapping[Component, bool] = field(default_factory=lambda: MappingProxyType({}), hash=False)


def load_tables() -> tuple[PaperRow, ...]:
    """The printed figures, one a row, in printed order; they come with the package."""
    return tuple(_row(row) for row in _content()["rows"])


def load_hypotheses() -> Mapping[str, str]:
    """What may explain the GRAD and CONN columns, by name: until settled, they are no figures to aim at."""
    return MappingProxyType(_content()["hypotheses"])


def _content() -> dict[str, Any]:
    text = files("mattelike.evaluation").joinpath("paper_tables.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def _row(row: Mapping[str, Any]) -> PaperRow:
    return PaperRow(
        table=row["table"],
        method=row["method"],
        guidance=row["guidance"],
        dataset=row["dataset"],
        metric=row["metric"],
        value=row["value"],
        note=row.get("note", ""),
        setting=MappingProxyType(row.get("setting", {})),
        in_context=row.get("in_context"),
        components=MappingProxyType(row.get("components_inferred", {})),
    )
