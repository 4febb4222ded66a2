"""A trained network that hears more of its backbone, to go on training from.

    python recipes/widen.py CHECKPOINT OUT --stages 4 5 6

See `mattelike.training.widening`. The result answers as the checkpoint does until it is trained on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mattelike.training import starts, widening
from mattelike.training.loop import build


def parsed() -> argparse.Namespace:
    """What was typed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--stages", type=int, nargs="+", required=True, metavar="STAGE")
    return parser.parse_args()


def main() -> None:
    """Reads, widens, writes."""
    arguments = parsed()
    recipe, model, step = starts.read(arguments.checkpoint)
    wider = widening.wider(recipe, tuple(arguments.stages))
    wide = build(wider)
    widening.widened(model, wide)
    starts.write(arguments.out, wider, wide.state_dict(), step)
    print(f"{arguments.out}: stages {wider.encoder.kinds_stages}, were {recipe.encoder.kinds_stages}")


if __name__ == "__main__":
    main()
