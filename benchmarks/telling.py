"""What the benchmarks share: how a result is told, and how a command's peak memory is read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# The command in a process that says at its end what it held at most.
COMMAND = f"""
import sys
from mattelike.cli import main
try:
    main()
finally:
    sys.path.insert(0, {str(Path(__file__).parent)!r})
    from telling import peak_bytes
    print("peak", peak_bytes(), file=sys.stderr)
"""


def say(what: str, **figures: Any) -> None:
    """One line of results."""
    print(json.dumps({"what": what, **figures}), flush=True)


def peak_bytes() -> int:
    """What this process has held at most. Not ``ru_maxrss``, which begins at the peak of who started it."""
    with Path("/proc/self/status").open() as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def peak_of(job: Sequence[str], threads: int, what: str) -> tuple[int, float]:
    """Runs the command in a process of its own: bytes it held at most, and seconds it took.

    Args:
        job: What would be typed after ``mattelike``.
        threads: Threads it may use.
        what: What it is done on, for the message when it fails.
    """
    start = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, "-c", COMMAND, *job],
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        capture_output=True,
        text=True,
    )
    took = time.perf_counter() - start
    if ran.returncode:
        raise SystemExit(f"the command failed on {what}: {ran.stderr.strip()}")
    return int(ran.stderr.split()[-1]), took
