"""A checkpoint between two others: the mean of their weights, weighted.

    python recipes/mix.py FIRST SECOND OUT [--share 0.3]

The second was trained on from the first: then what lies between them answers as one network, and keeps more
of what the first knew than the second does. Each is a checkpoint or ``average.pt`` of a run; OUT, too, may
end in ``.pt``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mattelike.training import starts


def main() -> None:
    """Reads, mixes, writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--share", type=float, default=0.3, help="of the second")
    given = parser.parse_args()
    recipe, other, step = starts.read(given.second)
    one = starts.fitted(given.first, recipe)
    mixed = starts.between(one.state_dict(), other.state_dict(), given.share)
    starts.write(given.out, recipe, mixed, step)
    print(f"{given.out}: {1 - given.share:g} of {given.first}, {given.share:g} of {given.second}")


if __name__ == "__main__":
    main()
