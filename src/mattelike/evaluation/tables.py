"""The paper's tables 2 to 8, run here: our numbers beside the printed ones.

A table is a TOML file, ``recipes/tables/table<N>.toml``: one ``[[row]]`` a printed line, which names the line
(``paper``, ``guidance``, ``dataset``) and how to run it (``use``, ``options``, ``form``, ``references``,
``own``). What cannot run here, for want of data, weights or a package, is listed with its reason, never left
out.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mattelike import baselines
from mattelike.errors import MattelikeError, UsageError
from mattelike.evaluation import protocols
from mattelike.evaluation.benchmarks import Benchmark
from mattelike.evaluation.markdown import row as cells
from mattelike.evaluation.paper import PaperRow, load_tables
from mattelike.evaluation.run import Evaluation, evaluate
from mattelike.evaluation.statistics import Estimate, by_picture, estimate
from mattelike.evaluation.summary import figure

METRICS = ("mse", "sad", "grad", "conn")
OURS = "IconMatting"


@dataclass(frozen=True, slots=True)
class Line:
    """One printed line and how to run it.

    Attributes:
        paper: Method, as printed.
        guidance: As printed.
        dataset: As printed.
        use: Name of the method here.
        options: Of the method.
        form: How references, or pictures themselves, are marked.
        references: References of a question.
        own: Every picture carries its own mark.
        setting: What varies in tables 6 and 8, as printed.
        data: Name of the benchmark to run on; that of `dataset` by default.
    """

    paper: str
    guidance: str
    dataset: str
    use: str
    options: Mapping[str, Any] = field(default_factory=dict)
    form: str = "mask"
    references: int = 1
    own: bool = False
    setting: Mapping[str, int] = field(default_factory=dict)
    data: str = ""

    @property
    def bench(self) -> str:
        """Name of the benchmark to run on."""
        return self.data or self.dataset.split(" (")[0]

    def printed(self) -> tuple[PaperRow, ...]:
        """The paper's figures of this line."""
        return tuple(
            found
            for found in load_tables()
            if (found.method, found.guidance, found.dataset) == (self.paper, self.guidance, self.dataset)
            and dict(found.setting) == dict(self.setting)
        )


@dataclass(frozen=True, slots=True)
class Experiment:
    """One table.

    Attributes:
        table: Its number in the paper.
        title: What it is about.
        protocol: Name of the protocol.
        lines: Its lines.
    """

    table: int
    title: str
    protocol: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a line came to.

    Attributes:
        line: Which.
        figures: By metric; empty where it could not run.
        reason: Why it could not, or empty.
    """

    line: Line
    figures: Mapping[str, Estimate] = field(default_factory=dict)
    reason: str = ""


def load(path: Path) -> Experiment:
    """A table from its file.

    Raises:
        UsageError: Not such a file, or a line the paper has not.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        lines = tuple(Line(**row) for row in found["row"])
        experiment = Experiment(found["table"], found["title"], found["protocol"], lines)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not a table of the paper ({error})") from error
    for line in experiment.lines:
        if not any(printed.table == experiment.table for printed in line.printed()):
            raise UsageError(
                f"{path}: table {experiment.table} has no line {line.paper!r}, {line.guidance!r}"
            )
    return experiment


def replaced(experiment: Experiment, use: str, options: Mapping[str, Any] | None = None) -> Experiment:
    """The same table with another method in the lines of IconMatting, whose own settings are left out."""
    lines = tuple(
        replace(line, use=use, options=dict(options or {})) if line.paper.startswith(OURS) else line
        for line in experiment.lines
    )
    return replace(experiment, lines=lines)


def changed(experiment: Experiment, options: Mapping[str, Any]) -> Experiment:
    """The same table with options added to the lines of IconMatting, such as where its backbone lies."""
    lines = tuple(
        replace(line, options={**line.options, **options}) if line.paper.startswith(OURS) else line
        for line in experiment.lines
    )
    return replace(experiment, lines=lines)


def run(
    experiment: Experiment,
    data: Mapping[str, Benchmark],
    folder: Path,
    *,
    device: str = "auto",
    threads: int | None = None,
    tell: Callable[[str], None] | None = None,
) -> list[Outcome]:
    """Runs every line that can run; what is done already is not done again.

    Args:
        experiment: The table.
        data: Benchmarks by the names the paper prints.
        folder: For the results.
        device: As for `mattelike.baselines.load`.
        threads: As for `mattelike.baselines.load`.
        tell: Called with the name of each line before it runs.
    """
    found = []
    for number, line in enumerate(experiment.lines):
        if tell:
            tell(f"{line.paper}, {line.guidance}, {line.dataset}")
        place = folder / f"{number:02}"
        try:
            found.append(Outcome(line, _figures(experiment, line, data, place, device, threads)))
        except MattelikeError as error:
            found.append(Outcome(line, reason=str(error)))
    return found


def _figures(
    experiment: Experiment,
    line: Line,
    data: Mapping[str, Benchmark],
    place: Path,
    device: str,
    threads: int | None,
) -> Mapping[str, Estimate]:
    bench = data.get(line.bench)
    if bench is None:
        raise UsageError(f"no {line.bench} was given: --data {line.bench}=PATH")
    protocol = protocols.named(experiment.protocol, form=line.form, references=line.references, own=line.own)
    method = baselines.load(line.use, device=device, threads=threads, **line.options)
    rows = evaluate(Evaluation(bench, protocol, {line.use: method}, place))
    failed = [row for row in rows if row.error]
    if failed:
        raise UsageError(f"{len(failed)} of {len(rows)} pictures failed, the first: {failed[0].error}")
    there = [row for row in rows if row.present]
    return {metric: estimate(by_picture(there, metric)) for metric in METRICS}


def text(experiment: Experiment, outcomes: Sequence[Outcome]) -> str:
    """The table as Markdown: ours, the paper's in brackets; what could not run; what is odd in print."""
    metrics = [m for m in METRICS if any(p.metric == m.upper() for o in outcomes for p in o.line.printed())]
    lines = [f"## Table {experiment.table}: {experiment.title}", ""]
    lines += [f"Ours, and the paper's in brackets; protocol {experiment.protocol}.", ""]
    lines += [cells(["method", "guidance", "data", "here", *[name.upper() for name in metrics]])]
    lines += [cells(["---"] * 4 + ["---:"] * len(metrics))]
    lines += [cells(_line(outcome, metrics)) for outcome in outcomes]
    lines += ["", *_reasons(outcomes), *_oddities(outcomes)]
    return "\n".join(lines).rstrip() + "\n"


def _line(outcome: Outcome, metrics: Sequence[str]) -> list[str]:
    line = outcome.line
    printed = {found.metric.lower(): found.value for found in line.printed()}
    setting = "".join(f", {name} {value}" for name, value in line.setting.items())
    shown = [line.paper + setting, line.guidance, line.dataset, line.use]
    for metric in metrics:
        ours = figure(outcome.figures[metric].mean) if metric in outcome.figures else "-"
        shown.append(f"{ours} ({printed[metric]})" if printed.get(metric) is not None else ours)
    return shown


def _reasons(outcomes: Sequence[Outcome]) -> list[str]:
    reasons = [f"- {o.line.paper}, {o.line.dataset}: {o.reason}" for o in outcomes if o.reason]
    return ["Not run here:", "", *dict.fromkeys(reasons), ""] if reasons else []


def _oddities(outcomes: Sequence[Outcome]) -> list[str]:
    notes = [
        f"- {found.method}, {found.metric}: {found.note}"
        for outcome in outcomes
        for found in outcome.line.printed()
        if found.note
    ]
    return ["Of the printed figures:", "", *dict.fromkeys(notes), ""] if notes else []
