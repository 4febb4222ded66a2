"""Scores of any folder of mattes: the way in for systems that cannot be installed beside us."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mattelike import photos
from mattelike.errors import MetricError, UsageError
from mattelike.evaluation.benchmarks import by_number
from mattelike.evaluation.protocols import Protocol, region_of, unknown
from mattelike.evaluation.rows import Row
from mattelike.evaluation.run import measured
from mattelike.evaluation.steadiness import Frame, steadied
from mattelike.training.sample_pixels import one_channel, three_levels
from mattelike.training.sources import IMAGES
from mattelike.values import Bool, Float32

JPEG = (".jpg", ".jpeg")


@dataclass(frozen=True, slots=True)
class Paired:
    """Two folders, file by file.

    Attributes:
        pairs: Prediction and truth of one name, in order of name.
        missing: Names of truths without a prediction.
        extra: Names of predictions without a truth.
    """

    pairs: tuple[tuple[str, Path, Path], ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]


def paired(predictions: Path, truths: Path) -> Paired:
    """Files of two folders that have the same path below them, whatever their suffix; or two files.

    Raises:
        UsageError: Nothing there, two files of one name, or no pair at all.
    """
    if predictions.is_file() and truths.is_file():
        return Paired(((truths.stem, predictions, truths),), (), ())
    if predictions.is_file() or truths.is_file():
        file, other = (predictions, truths) if predictions.is_file() else (truths, predictions)
        raise UsageError(f"{file} is a file and {other} is none: give two of a kind")
    ours, theirs = _by_name(predictions), _by_name(truths)
    both = tuple((name, ours[name], theirs[name]) for name in sorted(theirs) if name in ours)
    if not both:
        raise UsageError(
            f"{predictions} and {truths} have no name in common; a matte is named like its truth, such as "
            f"{next(iter(sorted(theirs)), 'cat/01')}.png"
        )
    missing = tuple(name for name in sorted(theirs) if name not in ours)
    return Paired(both, missing, tuple(name for name in sorted(ours) if name not in theirs))


def scored(
    found: Paired, label: str, protocol: Protocol, trimaps: Path | None = None, *, clips: bool = False
) -> list[Row]:
    """One row a pair; groups are the folders.

    Args:
        found: From `paired`.
        label: Name of the method.
        protocol: Region, connectivity and depth; its geometry is not applied.
        trimaps: Folder of trimaps by the same names, for the region ``unknown``; without it the unknown is
            what the truth leaves open, widened.
        clips: Groups are clips, their files frames in order of the numbers in their names.

    Raises:
        MetricError: A pair of different sizes, frames of a clip of different sizes, or values that are no
            alpha; names them.
        PhotoError: A file that cannot be read.
        UsageError: A trimap that is not there.
    """
    known = _by_name(trimaps) if trimaps else {}
    pairs = sorted(found.pairs, key=lambda pair: by_number(pair[0])) if clips else found.pairs
    files = {name: (prediction, truth) for name, prediction, truth in pairs}

    def frame(name: str) -> Frame:
        pred, true = (one_channel(photos.read(path)) for path in files[name])
        return Frame(pred, true, _where(name, true, protocol, known, trimaps))

    rows = []
    for name, (prediction, truth) in files.items():
        read = frame(name)
        try:
            values = measured(read.pred, read.true, protocol, read.where)
        except MetricError as error:
            raise MetricError(f"{prediction} and {truth}: {error}") from error
        group = str(Path(name).parent) if Path(name).parent != Path() else label
        present = bool((read.true > 0.5).any())
        rows.append(Row(label, group, "category", "", name, present=present, values=values))
    if not clips:
        return rows
    # All truths have a place, so that a frame without a prediction parts its neighbours.
    order = sorted((*files, *found.missing), key=by_number)
    places = {name: place for place, name in enumerate(order)}
    return list(steadied(rows, places, lambda row: _levels(frame(row.target), protocol)))


def _levels(frame: Frame, protocol: Protocol) -> Frame:
    """A frame as it is measured: rounded as files are."""
    if protocol.depth == 0:
        return frame
    return Frame(photos.quantised(frame.pred, 8), photos.quantised(frame.true, 8), frame.where)


def _where(
    name: str, true: Float32, protocol: Protocol, known: dict[str, Path], trimaps: Path | None
) -> Bool | None:
    if protocol.region == "all":
        return None
    if trimaps is None:
        return region_of(unknown(true, protocol.trimap_radius))
    if name not in known:
        raise UsageError(f"{trimaps}: no trimap for {name}")
    return region_of(three_levels(one_channel(photos.read(known[name]))))


def _by_name(folder: Path) -> dict[str, Path]:
    """Picture files by their path below a folder, without suffix."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    found: dict[str, Path] = {}
    pictures = [p for p in folder.rglob("*") if p.suffix.lower() in IMAGES and p.is_file()]
    # Photos often lie beside their mattes: a JPEG is a matte only where nothing else has its name.
    for path in sorted(pictures, key=lambda path: (path.suffix.lower() in JPEG, path)):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name not in found:
            found[name] = path
        elif path.suffix.lower() not in JPEG:
            raise UsageError(f"{found[name]} and {path}: two mattes of one name; take one away")
    return found


def listing(names: Sequence[str], most: int = 5) -> str:
    """The first names, for a message."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
