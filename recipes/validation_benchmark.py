"""Writes the public validation of the embedded model as a benchmark that ``mattelike evaluate`` takes.

python recipes/validation_benchmark.py FOLDER [--pack PACK] [--quick] [--every N]

Every question that is asked with a mask becomes a group of its reference and its target; its split is the
row of the validation. The truths of photos are hard masks or predictions, those of composites are exact.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from mattelike import photos
from mattelike.evaluation.mini.building import COLUMNS
from mattelike.training import pack
from mattelike.training.validation import questions
from mattelike.training.validation.drawing import Studio
from mattelike.training.validation.questions import Question

LIST = Path(__file__).parent / "validation.json"


class Writer:
    """Writes pictures once, and their alphas once a kind."""

    def __init__(self, studio: Studio, folder: Path) -> None:
        self._studio = studio
        self._folder = folder

    def row(self, group: str, name: str, kind: str, split: str) -> Sequence[str]:
        """A line of the table, its files written."""
        drawn = self._studio.picture(name)
        image, alpha = f"{group}/{split}.png", f"{group}/{split}.alpha.png"
        place = self._folder / image
        place.parent.mkdir(parents=True, exist_ok=True)
        photos.write_rgb(place, drawn.rgb)
        photos.write_alpha(self._folder / alpha, drawn.alpha(kind))
        truth = "matting" if drawn.soft else "segmentation"
        reference = "1" if split == "references" else ""
        return group, image, alpha, "", truth, reference, "category", split


def rows(writer: Writer, asked: Sequence[Question]) -> Iterator[Sequence[str]]:
    """Two lines a question."""
    for number, question in enumerate(asked):
        group = f"{number:04}-{question.kind.replace('/', '-')}"
        yield writer.row(group, question.references[0], question.kind, "references")
        yield writer.row(group, question.target, question.kind, question.row)


def main() -> None:
    """Writes the benchmark, and says where it is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pack", type=Path, default=Path("packs/full"))
    parser.add_argument("--quick", action="store_true", help="the short validation")
    parser.add_argument("--every", type=int, default=1, help="only every Nth question")
    given = parser.parse_args()
    plan = questions.load(LIST)
    asked = [q for q in plan.questions if "mask" in q.asked(given.quick)][:: given.every]
    writer = Writer(Studio(pack.load(given.pack), plan), given.folder)
    given.folder.mkdir(parents=True, exist_ok=True)
    with (given.folder / "benchmark.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows(writer, asked)])
    print(given.folder / "benchmark.csv")


if __name__ == "__main__":
    main()
