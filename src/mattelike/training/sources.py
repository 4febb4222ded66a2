"""Data in context groups as others lay it out: the release's index, folders, CSV; and who is whose reference.

Nothing here loads a picture before it is asked for.
"""

from __future__ import annotations

import csv
import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mattelike import photos
from mattelike.errors import PhotoError, UsageError
from mattelike.values import Float32, Photo

Kind = Literal["matting", "segmentation"]
Policy = Literal["fixed", "random"]
AllowSelf = bool | Literal["pairs"]

IMAGES, MASKS = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"), (".png", ".tif", ".tiff")
OPEN_IMAGES = "open-images"
# Levels of an 8-bit trimap from which a pixel is unknown, and from which it is foreground.
UNKNOWN_FROM, FOREGROUND_FROM = 85, 170
# Smallest share of the picture from which an instance is always kept, and the rule below it.
ALWAYS_FROM = 0.3


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
    """

    name: str
    group: str
    image: Path
    alpha: Path
    trimap: Path | None = None
    kind: Kind = "matting"
    is_reference: bool = False
    areas: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a published data set keeps its files.

    Attributes:
        image: Folder of pictures, below the root.
        alpha: Folder of alphas.
        trimap: Folder of trimaps, or empty.
        kind: What its truth is.
        group: Group of all of it; empty when a table of groups is needed.
    """

    image: str
    alpha: str
    trimap: str = ""
    kind: Kind = "matting"
    group: str = ""


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
    "composition-1k-train": Layout("Training_set/merged", "Training_set/alpha", group="composite"),
    "composition-1k-test": Layout("Test_set/merged", "Test_set/alpha", "Test_set/trimaps", group="composite"),
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
        alpha = _file(root / layout.alpha, image.stem, MASKS)
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


# --- choosing them -----------------------------------------------------------------------------------


def keep_probability(smallest: float) -> float:
    """Probability that an Open Images sample is kept, by the share of its smallest instance.

    ``min(1, 100 (0.6 - x) x / 9) ** 5`` below 0.3, 1 from there on: nearly none of the tiny ones.
    """
    if smallest >= ALWAYS_FROM:
        return 1.0
    return float(max(0.0, min(1.0, 100 * (0.6 - smallest) * smallest / 9)) ** 5)


def without_small(samples: Iterable[Sample], seed: int = 0) -> list[Sample]:
    """Samples that pass `keep_probability`; those that state no areas stay. The same seed keeps the same."""
    return [
        sample
        for sample in samples
        if not sample.areas or _share(seed, "small", sample.name) < keep_probability(min(sample.areas))
    ]


def split(samples: Iterable[Sample], ratio: float, seed: int = 1) -> tuple[list[Sample], list[Sample]]:
    """Sorted by name, shuffled with a fixed seed, cut: the first part holds `ratio` of them."""
    ordered = sorted(samples, key=lambda sample: sample.name)
    random.Random(seed).shuffle(ordered)
    cut = int(len(ordered) * ratio)
    return ordered[:cut], ordered[cut:]


def without_overlap(train: Sequence[Sample], test: Iterable[Sample], allow: bool = False) -> list[Sample]:
    """Training samples, none of whose pictures is tested on.

    Args:
        train: To be trained on.
        test: To be tested on.
        allow: Accept an overlap all the same.

    Raises:
        UsageError: A picture is in both, by name or by content.
    """
    if allow:
        return list(train)
    tested = list(test)
    names, contents = {s.name for s in tested}, {_content(s.image) for s in tested}
    for sample in train:
        if sample.name in names or _content(sample.image) in contents:
            raise UsageError(f"{sample.image} is in the test set too; leave it out, or set allow_overlap")
    return list(train)


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _share(*name: object) -> float:
    """A number in [0, 1) that depends on its name alone."""
    digest = hashlib.sha256("/".join(str(part) for part in name).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def half_or_full(alpha: Any) -> Literal["half", "full"]:
    """Whether a thing is cut off by the frame: uint8 alpha ``(h, w)`` summed over the four border lines."""
    lines = (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1])
    border = sum(int(line.astype(np.int64).sum()) for line in lines)
    return "full" if border < sum(alpha.shape) / 100 else "half"


# --- references --------------------------------------------------------------------------------------


class Pairs:
    """Who is whose reference. A pair depends on the seed, the epoch and its number alone, never on workers.

    Args:
        samples: Every one of them is a target.
        seed: Of the choice.
        policy: ``fixed``: the one marked in its group, else the first by name; ``random``: any other.
        allow_self: Let a sample be its own reference where its group has no other; ``pairs``, as the
            release has it: in groups of two as well.

    Raises:
        UsageError: A group of one, and `allow_self` is False.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        seed: int = 0,
        policy: Policy = "random",
        allow_self: AllowSelf = False,
    ) -> None:
        self.samples = list(samples)
        self.seed = seed
        self.policy = policy
        self.allow_self = allow_self
        self.groups: dict[str, list[int]] = defaultdict(list)
        for number, sample in enumerate(self.samples):
            self.groups[sample.group].append(number)
        alone = sorted(group for group, members in self.groups.items() if len(members) == 1)
        if alone and not allow_self:
            raise UsageError(
                f"the group {alone[0]!r} has one picture, so nothing can be its reference; add one, leave it "
                "out, or set allow_self"
            )

    def __len__(self) -> int:
        return len(self.samples)

    def pair(self, epoch: int, number: int) -> tuple[Sample, Sample]:
        """Reference and target number `number` of an epoch."""
        return self.samples[self._reference(epoch, number)], self.samples[number]

    def _reference(self, epoch: int, number: int) -> int:
        members = self.groups[self.samples[number].group]
        others = [member for member in members if member != number]
        if not others:
            return number
        if self.policy == "fixed":
            return self._fixed(members, number)
        if self.allow_self == "pairs" and len(members) == 2:
            others = members
        return others[int(_share(self.seed, epoch, number) * len(others))]

    def _fixed(self, members: Sequence[int], number: int) -> int:
        """The marked one first, then by name; a reference's own reference is the next."""
        ordered = sorted(members, key=lambda m: (not self.samples[m].is_reference, self.samples[m].name))
        return ordered[0] if ordered[0] != number else ordered[1]


# --- pixels ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A sample's pixels, upright.

    Attributes:
        image: float32 ``(h, w, 3)`` in [-1, 1].
        alpha: float32 ``(h, w)`` in [0, 1].
        trimap: float32 ``(h, w)`` in {0, 0.5, 1}, or None.
        kind: Of the truth.
    """

    image: Float32
    alpha: Float32
    trimap: Float32 | None
    kind: Kind


def loaded(sample: Sample) -> Loaded:
    """Reads a sample.

    Raises:
        PhotoError: A file that cannot be read, or picture and truth of different sizes.
    """
    photo = photos.read(sample.image)
    top = np.iinfo(photo.pixels.dtype).max
    image = photo.pixels.astype(np.float32) * np.float32(2 / top) - np.float32(1)
    alpha = one_channel(photos.read(sample.alpha))
    if sample.kind == "segmentation":
        alpha = (alpha > 0.5).astype(np.float32)
    trimap = None if sample.trimap is None else three_levels(one_channel(photos.read(sample.trimap)))
    for truth, path in ((alpha, sample.alpha), (trimap, sample.trimap)):
        if truth is not None and truth.shape != image.shape[:2]:
            raise PhotoError(
                f"{path}: {truth.shape[1]} x {truth.shape[0]} pixels, its picture {sample.image.name} has "
                f"{image.shape[1]} x {image.shape[0]}"
            )
    return Loaded(image, alpha, trimap, sample.kind)


def one_channel(photo: Photo) -> Float32:
    """An alpha map as saved: the alpha channel where there is one, else the first channel; in [0, 1]."""
    levels = photo.pixels[..., 0] if photo.alpha is None else photo.alpha
    found: Float32 = levels.astype(np.float32) / np.float32(np.iinfo(levels.dtype).max)
    return found


def three_levels(trimap: Float32) -> Float32:
    """A trimap in {0, 0.5, 1} from its levels in [0, 1]."""
    level = np.floor(trimap * 255 + 0.5)
    half = np.where(level >= UNKNOWN_FROM, np.float32(0.5), np.float32(0))
    return np.where(level >= FOREGROUND_FROM, np.float32(1), half).astype(np.float32)


def as_references(samples: Iterable[Sample], names: Iterable[str]) -> list[Sample]:
    """The same samples with those named marked as references."""
    marked = set(names)
    return [replace(sample, is_reference=sample.name in marked) for sample in samples]
