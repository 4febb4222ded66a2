"""Builds the public mini benchmark: composites with exact alpha, from drawn things and the example photos.

python recipes/mini_benchmark.py FOLDER [--large] [--own CUTOUTS]

The small edition has 256-pixel pictures in 11 groups and takes minutes to evaluate; the large one has 640
pixels, 15 groups and about three times as many targets. CUTOUTS is a folder a kind, each with pictures that
have transparency: they become groups beside the others. `mattelike evaluate FOLDER` measures methods on it.
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
    parser.add_argument("--own", type=Path, help="folder of cut-outs, a folder a kind")
    given = parser.parse_args()
    print(build(given.folder, EXAMPLES, LARGE if given.large else SMALL, own=given.own))


if __name__ == "__main__":
    main()
