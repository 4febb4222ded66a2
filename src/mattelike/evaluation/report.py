"""What an evaluation leaves behind: a report, a page to look at, and what both were made with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from mattelike.errors import PhotoError
from mattelike.evaluation import markdown, page, rows
from mattelike.evaluation.about import described
from mattelike.evaluation.pictures import Artist, worst
from mattelike.evaluation.rows import Row
from mattelike.evaluation.run import Evaluation
from mattelike.evaluation.summary import Summary, summed

MARKDOWN, PAGE, ABOUT = "report.md", "index.html", "about.json"


def write(evaluation: Evaluation, found: Sequence[Row], command: Sequence[str]) -> Summary:
    """Writes ``report.md``, ``index.html`` with its pictures, and ``about.json``.

    Args:
        evaluation: What was evaluated, and where to.
        found: Its rows.
        command: What was typed.

    Raises:
        OutputError: The folder cannot be written to.
    """
    summary = summed(found, evaluation.metrics)
    about = described(evaluation, command)
    folder = evaluation.folder
    artist = Artist(evaluation.benchmark, evaluation.protocol, folder)
    cases = {
        name: _drawn(artist, name, [row for row in found if row.method == name])
        for name in evaluation.methods
    }
    rows.save(folder / ABOUT, json.dumps(about, indent=1) + "\n")
    rows.save(folder / MARKDOWN, markdown.report(summary, about))
    rows.save(folder / PAGE, page.page(summary, about, cases))
    return summary


def _drawn(artist: Artist, name: str, found: Sequence[Row]) -> list[page.Case]:
    cases: list[page.Case] = []
    for number, row in enumerate(worst(found)):
        try:
            cases.append((row, artist.draw(row, f"{Path(name).name}-{number}")))
        except PhotoError:
            # A matte somebody took away is no reason to write no report.
            continue
    return cases
