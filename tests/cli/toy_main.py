"""The command line with the toy model, as a program: ``python -m tests.cli.toy_main``.

``TOY_SECONDS`` makes every matte take that long, so that a run can be interrupted in its midst;
``TOY_LOADING`` does the same for loading the model. ``TOY_DEATHS`` names a folder: as many actors of Ray as
it has files kill themselves in mid-photo, one for each file, which they remove.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from mattelike import predictor
from mattelike.cli import main, options
from mattelike.predictor import Predictor
from tests.toy_model import toy


class Slow(Predictor):
    def matte(self, photo, context, *, refine=True):  # type: ignore[no-untyped-def,override]
        time.sleep(float(os.environ["TOY_SECONDS"]))
        return super().matte(photo, context, refine=refine)


class Deadly(Predictor):
    def matte(self, photo, context, *, refine=True):  # type: ignore[no-untyped-def,override]
        for file in Path(os.environ["TOY_DEATHS"]).iterdir():
            with suppress(FileNotFoundError):  # another actor was faster
                file.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
        return super().matte(photo, context, refine=refine)


def load(model: str = "toy", **options: object) -> Predictor:
    if os.environ.get("TOY_LOADING"):
        Path("loading").touch()
        time.sleep(float(os.environ["TOY_LOADING"]))
    if os.environ.get("TOY_DEATHS"):
        return Deadly(toy().model)
    return Slow(toy().model) if os.environ.get("TOY_SECONDS") else toy()


def chosen(name: str | None, options: tuple[str, ...], device: str, threads: int | None) -> Predictor:
    """In place of `options.load`; actors of Ray import this file under its own name."""
    return load()


# Workers import this file under the second name.
if __name__ in ("__main__", "__mp_main__"):
    predictor.load = load  # type: ignore[assignment]
if __name__ == "__main__":
    from tests.cli import toy_main

    options.load = toy_main.chosen
    main()
