"""Whether a batch can be trusted over a long run: its memory, its speed, and what a kill leaves behind.

    python benchmarks/batch.py soak  [--photos 10000] [--workers 1]     memory and photos/s, first and last
    python benchmarks/batch.py speed [--photos 500] [--megapixels 12]   files a second, 1 and 2 workers
    python benchmarks/batch.py kills [--photos 500] [--kills 20]        killed, gone on with, compared
    python benchmarks/batch.py page  [--photos 5000]                    size of the page of so many photos

Prints one JSON object a line. Everything goes through the command line, as a program of its own, with the
model ``imagenet`` unless another is named: training-free, and the fastest.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from telling import say

from mattelike import photos
from mattelike.errors import PhotoError

ROOT = Path(__file__).parent.parent
# Sides of photos, as shares of the longest.
SHAPES = ((0.6, 0.8), (0.8, 0.6), (0.75, 0.75), (0.5, 1.0))
EARLY = 500


# --- photos ------------------------------------------------------------------------------------------


def picture(seed: int, height: int, width: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A disk on a background, both with some texture; another one for each seed."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    row, column = rng.uniform(0.35, 0.65, 2) * (height, width)
    inside = np.hypot(rows - row, columns - column) < min(height, width) * rng.uniform(0.2, 0.3)
    colours = np.where(inside[..., None], rng.integers(150, 250, 3) * (1, 0.4, 0.3), rng.integers(30, 160, 3))
    grain = rng.integers(0, 24, (height, width, 1))
    return np.clip(colours + grain, 0, 255).astype(np.uint8)


def folder_of(folder: Path, count: int, side: int) -> list[str]:
    """Photos with longest sides up to `side`, and the options that mark the first of them."""
    for index in range(count):
        path = folder / f"{index // 1000:02}" / f"{index:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = (round(share * side) for share in SHAPES[index % len(SHAPES)])
        path.write_bytes(photos.encode(picture(index, height, width), ".jpg"))
    first = photos.read(folder / "00" / "00000.jpg").pixels.astype(int)
    mask = (first[..., 0] - first[..., 2] > 40).astype(np.float32)
    photos.write_alpha(folder.parent / "mask.png", mask)
    return ["--like", str(folder / "00" / "00000.jpg"), "--mask", str(folder.parent / "mask.png")]


@contextmanager
def room(place: str | None) -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="mattelike-bench-", dir=place) as folder:
        yield Path(folder)


# --- a run seen from outside -------------------------------------------------------------------------


def program(args: Sequence[str]) -> list[str]:
    """The command line as a program of its own."""
    return [sys.executable, "-m", "mattelike", "matte", *args]


def family(process: int) -> list[int]:
    """A process and all it has started, its own and theirs."""
    found = [process]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def held(process: int) -> dict[str, float]:
    """MiB that a run holds now, in all its processes: private and its share of what is shared (PSS)."""
    total: Counter[str] = Counter()
    for each in family(process):
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, rest = line.partition(":")
            if name in ("Rss", "Pss", "Anonymous"):
                total[name] += int(rest.split()[0])
    return {name.lower() + "_mib": round(kib / 1024, 1) for name, kib in total.items()}


def spent(process: int) -> float:
    """Processor seconds of a run so far, in all its processes; other programs do not change them."""
    total = 0
    for each in family(process):
        with suppress(OSError):
            # Behind the name, which may hold spaces: utime and stime, and those of children that have ended.
            numbers = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            total += sum(int(number) for number in numbers[11:15])
    return total / os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Course:
    """When each photo of a run was done, in seconds, by the clock and by the processor."""

    moments: list[float] = field(default_factory=list)
    spent: list[float] = field(default_factory=list)


def watched(args: Sequence[str], early: int, count: int) -> tuple[dict[str, Any], Course]:
    """Runs the program; memory after the first `early` photos and after the last, and when each was done."""
    run = subprocess.Popen([*program(args), "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert run.stdout is not None
    course = Course()
    moments = course.moments
    found: dict[str, Any] = {}
    for line in run.stdout:
        record = json.loads(line)
        if "summary" in record:
            found["summary"] = record["summary"]
            continue
        moments.append(time.monotonic())
        course.spent.append(spent(run.pid))
        if len(moments) in (early, count) or len(moments) % 1000 == 0:
            found[f"after {len(moments)}"] = held(run.pid)
    found["exit_code"] = run.wait()
    return found, course


def rate(moments: Sequence[float]) -> float:
    """Photos a second."""
    return round((len(moments) - 1) / (moments[-1] - moments[0]), 2) if len(moments) > 1 else 0.0


def each(spent: Sequence[float]) -> float:
    """Processor seconds a photo."""
    return round((spent[-1] - spent[0]) / (len(spent) - 1), 4) if len(spent) > 1 else 0.0


# --- what is measured --------------------------------------------------------------------------------


def soak(given: argparse.Namespace) -> None:
    """Memory and speed at the beginning and at the end of a long run; whether the report adds up."""
    count = given.photos or 10_000
    early = min(EARLY, count // 2)
    with room(given.place) as folder:
        marks = folder_of(folder / "in", count, given.side)
        out = folder / "out"
        args = [str(folder / "in"), *marks, "-o", str(out), "-m", given.model, "-j", str(given.workers)]
        found, course = watched(args, early, count)
        report = [json.loads(line) for line in (out / "report.jsonl").read_text().splitlines()]
        summary = found["summary"]
        results = Counter(record["result"] for record in report)
        first, last = found[f"after {early}"], found[f"after {count}"]
        window = max(2, min(1000, count // 4))
        first_photos = slice(early - window // 2, early + window // 2)
        say(
            "soak",
            photos=count,
            workers=given.workers,
            model=given.model,
            memory={name: value for name, value in found.items() if name.startswith("after")},
            growth_percent=round(100 * (last["rss_mib"] / first["rss_mib"] - 1), 2),
            photos_per_second_first=rate(course.moments[first_photos]),
            photos_per_second_last=rate(course.moments[-window:]),
            processor_seconds_each_first=each(course.spent[first_photos]),
            processor_seconds_each_last=each(course.spent[-window:]),
            processor_seconds_each=[
                each(course.spent[start : start + window + 1]) for start in range(0, count, window)
            ],
            seconds=summary["seconds"],
            adds_up=len(report) == count == len({record["source"] for record in report})
            and all(results[name] == summary[name] for name in ("present", "unsure", "absent", "failed"))
            and sum(len(record["outputs"]) for record in report)
            == sum(1 for path in out.glob("*/*.png") if path.parent.name != "_sheet"),
            exit_code=found["exit_code"],
        )


def speed(given: argparse.Namespace) -> None:
    """Files a second over large photos, with 1 and 2 workers, and where the time of a photo goes."""
    count = given.photos or 500
    height = round((given.megapixels * 1e6 * 3 / 4) ** 0.5)
    with room(given.place) as folder:
        few = [
            photos.encode(picture(index, height, height * 4 // 3), ".jpg") for index in range(min(4, count))
        ]
        (folder / "in").mkdir()
        for index in range(count):
            (folder / f"in/{index:04}.jpg").write_bytes(few[index % len(few)])
        marks = ["--like", str(folder / "in/0000.jpg"), "--box", "20%,20%,80%,80%"]
        say("steps", **steps(folder / "in/0000.jpg", folder, given.model))
        for workers in (1, 2):
            out = folder / f"out{workers}"
            args = [str(folder / "in"), *marks, "-o", str(out), "-m", given.model, "-j", str(workers)]
            found, course = watched(args, count, count)
            say(
                "speed",
                photos=count,
                megapixels=given.megapixels,
                workers=workers,
                files_per_second=rate(course.moments),
                processor_seconds_each=each(course.spent),
                seconds=found["summary"]["seconds"],
                memory=found[f"after {count}"],
                exit_code=found["exit_code"],
            )
        say("workers change no byte", same=outputs(folder / "out1") == outputs(folder / "out2"))


def steps(photo: Path, folder: Path, model: str) -> dict[str, float]:
    """Seconds of each step of one photo, one after the other."""
    import mattelike as ml

    predictor = ml.load(model, device="cpu")
    context = predictor.encode(photo, ml.Box("20%", "20%", "80%", "80%"))
    found: dict[str, float] = {}

    def timed(name: str, call: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = call()
        found[name] = round(time.perf_counter() - began, 3)
        return result

    data = photo.read_bytes()
    read = timed("read", lambda: photos.read(data))
    timed("model_without_refining", lambda: predictor.matte(read, context, refine=False))
    matte = timed("model_and_refining", lambda: predictor.matte(read, context))
    timed("foreground", matte.foreground)
    timed("cutout_with_foreground", lambda: matte.save(folder / "step.png"))
    timed("alpha", lambda: matte.save(folder / "step.matte.png", "alpha"))
    return found


def kills(given: argparse.Namespace) -> None:
    """Ends a run at random moments with a signal nobody can catch, looks for half files, and goes on."""
    count = given.photos or 500
    moments = random.Random(0)
    with room(given.place) as folder:
        marks = folder_of(folder / "in", count, given.side)
        common = [str(folder / "in"), *marks, "-m", given.model, "-j", str(given.workers), "--quiet"]
        began = time.monotonic()
        subprocess.run(program([*common, "-o", str(folder / "whole")]), check=True)
        undisturbed = time.monotonic() - began
        begun, halves = [], 0
        for _ in range(given.kills):
            # In a session of its own, so that its workers are killed with it.
            run = subprocess.Popen(program([*common, "-o", str(folder / "out")]), start_new_session=True)
            with suppress(subprocess.TimeoutExpired):
                run.wait(moments.uniform(0.05, 2.0) * undisturbed / given.kills + given.start)
            with suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            halves += half_files(folder / "out")
            begun.append(len(outputs(folder / "out")))
        code = subprocess.run(program([*common, "-o", str(folder / "out")]), check=False).returncode
        say(
            "kills",
            photos=count,
            kills=given.kills,
            files_after_each_kill=begun,
            half_files=halves,
            same_bytes=outputs(folder / "out") == outputs(folder / "whole"),
            same_report=report_of(folder / "out") == report_of(folder / "whole"),
            left_behind=sum(1 for _ in (folder / "out").rglob(".mattelike-*")),
            exit_code=code,
        )


def outputs(out: Path) -> dict[str, str]:
    """Hash of every picture of a run, by path."""
    return {
        str(path.relative_to(out)): hashlib.blake2b(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.suffix in (".png", ".jpg", ".webp") and not path.name.startswith(".")
    }


def report_of(out: Path) -> list[dict[str, Any]]:
    """The report without how long things took; it must be whole wherever it is there at all."""
    path = out / "report.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [{**json.loads(line), "seconds": 0} for line in lines]


def half_files(out: Path) -> int:
    """Pictures, reports and pages under their final name that are not whole."""
    halves = sum(1 for name in outputs(out) if not is_whole(out / name))
    try:
        report_of(out)
    except ValueError:
        halves += 1
    page = out / "index.html"
    return halves + (page.exists() and "</html>" not in page.read_text(encoding="utf-8"))


def is_whole(path: Path) -> bool:
    """Whether a picture can be decoded to its last row."""
    try:
        photos.read(path)
    except PhotoError:
        return False
    return True


def page(given: argparse.Namespace) -> None:
    """How large the page of many photos is, and how long it takes to write."""
    from mattelike.batch.jobs import Outcome
    from mattelike.batch.sheet import page as text_of
    from mattelike.batch.sheet import reviewed
    from mattelike.contexts import Context

    count = given.photos or 5000
    results = ("present", "present", "present", "unsure", "absent")
    outcomes = [
        Outcome(
            f"../in/{index // 1000:02}/{index:05}.jpg",
            f"{index // 1000:02}/{index:05}",
            results[index % len(results)],  # type: ignore[arg-type]
            (f"{index // 1000:02}/{index:05}.png", f"{index // 1000:02}/{index:05}.matte.png"),
            (index * 7 % 100) / 100,
            0.05,
            (4000, 3000),
        )
        for index in range(count)
    ]
    context = Context(np.zeros((1, 1)), np.ones(1), np.zeros(1, np.int16), "none", "")
    began = time.perf_counter()
    text = text_of(reviewed(outcomes), context, Path("out"))
    say(
        "page",
        photos=count,
        megabytes=round(len(text.encode()) / 1e6, 2),
        seconds=round(time.perf_counter() - began, 2),
        loaded_when_seen=text.count('loading="lazy"'),
        from_elsewhere=text.count("http:") + text.count("https:"),
    )


def main() -> None:
    """Reads the options and measures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=sorted(MEASURED))
    parser.add_argument("--photos", type=int, help="How many.")
    parser.add_argument("--side", type=int, default=160, help="Longest side of small photos.")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--model", default="imagenet")
    parser.add_argument("--megapixels", type=float, default=12)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--start", type=float, default=1.0, help="Seconds a program needs to start.")
    parser.add_argument("--place", help="Folder for the photos and what is made of them.")
    given = parser.parse_args()
    MEASURED[given.what](given)


MEASURED = {"soak": soak, "speed": speed, "kills": kills, "page": page}

if __name__ == "__main__":
    main()
