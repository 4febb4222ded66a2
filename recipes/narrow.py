"""A trained network with a narrower decoder, to go on training from.

    python recipes/narrow.py CHECKPOINT OUT --decoder 48 32 16 [--pack PACK] [--batches 6]

See `mattelike.training.narrowing`. The result is a start, not a model: some hundred steps of training have to
follow.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from mattelike.training import narrowing, pack, starts
from mattelike.training.episodes import Episodes, library
from mattelike.training.loop import build


def parsed() -> argparse.Namespace:
    """What was typed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--decoder", type=int, nargs=3, required=True, metavar="CHANNELS")
    parser.add_argument("--pack", type=Path, default=Path("packs/full"))
    parser.add_argument("--batches", type=int, default=6, help="batches to see the channels at work in")
    return parser.parse_args()


def main() -> None:
    """Reads, narrows, writes."""
    arguments = parsed()
    recipe, wide, step = starts.read(arguments.checkpoint)
    opened = pack.load(arguments.pack)
    episodes = Episodes(library(opened, recipe.episodes.clean), recipe.episodes, arguments.batches)
    small = replace(recipe, decoder=tuple(arguments.decoder))
    narrow = build(small)
    narrowing.narrowed(wide, narrow, narrowing.moments(wide, episodes))
    starts.write(arguments.out, small, narrow.state_dict(), step)
    print(f"{arguments.out}: decoder {small.decoder}, was {recipe.decoder}")


if __name__ == "__main__":
    main()
