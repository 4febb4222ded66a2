"""What a recipe of IconMatting names as its data: indexes, tables, folders of groups, published data sets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mattelike.errors import UsageError
from mattelike.training.pairing import split, without_overlap, without_small
from mattelike.training.sources import (
    IMAGES,
    LAYOUTS,
    Sample,
    from_csv,
    from_folders,
    from_index,
    from_layout,
)

# Beside a data set that is published without groups: the stem of every picture's name to its group.
GROUPS = "groups.json"


def found(source: str, *, grouped: bool = True) -> list[Sample]:
    """The samples of one source.

    Args:
        source: ``NAME=FOLDER``, NAME being a row of `LAYOUTS`; the release's index ``FILE.json``, whose
            pictures lie beside it, in a folder for each data set where there are such folders;
            ``FILE.csv``; or a folder of groups.
        grouped: Whether groups matter. Without them, a data set that is published without is one group.

    Raises:
        UsageError: None of these, or files that are missing.
    """
    name, equals, place = source.partition("=")
    if equals:
        return _published(name, Path(place).expanduser(), grouped)
    path = Path(source).expanduser()
    if path.suffix == ".json" and path.is_file():
        return from_index(path, _roots(path))
    if path.suffix == ".csv" and path.is_file():
        return from_csv(path)
    if path.is_dir():
        return from_folders(path)
    raise UsageError(
        f"{source}: no such data; give a folder of groups, an index .json, a table .csv, or "
        f"NAME=FOLDER with NAME one of {', '.join(LAYOUTS)}"
    )


def _roots(index: Path) -> dict[str, Path]:
    table = json.loads(index.read_text(encoding="utf-8"))
    names = {str(about.get("dataset_name")) for about in table.values() if isinstance(about, dict)}
    return {name: index.parent / name if (index.parent / name).is_dir() else index.parent for name in names}


def _published(name: str, root: Path, grouped: bool) -> list[Sample]:
    table = root / GROUPS
    if table.is_file():
        return from_layout(root, name, json.loads(table.read_text(encoding="utf-8")))
    layout = LAYOUTS.get(name)
    if grouped or layout is None or not (root / layout.image).is_dir():
        return from_layout(root, name)
    pictures = [path for path in (root / layout.image).iterdir() if path.suffix.lower() in IMAGES]
    return from_layout(root, name, {path.stem: name for path in pictures})


def gathered(sources: Sequence[str], *, grouped: bool = True) -> list[Sample]:
    """The samples of all sources; names and groups carry their source's number where there are several.

    Raises:
        UsageError: No source at all, or one that cannot be read.
    """
    if not sources:
        raise UsageError("nothing to learn from; give sources, in the recipe or as --set sources=FOLDER")
    if len(sources) == 1:
        return found(sources[0], grouped=grouped)
    return [
        replace(sample, name=f"{number}/{sample.name}", group=f"{number}/{sample.group}", shows=sample.thing)
        for number, source in enumerate(sources)
        for sample in found(source, grouped=grouped)
    ]


def parted(
    samples: Sequence[Sample],
    test: Sequence[Sample] = (),
    *,
    share: float = 1.0,
    seed: int = 1,
    hard_masks: bool = True,
    allow_overlap: bool = False,
) -> tuple[list[Sample], list[Sample]]:
    """What is learnt from, in the order it is gone through, and what is kept for testing.

    Args:
        samples: Of all sources.
        test: Samples of test sets.
        share: Part that is learnt from, such as 0.8 for the 8:2 split of table 7.
        seed: Of that split, and of the order.
        hard_masks: Learn from hard masks too (table 5).
        allow_overlap: Accept pictures that are tested on.

    Raises:
        UsageError: A picture is in both, or nothing is left.
    """
    learnt, kept = split(without_small(samples, seed), share, seed)
    learnt = [sample for sample in learnt if hard_masks or sample.kind == "matting"]
    if not learnt:
        raise UsageError(
            "nothing to learn from is left of the sources; check share, and whether they hold mattes"
        )
    return without_overlap(learnt, test, allow_overlap), kept
