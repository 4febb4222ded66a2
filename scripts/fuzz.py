"""Feeds damaged files to the readers of photos and contexts, and keeps what they do not take well.

    python scripts/fuzz.py [--minutes 60] [--corpus fuzz/corpus] [--found fuzz/found] [--plain]

A file may be read, or refused with an error of `mattelike.errors`; anything else is a finding: another
exception, a crash, more than 10 seconds, more than 1 GiB. Findings are written to the
folder ``--found``; copy each to ``tests/corpus`` when it is mended, where the tests read it for ever.

With atheris (``pip install atheris``) the inputs are led by coverage of the Python code; without it, or with
``--plain``, files of the corpus are damaged at random.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SEEDS = ROOT / "tests" / "corpus"
LARGEST = 1 << 16  # bytes of an input
PIXELS = 1 << 20  # beyond which a photo is refused from its header
SECONDS, MIB = 10, 1024
# A machine that is busy with other things takes longer; what hangs without computing is ended all the same.
PATIENCE = 12


def attempt(data: bytes) -> None:
    """Reads the bytes as a photo, in every way, frames and all, and as a context."""
    from mattelike import photos
    from mattelike.contexts import Context

    for content in {data, with_sums(data)}:
        head = taken(lambda content=content: photos.header(content))
        taken(lambda content=content: photos.read(content, max_pixels=PIXELS))
        taken(lambda content=content: photos.read(content, max_pixels=PIXELS, allow_truncated=True))
        # The second, and the last, for which all before it are laid over one another.
        for number in {1, max(head.pages, 2) - 1} if head else ():
            taken(lambda content=content, n=number: photos.read(content, max_pixels=PIXELS, frame=n))
        taken(lambda content=content: Context.from_bytes(content))


def taken(call: Callable[[], Any]) -> Any:
    """What a reader gives; None if it refuses, in one line."""
    from mattelike.errors import MattelikeError

    try:
        return call()
    except MattelikeError as error:
        if "\n" in str(error):
            raise AssertionError(f"an error of several lines: {error}") from error
    return None


def with_sums(data: bytes) -> bytes:
    """A PNG with its checksums put right, so that what was changed in it is looked at; others as they are."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    result, place = bytearray(data), 8
    while place + 12 <= len(result):
        length = int.from_bytes(result[place : place + 4], "big")
        end = place + 8 + length
        if end + 4 > len(result):
            break
        result[end : end + 4] = zlib.crc32(result[place + 4 : end]).to_bytes(4, "big")
        place = end + 4
    return bytes(result)


# --- damaged at random -------------------------------------------------------------------------------


def damaged(seeds: list[bytes], rng: random.Random) -> bytes:
    """One of the seeds, changed in a few places."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        place = rng.randrange(len(data) + 1)
        how = rng.randrange(7)
        if how == 0 and data:
            data[place % len(data)] ^= 1 << rng.randrange(8)
        elif how == 1 and data:
            data[place % len(data)] = rng.choice((0, 1, 127, 128, 255))
        elif how == 2:
            width = rng.choice((2, 4, 8))
            number = rng.choice((0, 1, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63))
            order = rng.choice(("big", "little"))
            data[place : place + width] = (number % 256**width).to_bytes(width, order)  # type: ignore[arg-type]
        elif how == 3:
            del data[place : place + rng.choice((1, 4, 64, 1 << 20))]
        elif how == 4:
            data[place:place] = rng.randbytes(rng.choice((1, 4, 64)))
        elif how == 5:
            other = rng.choice(seeds)
            start = rng.randrange(len(other) + 1)
            data[place : place + rng.choice((8, 64, 512))] = other[start : start + rng.choice((8, 64, 512))]
        else:
            data[place:place] = data[place : place + rng.choice((4, 12, 64))]
    return bytes(data[:LARGEST])


def plain(minutes: float, corpus: Path, found: Path) -> int:
    """Damages files until time is up, in a process that may die; gives how many findings there were."""
    end, count, seed = time.monotonic() + 60 * minutes, 0, random.randrange(1 << 30)
    current = found / ".current"
    while time.monotonic() < end:
        seed += 1
        left = end - time.monotonic()
        worker = [sys.executable, __file__, "--work", str(seed), "--minutes", str(left / 60)]
        done = subprocess.run([*worker, "--corpus", str(corpus), "--found", str(found)], check=False)
        if done.returncode:
            kept = found / f"crash-{seed}-{done.returncode}"
            current.replace(kept)
            count += 1
            print(f"found: {kept}", flush=True)
    return count


def work(seed: int, minutes: float, corpus: Path, found: Path) -> None:
    """Damages and reads, one file after the other; the one at hand lies in ``.current``."""
    rng = random.Random(seed)
    seeds = [path.read_bytes() for path in sorted(corpus.iterdir())]
    current, tries = found / ".current", 0
    began = time.monotonic()
    # Python's own handlers do not wake what waits in a C library; by default these signals end the process.
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, signal.SIG_DFL)
    while time.monotonic() - began < 60 * minutes:
        data = damaged(seeds, rng)
        current.write_bytes(data)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.alarm(SECONDS * PATIENCE)
        attempt(data)
        tries += 1
        if tries % 200 == 0:
            held = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() >> 20
            if held > MIB:
                raise MemoryError(f"{held} MiB are held")
        if tries % 2000 == 0:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
            print(f"{tries} files, peak {peak} MiB, {time.monotonic() - began:.0f} s", flush=True)
            if peak > MIB:
                raise MemoryError(f"{peak} MiB were held")
    signal.alarm(0)
    signal.setitimer(signal.ITIMER_PROF, 0)
    current.unlink(missing_ok=True)


# --- led by coverage ---------------------------------------------------------------------------------


def guided(minutes: float, corpus: Path, found: Path) -> None:
    """Gives the process to libFuzzer, which ends it."""
    import atheris

    with atheris.instrument_imports(include=["mattelike"]):
        import mattelike.contexts
        import mattelike.photos  # noqa: F401

    options = [
        f"-max_total_time={round(60 * minutes)}",
        f"-timeout={SECONDS * PATIENCE}",
        f"-rss_limit_mb={MIB}",
    ]
    options += [f"-max_len={LARGEST}", f"-artifact_prefix={found}{os.sep}", "-print_final_stats=1"]
    one: Callable[[bytes], None] = attempt
    atheris.Setup([sys.argv[0], *options, str(corpus), str(SEEDS)], one)
    atheris.Fuzz()


def main() -> int:
    """Reads the options; 0 if nothing was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--corpus", type=Path, help="Inputs that led somewhere new are kept here.")
    parser.add_argument("--found", type=Path, default=Path("fuzz/found"))
    parser.add_argument("--plain", action="store_true", help="Do without atheris.")
    parser.add_argument("--work", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.found.mkdir(parents=True, exist_ok=True)
    if given.work is not None:
        work(given.work, given.minutes, given.corpus or SEEDS, given.found)
        return 0
    try:
        if given.plain:
            raise ImportError
        import atheris  # noqa: F401
    except ImportError:
        return 1 if plain(given.minutes, given.corpus or SEEDS, given.found) else 0
    corpus = given.corpus or Path("fuzz/corpus")
    corpus.mkdir(parents=True, exist_ok=True)
    guided(given.minutes, corpus, given.found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
