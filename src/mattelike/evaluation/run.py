"""An evaluation from end to end: every question of every method asked, measured and written down."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mattelike import photos
from mattelike.baselines import Answer, Method, Reference, Trimap
from mattelike.errors import MattelikeError, MetricError, MissingExtraError, OutputError, PhotoError
from mattelike.evaluation import rows
from mattelike.evaluation.benchmarks import Benchmark
from mattelike.evaluation.journal import Journal
from mattelike.evaluation.layouts import Entry
from mattelike.evaluation.marks import mark
from mattelike.evaluation.protocols import MEASURED, Protocol, region_of
from mattelike.evaluation.questions import Fixed, Question, asked
from mattelike.evaluation.reading import Shelf, Shown
from mattelike.evaluation.rows import Row
from mattelike.evaluation.steadiness import STEADY, Frame, steadied
from mattelike.metrics import METRICS
from mattelike.values import Bool

CONTEXTS = 4
JOURNALS, MATTES, TABLE = "journals", "mattes", "per-image.csv"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is evaluated, and where to.

    Attributes:
        benchmark: Whose questions.
        protocol: How they are asked and measured.
        methods: Who answers, by label.
        folder: For the journals, the mattes and the table.
        fixed: References by group, instead of the committed ones.
        overwrite: Begin anew whatever is in the folder.
    """

    benchmark: Benchmark
    protocol: Protocol
    methods: Mapping[str, Method]
    folder: Path
    fixed: Fixed | None = None
    overwrite: bool = False
    hashed: str = field(default="")

    @property
    def metrics(self) -> tuple[str, ...]:
        """Columns of the tables: of clips, how steadily they are followed as well."""
        return (*MEASURED, *STEADY) if self.benchmark.clips else MEASURED

    def decided(self, label: str) -> Mapping[str, Any]:
        """Everything that decides the answers of a method."""
        return {
            "benchmark": self.hashed or self.benchmark.fingerprint(),
            "protocol": dict(self.protocol.table()),
            "method": dict(self.methods[label].about),
            "fixed": self.fixed,
        }


Told = Callable[[Row, float], None]


def evaluate(evaluation: Evaluation, tell: Told | None = None) -> list[Row]:
    """Asks all that is not in the journals yet, and writes ``per-image.csv``.

    Args:
        evaluation: What and where.
        tell: Called for every new row, with the seconds it took.

    Returns:
        All rows, method by method, in the order of the questions. A picture a method failed on is a row with
        its error and no figures.

    Raises:
        UsageError: A group without a reference, or a folder that holds another evaluation.
        MetricError: Frames of one clip differ in size.
        OutputError: The folder cannot be written to.
        MissingExtraError: A method needs what is not installed.
    """
    shelf = Shelf(evaluation.protocol)
    found: list[Row] = []
    for label in evaluation.methods:
        found += _answered(evaluation, label, shelf, tell)
    if evaluation.benchmark.clips:
        found = _steadied(evaluation, found, shelf)
    rows.write(evaluation.folder / TABLE, found, evaluation.metrics)
    return found


def _steadied(evaluation: Evaluation, found: list[Row], shelf: Shelf) -> list[Row]:
    """The rows of clips with what only two frames together show."""
    entries = {entry.sample.name: entry for entry in evaluation.benchmark.entries}
    places = {
        entry.sample.name: place
        for members in evaluation.benchmark.groups().values()
        for place, entry in enumerate(members)
    }

    def frame(row: Row) -> Frame:
        saved = matte_path(evaluation.folder, row.method, row.key)
        if not saved.is_file():
            raise PhotoError(f"{saved}: the matte is gone; evaluate again with --overwrite")
        shown, protocol = shelf.shown(entries[row.target]), evaluation.protocol
        where = region_of(shown.trimap) if protocol.region == "unknown" else None
        true = photos.quantised(shown.truth, 8) if protocol.depth == 8 else shown.truth
        return Frame(photos.read(saved).pixels[..., 0], true, where)

    return list(steadied(found, places, frame))


def _answered(evaluation: Evaluation, label: str, shelf: Shelf, tell: Told | None) -> list[Row]:
    method = evaluation.methods[label]
    path = evaluation.folder / JOURNALS / f"{label}.csv"
    journal = Journal(path, evaluation.decided(label), MEASURED, overwrite=evaluation.overwrite)
    asker = _Asker(evaluation, label, method, shelf)
    questions = list(asked(evaluation.benchmark, evaluation.protocol, method.help, shelf, evaluation.fixed))
    try:
        for question in questions:
            if question.key not in journal.done:
                began = time.perf_counter()
                row = asker.row(question)
                journal.add(row)
                if tell:
                    tell(row, time.perf_counter() - began)
        return [journal.done[question.key] for question in questions]
    finally:
        journal.close()


class _Asker:
    """Asks one method; what it saw of the last few sets of references is kept."""

    def __init__(self, evaluation: Evaluation, label: str, method: Method, shelf: Shelf) -> None:
        self._evaluation = evaluation
        self._label = label
        self._method = method
        self._shelf = shelf
        self._contexts: OrderedDict[tuple[object, ...], Any] = OrderedDict()

    def row(self, question: Question) -> Row:
        """One answer, saved and measured; an error of the method is written down."""
        entry = question.target
        shown = self._shelf.shown(entry)
        own = not question.references and self._method.help != "nothing"
        marked = bool(question.references) or (own and self._method.help != "trimap")
        values: dict[str, float] = {}
        presence, problem = None, ""
        try:
            answer = self._answer(question, shown)
            values, presence = self._measured(question, shown, answer), answer.presence
        except (MissingExtraError, OutputError):
            raise
        except MattelikeError as error:
            problem = str(error)
        return Row(
            self._label,
            entry.sample.group,
            entry.relation,
            entry.split,
            entry.sample.name,
            tuple(reference.sample.name for reference in question.references),
            self._evaluation.protocol.form if marked else "",
            question.turn,
            question.choice,
            shown.present,
            presence,
            values,
            problem,
        )

    def _answer(self, question: Question, shown: Shown) -> Answer:
        answer = self._method.matte(shown.photo, self._context(question))
        if answer.alpha.shape != shown.truth.shape:
            raise MetricError(f"{self._label}: alpha {answer.alpha.shape} of a photo {shown.truth.shape}")
        if not np.isfinite(answer.alpha).all():
            raise MetricError(f"{self._label}: alpha has values that are NaN or infinite")
        return answer

    def _context(self, question: Question) -> Any:
        names = tuple(entry.sample.name for entry in question.references)
        if self._method.help == "nothing":
            key: tuple[object, ...] = ()
        else:
            key = (names or question.target.sample.name, question.turn)
        if key not in self._contexts:
            self._contexts[key] = self._method.encode(self._given(question))
            if len(self._contexts) > CONTEXTS:
                self._contexts.popitem(last=False)
        self._contexts.move_to_end(key)
        return self._contexts[key]

    def _given(self, question: Question) -> list[Reference]:
        if self._method.help == "nothing":
            return []
        if self._method.help == "trimap":
            shown = self._shelf.shown(question.target)
            return [(shown.photo, Trimap(shown.trimap))]
        return [self._marked(entry, question.turn) for entry in question.references or (question.target,)]

    def _marked(self, entry: Entry, turn: int) -> Reference:
        shown, protocol = self._shelf.shown(entry), self._evaluation.protocol
        return shown.photo, mark(protocol.form, shown.truth, entry.sample.name, protocol.seed, turn)

    def _measured(self, question: Question, shown: Shown, answer: Answer) -> dict[str, float]:
        path = matte_path(self._evaluation.folder, self._label, question.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        alpha = np.clip(answer.alpha, 0, 1).astype(np.float32)
        protocol = self._evaluation.protocol
        photos.write_alpha(path, alpha, depth=protocol.depth or 16)
        where = region_of(shown.trimap) if protocol.region == "unknown" else None
        return measured(alpha, shown.truth, protocol, where)


def measured(pred: Any, true: Any, protocol: Protocol, where: Bool | None = None) -> dict[str, float]:
    """All figures of one matte; none where the region is empty.

    Args:
        pred: float32 ``(h, w)`` in [0, 1].
        true: The same.
        protocol: Which connectivity, and at which depth both are measured.
        where: bool ``(h, w)``, the pixels that count; None for all.

    Raises:
        MetricError: The two cannot be compared.
    """
    if where is not None and not where.any():
        return {}
    if protocol.depth == 8:
        # What is measured is what would be saved, as others measure it (trap 100).
        pred, true = photos.quantised(pred, 8), photos.quantised(true, 8)
    options: dict[str, dict[str, Any]] = {"conn": {"variant": protocol.conn}}
    return {
        name: float(METRICS[name].measure(pred, true, where=where, **options.get(name, {})))
        for name in MEASURED
    }


def matte_path(folder: Path, label: str, key: tuple[str, int, int]) -> Path:
    """Where the matte of an answer is saved."""
    target, turn, choice = key
    stem = Path(target).with_suffix("")
    suffix = "".join(f".{name}{number}" for name, number in (("round", turn), ("choice", choice)) if number)
    return folder / MATTES / label / stem.with_name(f"{stem.name}{suffix}.png")
