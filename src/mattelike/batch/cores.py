"""How many workers a machine can feed: cores that may be used, and memory that is free."""

from __future__ import annotations

from pathlib import Path

from mattelike.models.runtime import quota

# What one worker takes for photos of up to 50 megapixels.
MEMORY_OF_ONE = 1_300_000_000
# Photos that make up for the second it takes to start a worker.
WORTH_IT = 2


def workers_for(photos: int, device: str) -> int:
    """Workers to start where nobody said how many.

    One a core: between the model's runs a photo keeps one core busy, and Python lets threads of one process
    take turns there. A GPU is shared badly, so it gets one.

    Args:
        photos: How many there are to do.
        device: The device in use.
    """
    if device != "cpu":
        return 1
    return max(1, min(quota(), photos // WORTH_IT, free_memory() // MEMORY_OF_ONE))


def free_memory(meminfo: Path = Path("/proc/meminfo"), group: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes that can be taken without swapping, by machine and container; plenty where nobody knows."""
    free = 1 << 50
    try:
        for line in meminfo.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                free = int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        limit = (group / "memory.max").read_text(encoding="ascii").strip()
        used = int((group / "memory.current").read_text(encoding="ascii"))
        if limit != "max":
            free = min(free, max(0, int(limit) - used))
    except (OSError, ValueError):
        pass
    return free
