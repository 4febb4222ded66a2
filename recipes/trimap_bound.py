"""What a trimap for every picture would give: closed form with the true one, where one thing fills it.

    python recipes/trimap_bound.py [--pack PACK]

On the composites of the row ``one`` of the public validation, whose alpha is exact: how hard they are, to
hold against other sets for which the same is known. pymatting (development only), a true trimap as in
``recipes/refiner_validate.py``. Ten minutes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import mean, median

import numpy as np
import pymatting

from mattelike import refinement
from mattelike.training import pack
from mattelike.training.validation import questions
from mattelike.training.validation.drawing import Studio

# Half-width of the band round what is partial in the true trimap.
BAND = 10


def main() -> None:
    """Solves, prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pack", type=Path, default=Path("packs/full"))
    given = parser.parse_args()
    plan = questions.load(Path(__file__).parent / "validation.json")
    studio = Studio(pack.load(given.pack), plan)
    errors = []
    for question in plan.questions:
        if question.row == "one" and (picture := studio.picture(question.target)).soft:
            truth = picture.alpha(question.kind)
            trimap = refinement.trimap(truth, radius=BAND, floor=0.02, ceiling=0.98)
            found = pymatting.estimate_alpha_cf(picture.rgb / 255.0, trimap.astype(np.float64))
            errors.append(float(np.abs(found - truth).sum()) / 1000)
    print(f"{len(errors)} composites: SAD {mean(errors):.2f}, median {median(errors):.2f}")


if __name__ == "__main__":
    main()
