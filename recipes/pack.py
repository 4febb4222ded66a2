"""Builds a training pack from a data folder; where asked for, with pseudo-labels of photos nobody has marked.

python recipes/pack.py DATA OUT [--labels recipes/labels]
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from mattelike.training import inventory


def main() -> None:
    """Writes the pack and prints what is in it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with one folder a data set")
    parser.add_argument("out", type=Path, help="folder for pack.bin and pack.json")
    parser.add_argument("--labels", type=Path, help="folder with pseudo-labels, such as recipes/labels")
    arguments = parser.parse_args()
    built = inventory.build(arguments.data, arguments.out, arguments.labels)
    counts = Counter((place.item.source, place.item.split) for place in built.places)
    for (source, split), count in sorted(counts.items()):
        print(f"{source:20} {split:10} {count:5}")
    print(f"{len(built.places)} items, {built.pixels.size / 2**20:.0f} MiB, {built.sha256[:12]}")


if __name__ == "__main__":
    main()
