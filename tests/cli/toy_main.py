"""The command line with the toy model, as a program: ``python -m tests.cli.toy_main``.

``TOY_SECONDS`` makes every matte take that long, so that a run can be interrupted in its midst;
``TOY_LOADING`` does the same for loading the model.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from mattelike import predictor
from mattelike.cli import main
from mattelike.predictor import Predictor
from tests.toy_model import toy


class Slow(Predictor):
    def matte(self, photo, context, *, refine=True):  # type: ignore[no-untyped-def,override]
        time.sleep(float(os.environ["TOY_SECONDS"]))
        return super().matte(photo, context, refine=refine)


def load(model: str = "toy", **options: object) -> Predictor:
    if os.environ.get("TOY_LOADING"):
        Path("loading").touch()
        time.sleep(float(os.environ["TOY_LOADING"]))
    return Slow(toy().model) if os.environ.get("TOY_SECONDS") else toy()


# Workers import this file under the second name.
if __name__ in ("__main__", "__mp_main__"):
    predictor.load = load  # type: ignore[assignment]
if __name__ == "__main__":
    main()
