"""What a run leaves for whoever reads of it later: how it was made, on what, and its curves.

``card.json`` holds the recipe, the hash of the data, versions, time and the last means of every term;
``curves.png`` shows all of ``log.jsonl`` (with matplotlib, extra ``train``; a machine that only lends its GPU
may lack it, and the picture can be drawn anywhere from the log).
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

PACKAGES = ("mattelike", "torch", "numpy")
# Of the log, what is not a term of the loss.
NOT_TERMS = ("step", "seconds", "waiting", "skipped", "norm")
# Steps whose mean is what a run has come to.
LAST = 100
# Points of a curve: each is the mean of the steps it stands for.
POINTS = 150


def write(folder: Path, recipe: Mapping[str, Any], data: str, device: str, processes: int) -> None:
    """Writes ``card.json`` of a run, and ``curves.png`` where matplotlib is there.

    Args:
        folder: Of the run; its ``log.jsonl`` is read.
        recipe: What was to be done.
        data: Hash of what is learnt from.
        device: Where it computes.
        processes: Of how many.
    """
    rows = logged(folder / "log.jsonl")
    card = {
        "recipe": dict(recipe),
        "data": data,
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "device": device,
        "processes": processes,
        "threads": torch.get_num_threads(),
        "steps": rows[-1]["step"] + 1 if rows else 0,
        "seconds": round(spent(rows), 1),
        "skipped": sum(_ends(rows, "skipped")),
        "last": {name: round(float(np.mean(values[-LAST:])), 5) for name, values in terms(rows).items()},
    }
    partial = folder / "card.partial"
    partial.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / "card.json")
    if rows and find_spec("matplotlib") is not None:
        draw(rows, folder / "curves.png")


def logged(path: Path) -> list[dict[str, Any]]:
    """The rows of a log, one a step; a last line that was cut off as it was written is left out."""
    if not path.is_file():
        return []
    # What follows the last line break is a line that was never finished.
    *lines, _ = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines]


def cut_back(path: Path, first: int) -> None:
    """Takes out of a log what a run that goes on at step `first` will do again."""
    rows = logged(path)
    if rows:
        kept = [json.dumps(row) + "\n" for row in rows if row["step"] < first]
        path.write_text("".join(kept), encoding="utf-8")


def terms(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """The loss and each of its terms, step by step."""
    names = [name for name in (rows[0] if rows else {}) if name not in NOT_TERMS]
    return {name: [row[name] for row in rows if name in row] for name in names}


def spent(rows: Sequence[Mapping[str, Any]]) -> float:
    """Seconds of all stretches: the clock of the log starts anew whenever a run goes on."""
    return sum(_ends(rows, "seconds"))


def _ends(rows: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """The last value of every stretch of a counter that starts anew with each."""
    clock = [row["seconds"] for row in rows]
    last = [at for at in range(len(rows)) if at + 1 == len(rows) or clock[at + 1] < clock[at]]
    return [rows[at][name] for at in last]


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """A small picture for each term, all over the steps."""
    from matplotlib import rcParams
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    found = terms(rows)
    steps = [row["step"] for row in rows]
    across = 4
    down = -(-len(found) // across)
    figure = Figure(figsize=(3 * across, 2.1 * down), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    for at, (name, values) in enumerate(found.items()):
        axes = figure.add_subplot(down, across, at + 1)
        axes.plot(*smoothed(steps, values), color=rcParams["axes.prop_cycle"].by_key()["color"][0])
        axes.set_title(name, fontsize=9)
        axes.set_ylim(bottom=0)
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    canvas.print_png(path)  # type: ignore[no-untyped-call]


def smoothed(steps: Sequence[int], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Means of `POINTS` pieces of equal length; all values where there are fewer."""
    count = min(POINTS, len(values))
    at, means = np.array_split(np.array(steps, float), count), np.array_split(np.array(values), count)
    return [float(piece.mean()) for piece in at], [float(piece.mean()) for piece in means]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
