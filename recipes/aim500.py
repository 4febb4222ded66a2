"""Regroups AIM-500 by kind and takes edited alphas: a benchmark that ``mattelike evaluate`` reads.

python recipes/aim500.py AIM-500 OUT                       writes OUT/groups.csv, to be filled in by a person
python recipes/aim500.py AIM-500 OUT --groups OUT/groups.csv [--alphas EDITED]

The second writes OUT/benchmark.csv. Nothing is copied and nothing is downloaded. The grouping of the paper is
not published: say which one you used, and keep its table with the figures.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mattelike.errors import MattelikeError
from mattelike.evaluation.regrouping import regrouped, template


def main() -> None:
    """Writes one table or the other, and says what is in it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="with original/, mask/, trimap/")
    parser.add_argument("out", type=Path)
    parser.add_argument("--groups", type=Path, help="table name,group")
    parser.add_argument("--alphas", type=Path, help="folder of edited alphas")
    given = parser.parse_args()
    if given.groups is None:
        table = given.out / "groups.csv"
        print(
            f"{table}: {template(given.data, table)} names; fill in their groups, then give it with --groups"
        )
        return
    found = regrouped(given.data, given.groups, given.out / "benchmark.csv", given.alphas)
    print(f"{found.table}: {found.pictures} pictures, {found.edited} of them with an edited alpha")
    if found.alone:
        print(f"left out, alone in their groups: {', '.join(found.alone)}")


if __name__ == "__main__":
    try:
        main()
    except MattelikeError as error:
        sys.exit(f"aim500: {error}")
