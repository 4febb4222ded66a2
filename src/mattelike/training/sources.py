"""Data in context groups as others lay it out: the release's index, folders, tables, published data sets."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mattelike.errors import UsageError

Kind = Literal["matting", "segmentation"]

IMAGES, MASKS = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"), (".png", ".tif", ".tiff")
OPEN_IMAGES = "open-images"


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture with its truth.

    Attributes:
        name: Unique within its source.
        group: Samples of one group show the same kind, or the same thing.
        image: The picture.
        alpha: Its alpha.
        trimap: Its trimap, or None.
        kind: Whether alpha is a matte or a hard mask.
        is_reference: Marked as the reference of its group.
        areas: Shares of the picture that its instances cover; empty when not stated.
        shows: The class of what it shows, where its source tells classes from groups: several groups may
            show one. Empty: its group's name says it.
    """

    name: str
    group: str
    image: Path
    alpha: Path
    trimap: Path | None = None
    kind: Kind = "matting"
    is_reference: bool = False
    areas: tuple[float, ...] = ()
    shows: str = ""

    @property
    def thing(self) -> str:
        """What it shows: samples with different words show different kinds."""
        return (self.shows or self.group).lower()


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a published data set keeps its files.

    Attributes:
        image: Folder of pictures, below the root.
        alpha: Folder of alphas.
        trimap: Folder of trimaps, or empty.
        kind: What its truth is.
        group: Group of all of it; empty when a table of groups is needed.
        numbered: Whether several pictures share a truth: ``dog_17`` is one of those made with ``dog``.
    """

    image: str
    alpha: str
    trimap: str = ""
    kind: Kind = "matting"
    group: str = ""
    numbered: bool = False


LAYOUTS: Mapping[str, Layout] = {
    "icm-57": Layout("image", "alpha", "trimap"),
    "rm-1k": Layout("image", "alpha", "trimap"),
    "open-images": Layout("image", "alpha", "trimap", "segmentation"),
    "aim-500": Layout("original", "mask", "trimap"),
    "am-2k-train": Layout("train/original", "train/mask"),
    "am-2k-validation": Layout("validation/original", "validation/mask", "validation/trimap"),
    "p3m-train": Layout("train/blurred_image", "train/mask", group="person"),
    "p3m-500-np": Layout(
        "validation/P3M-500-NP/original_image", "validation/P3M-500-NP/mask", "validation/P3M-500-NP/trimap",
        group="person",
    ),
    "composition-1k-train": Layout(
        "Training_set/merged", "Training_set/alpha", group="composite", numbered=True,
    ),
    "composition-1k-test": Layout(
        "Test_set/merged", "Test_set/alpha", "Test_set/trimaps", group="composite", numbered=True,
    ),
}  # fmt: skip


# --- finding samples ---------------------------------------------------------------------------------


def from_index(index: Path, roots: Path | Mapping[str, Path]) -> list[Sample]:
    """Samples of the release's JSON index, sorted by name.

    Args:
        index: Image name to ``dataset_name``, ``class``, ``sub_class``, ``HalfOrFull`` and optional fields.
        roots: Folder with ``image/``, ``alpha/`` and perhaps ``trimap/``; or one a ``dataset_name``.

    Raises:
        UsageError: Not such an index, a data set without a root, or a file that is missing.
    """
    table = _table(index)
    found = []
    for name in sorted(table):
        about = table[name]
        try:
            dataset = str(about["dataset_name"])
            group = f"{about['class']}-{about['sub_class']}-{about['HalfOrFull']}"
        except (KeyError, TypeError) as error:
            raise UsageError(f"{index}: the entry {name!r} has no {error}") from error
        root = roots if isinstance(roots, Path) else roots.get(dataset)
        if root is None:
            raise UsageError(f"{index}: no folder was given for the data set {dataset!r}")
        hard = OPEN_IMAGES in dataset
        stem = Path(name).stem if Path(name).suffix.lower() in IMAGES else name
        # An Open Images sample is one category of a picture: the picture is named before the underscore.
        picture = stem.split("_", 1)[0] if hard else stem
        areas = tuple(float(v) for v in about.get("instance_area_ratio") or ())
        found.append(
            Sample(
                name=name,
                group=group,
                image=_file(root / "image", picture, IMAGES),
                alpha=_file(root / "alpha", stem, MASKS),
                trimap=_optional(root / "trimap", stem),
                kind="segmentation" if hard else "matting",
                areas=areas,
                shows=str(about["class"]).lower(),
            )
        )
    return found


def from_folders(root: Path, kind: Kind = "matting") -> list[Sample]:
    """Samples of a folder of groups: each with ``image/``, ``alpha/``, perhaps ``trimap/``.

    A ``references.txt`` in a group names its references, one file name a line.

    Raises:
        UsageError: No group in it, or a picture without its alpha.
    """
    found = []
    for folder in sorted(path for path in root.iterdir() if (path / "image").is_dir()):
        listed = folder / "references.txt"
        names = set(listed.read_text(encoding="utf-8").split("\n")) if listed.is_file() else set()
        marked = {name.strip() for name in names if name.strip()}
        for image in _pictures(folder / "image"):
            found.append(
                Sample(
                    name=f"{folder.name}/{image.name}",
                    group=folder.name,
                    image=image,
                    alpha=_file(folder / "alpha", image.stem, MASKS),
                    trimap=_optional(folder / "trimap", image.stem),
                    kind=kind,
                    is_reference=image.name in marked or image.stem in marked,
                )
            )
    if not found:
        raise UsageError(f"{root}: no group in it; a group is a folder with image/ and alpha/")
    return found


def from_csv(path: Path) -> list[Sample]:
    """Samples of a table with the columns ``group,image,alpha,trimap,kind,is_reference``.

    Paths are relative to the table; ``trimap``, ``kind`` and ``is_reference`` may be empty.

    Raises:
        UsageError: A column or a file is missing, or a value is none of those allowed.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = []
    for number, row in enumerate(rows, start=2):
        where = f"{path}, line {number}"
        missing = next((column for column in ("group", "image", "alpha") if not row.get(column)), None)
        if missing:
            raise UsageError(f"{where}: no {missing}")
        kind = row.get("kind") or "matting"
        if kind not in ("matting", "segmentation"):
            raise UsageError(f"{where}: kind is {kind!r}, it must be matting or segmentation")
        image, alpha = (_existing(path.parent / str(row[column]), where) for column in ("image", "alpha"))
        trimap = row.get("trimap")
        found.append(
            Sample(
                name=str(row["image"]),
                group=str(row["group"]),
                image=image,
                alpha=alpha,
                trimap=_existing(path.parent / trimap, where) if trimap else None,
                kind="segmentation" if kind == "segmentation" else "matting",
                is_reference=str(row.get("is_reference") or "").strip().lower() in ("1", "true", "yes"),
            )
        )
    return found


def from_layout(root: Path, name: str, groups: Mapping[str, str] | None = None) -> list[Sample]:
    """Samples of a published data set in its own folders.

    Args:
        root: Where it was unpacked.
        name: A row of `LAYOUTS`.
        groups: Group of every picture, by the stem of its name; for data sets that are published without.

    Raises:
        UsageError: No such layout, no groups, or a picture without its alpha.
    """
    layout = LAYOUTS.get(name)
    if layout is None:
        raise UsageError(f"no layout named {name!r}; there are: {', '.join(LAYOUTS)}")
    found = []
    for image in _pictures(root / layout.image):
        group = (groups or {}).get(image.stem) or layout.group
        if not group:
            raise UsageError(f"{image}: {name} is published without groups; give a table of them")
        trimap = _optional(root / layout.trimap, image.stem) if layout.trimap else None
        truth = image.stem
        if layout.numbered and _optional(root / layout.alpha, truth) is None:
            truth = truth.rpartition("_")[0]
        alpha = _file(root / layout.alpha, truth, MASKS)
        found.append(Sample(image.stem, group, image, alpha, trimap, layout.kind))
    return found


def _table(path: Path) -> Mapping[str, Any]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not a readable index ({error})") from error
    if not isinstance(table, dict):
        raise UsageError(f"{path}: not an index; a table by image name was expected")
    return table


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGES)


def _file(folder: Path, stem: str, suffixes: Sequence[str]) -> Path:
    found = next((p for s in suffixes if (p := folder / f"{stem}{s}").is_file()), None)
    if found is None:
        raise UsageError(f"{folder / stem}: no such file with one of {', '.join(suffixes)}")
    return found


def _optional(folder: Path, stem: str) -> Path | None:
    return next((p for s in MASKS if (p := folder / f"{stem}{s}").is_file()), None)


def _existing(path: Path, where: str) -> Path:
    if not path.is_file():
        raise UsageError(f"{where}: {path} is not there")
    return path
