"""Whether photos through actors of Ray can be trusted, and what two actors gain, as JSON lines.

    python benchmarks/cluster.py [--photos 2000] [--side 320] [--model embedded]

The same photos go through the command three times: by the local engine, by one actor of one thread, and by
two, one of which is killed when a third of the photos is done. Every photo must be reported once, and every
file must be, byte by byte, that of the local engine. Seconds are those between the first photo and the last.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from telling import say

from batch import family, outputs, picture, program, rate, room
from mattelike import photos


def made(folder: Path, count: int, side: int) -> list[str]:
    """Photos of one size, and the options that mark the first of them."""
    folder.mkdir(parents=True)
    for index in range(count):
        (folder / f"{index:05}.jpg").write_bytes(photos.encode(picture(index, side * 3 // 4, side), ".jpg"))
    first = photos.read(folder / "00000.jpg").pixels.astype(int)
    mask = folder.parent / "mask.png"
    photos.write_alpha(mask, (first[..., 0] - first[..., 2] > 40).astype(np.float32))
    return ["--like", str(folder / "00000.jpg"), "--mask", str(mask)]


def actors(process: int) -> list[int]:
    """Processes below one that are actors at work on photos."""
    found = []
    for each in family(process):
        with suppress(OSError):
            title = Path(f"/proc/{each}/cmdline").read_bytes().decode(errors="replace")
            if title.startswith("ray::") and "Map" in title:
                found.append(each)
    return found


def through(args: Sequence[str], kill_at: int = 0) -> dict[str, Any]:
    """Runs the command; kills an actor when so many photos are done.

    Returns:
        How often each photo was reported, photos a second, the exit code, whether an actor was killed, and
        what the command said last where it did not end well.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        run = subprocess.Popen(
            [*program(args), "--json", "--no-sheet"],
            stdout=subprocess.PIPE,
            stderr=said,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        found = followed(run, kill_at)
        said.seek(0)
        return found | {"said": said.read()[-500:] if found["exit_code"] else ""}


def followed(run: subprocess.Popen[bytes], kill_at: int) -> dict[str, Any]:
    """Hears a run to its end; kills one of its actors on the way."""
    assert run.stdout is not None
    told: Counter[str] = Counter()
    moments: list[float] = []
    killed = 0
    for line in run.stdout:
        record = json.loads(line)
        if "summary" in record:
            continue
        told[record["source"]] += record["result"] != "failed"
        moments.append(time.monotonic())
        if kill_at and not killed and len(moments) >= kill_at:
            for killed in actors(run.pid)[:1]:
                os.kill(killed, signal.SIGKILL)
    return {"told": told, "rate": rate(moments), "exit_code": run.wait(), "killed": bool(killed)}


def main() -> None:
    """The three runs, and what they say of each other."""
    parser = argparse.ArgumentParser(description="Whether photos through actors of Ray can be trusted.")
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--side", type=int, default=320, help="Longest side of a photo.")
    parser.add_argument("--model", default="embedded")
    given = parser.parse_args()
    load = [round(value, 1) for value in os.getloadavg()]
    say("machine", cpus=os.cpu_count(), load=load, ray=version("ray"))
    with room(None) as folder:
        marks = made(folder / "in", given.photos, given.side)
        common = [str(folder / "in"), *marks, "-m", given.model, "--threads", "1"]
        ways = {
            "local": ["-j", "1"],
            "ray, 1 actor": ["-j", "1", "--engine", "ray"],
            "ray, 2 actors, one killed": ["-j", "2", "--engine", "ray"],
        }
        files: dict[str, dict[str, str]] = {}
        rates: dict[str, float] = {}
        for name, args in ways.items():
            out = folder / name
            found = through([*common, *args, "-o", str(out)], given.photos // 3 if "killed" in name else 0)
            files[name], rates[name] = outputs(out), found["rate"]
            once = len(found["told"]) == given.photos and set(found["told"].values()) == {1}
            say(
                name,
                photos=given.photos,
                every_photo_once=once,
                same_bytes=files[name] == files["local"] and len(files[name]) == 2 * given.photos,
                photos_per_second=found["rate"],
                killed=found["killed"],
                exit_code=found["exit_code"],
                **({"said": found["said"]} if found["said"] else {}),
            )
        one, two = rates["ray, 1 actor"], rates["ray, 2 actors, one killed"]
        say("gain of two actors, one of them killed", ratio=round(two / one, 2) if one else 0.0, wanted=1.6)


if __name__ == "__main__":
    main()
