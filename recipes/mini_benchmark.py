"""Builds the public mini benchmark: composites with exact alpha, from drawn things and the example photos.

python recipes/mini_benchmark.py FOLDER [--large]

The small edition has 256-pixel pictures and takes a minute to evaluate; the large one has 640 pixels and
about three times as many. `mattelike evaluate FOLDER/benchmark.csv` measures methods on it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mattelike.evaluation.mini.building import LARGE, SMALL, build

EXAMPLES = Path(__file__).parent.parent / "examples"


def main() -> None:
    """Builds, and says where it is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--large", action="store_true", help="640 pixels, more of everything")
    arguments = parser.parse_args()
    print(build(arguments.folder, EXAMPLES, LARGE if arguments.large else SMALL))


if __name__ == "__main__":
    main()
