"""An evaluation as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mattelike.evaluation.summary import Part, Summary, best, figure, interval

CONTEST = (
    "Bold: the best of those given the same. Who has a trimap of every picture is told where its edge lies."
)


def report(summary: Summary, about: Mapping[str, Any]) -> str:
    """The whole report: tables, presence, and what it was made with."""
    bench = about["benchmark"]
    lines = [f"# {bench['name']}, protocol {about['protocol']['name']}", ""]
    lines += [f"`{about['command']}`", ""]
    for part in summary.parts:
        lines += [f"## {part.title}", "", *table(part, about["given"]), ""]
    given = ", ".join(f"{name} {found}" for name, found in about["given"].items())
    lines += [f"Given to the methods: {given}. {CONTEST}", ""]
    lines += [*_presence(summary), *_spreads(summary), *_failures(summary)]
    lines += ["## Made with", "", *_made_with(about)]
    return "\n".join(lines) + "\n"


def table(part: Part, given: Mapping[str, str]) -> list[str]:
    """One table: means, with 95 % bootstrap intervals over groups in brackets; the best is bold.

    Args:
        part: The table.
        given: What each method is given: the best of those given the same is bold.
    """
    winners = best(part, given)
    lines = [row(["method", "pictures", *part.metrics]), row(["---", *["---:"] * (len(part.metrics) + 1)])]
    for name, figures in part.figures.items():
        cells = [name, str(max((found.count for found in figures), default=0))]
        for winner, found in zip(winners, figures, strict=True):
            mean = f"**{figure(found.mean)}**" if name in winner else figure(found.mean)
            within = interval(found)
            cells.append(f"{mean} ({within})" if within else mean)
        lines.append(row(cells))
    return lines


def row(cells: Sequence[str]) -> str:
    """One line of a table."""
    return "| " + " | ".join(cells) + " |"


def _presence(summary: Summary) -> Iterator[str]:
    if not summary.curves:
        return
    yield from ("## Presence", "", row(["method", "AUROC", "area under risk and coverage", "risk of all"]))
    yield row(["---", "---:", "---:", "---:"])
    for name, curve in summary.curves.items():
        yield row([name, figure(curve.auroc), figure(curve.area), figure(curve.risk[-1])])
    yield from ("", "Risk is 1 - IoU; answers are given in the order of falling presence.", "")


def _spreads(summary: Summary) -> Iterator[str]:
    if not summary.spreads:
        return
    metrics = summary.parts[0].metrics
    yield from ("## Spread over the choice of reference (standard deviation of the mean)", "")
    yield from (row(["method", *metrics]), row(["---", *["---:"] * len(metrics)]))
    for name, found in summary.spreads.items():
        yield row([name, *map(figure, found)])
    yield ""


def _failures(summary: Summary) -> Iterator[str]:
    failed = {name: count for name, count in summary.failed.items() if count}
    if failed:
        yield from ("## Failures", "")
        yield from (f"- {name}: {count} pictures without an answer" for name, count in failed.items())
        yield ""


def _made_with(about: Mapping[str, Any]) -> Iterator[str]:
    packages = ", ".join(f"{name} {found}" for name, found in about["packages"].items())
    yield f"- mattelike {about['mattelike']}, Python {about['python']}, {about['machine']}; {packages}"
    bench = about["benchmark"]
    yield f"- {bench['pictures']} pictures in {bench['groups']} groups, sha256 `{bench['sha256']}`"
    yield "- " + ", ".join(f"{name} {value}" for name, value in about["protocol"].items())
    for name, found in about["methods"].items():
        yield f"- {name}: " + ", ".join(f"{key} {value}" for key, value in found.items() if value)
    yield "- " + ", ".join(f"{name} ({text})" for name, text in about["metrics"].items())
