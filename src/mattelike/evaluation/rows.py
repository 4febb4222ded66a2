"""One line a question: what was asked, what came of it; as CSV, the same bytes for the same answers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mattelike.errors import OutputError, UsageError

ABOUT = (
    "method",
    "group",
    "relation",
    "split",
    "target",
    "references",
    "form",
    "round",
    "choice",
    "present",
    "presence",
)
ERROR = "error"
# Names of files may hold blanks and commas, hardly ever this.
BETWEEN = "|"
# Digits of a figure: more than any metric is reproducible to on another machine, fewer than would differ on
# this one.
DIGITS = 8


@dataclass(frozen=True, slots=True)
class Row:
    """One answer, measured.

    Attributes:
        method: Its label.
        group: Group of the target.
        relation: ``instance`` or ``category``.
        split: Part of the benchmark; may be empty.
        target: Name of the picture.
        references: Names of the marked pictures.
        form: How they, or the picture itself, were marked; empty where nothing was.
        turn: Number of the round.
        choice: Number of the choice of references.
        present: Whether the thing is in the picture.
        presence: What the method said of that; None from methods that do not say.
        values: Figures by metric; empty after an error.
        error: What went wrong, or empty.
    """

    method: str
    group: str
    relation: str
    split: str
    target: str
    references: tuple[str, ...] = ()
    form: str = ""
    turn: int = 0
    choice: int = 0
    present: bool = True
    presence: float | None = None
    values: dict[str, float] = field(default_factory=dict)
    error: str = ""

    @property
    def key(self) -> tuple[str, int, int]:
        """What tells it from the method's other rows."""
        return self.target, self.turn, self.choice


def cells(row: Row, metrics: Sequence[str]) -> list[str]:
    """A row as it is written, in the order of `header`."""
    about = [
        row.method,
        row.group,
        row.relation,
        row.split,
        row.target,
        BETWEEN.join(row.references),
        row.form,
    ]
    about += [str(row.turn), str(row.choice), str(int(row.present)), _figure(row.presence)]
    return about + [_figure(row.values.get(name)) for name in metrics] + [" ".join(row.error.split())]


def header(metrics: Sequence[str]) -> list[str]:
    """Names of the columns."""
    return [*ABOUT, *metrics, ERROR]


def line(values: Sequence[str]) -> str:
    """One line of CSV with its end."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


def write(path: Path, rows: Iterable[Row], metrics: Sequence[str]) -> None:
    """Writes a table, whole or not at all.

    Raises:
        OutputError: It cannot be written there.
    """
    text = line(header(metrics)) + "".join(line(cells(row, metrics)) for row in rows)
    save(path, text)


def save(path: Path, text: str) -> None:
    """Writes a text file, whole or not at all.

    Raises:
        OutputError: It cannot be written there.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8", newline="")
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error


def read(path: Path) -> tuple[list[Row], tuple[str, ...]]:
    """Rows of a table and the metrics in it.

    Raises:
        UsageError: No such file, or not such a table.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error
    return parse(lines, str(path))


def parse(lines: Sequence[str], name: str) -> tuple[list[Row], tuple[str, ...]]:
    """Rows from lines of CSV; see `read`."""
    table = list(csv.reader(lines))
    if not table or tuple(table[0][: len(ABOUT)]) != ABOUT or table[0][-1] != ERROR:
        raise UsageError(f"{name}: not a table that `mattelike evaluate` or `mattelike score` wrote")
    metrics = tuple(table[0][len(ABOUT) : -1])
    try:
        return [_row(values, metrics) for values in table[1:]], metrics
    except (ValueError, IndexError) as error:
        raise UsageError(f"{name}: a line of it cannot be read ({error})") from error


def _row(values: Sequence[str], metrics: Sequence[str]) -> Row:
    if len(values) != len(ABOUT) + len(metrics) + 1:
        raise ValueError(f"{len(values)} columns")
    figures = dict(zip(metrics, values[len(ABOUT) : -1], strict=True))
    method, group, relation, split, target = values[:5]
    return Row(
        method,
        group,
        relation,
        split,
        target,
        references=tuple(filter(None, values[5].split(BETWEEN))),
        form=values[6],
        turn=int(values[7]),
        choice=int(values[8]),
        present=values[9] == "1",
        presence=float(values[10]) if values[10] else None,
        values={name: float(value) for name, value in figures.items() if value},
        error=values[-1],
    )


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.{DIGITS}g}"
