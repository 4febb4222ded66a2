"""The edge network in the wheel, on onnxruntime; it serves every model, for it needs no reference.

Its folder holds ``refiner.onnx`` and ``card.json``, written by ``recipes/refiner_export.py`` and never
edited. It runs on the CPU whatever the device of the model before it: tiles are small, and sizes differ.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from mattelike.models.embedded import weights_folder
from mattelike.models.runtime import session
from mattelike.values import Float32

NAME = "refiner"


class EdgeGraph:
    """The edge network as `mattelike.refinement` calls it; safe to call from several threads.

    Args:
        folder: Holds ``refiner.onnx``.
        threads: Threads it may use; None leaves it to the machine.

    Raises:
        ModelNotFoundError: The graph is not there.
        ModelDamagedError: It cannot be read.
    """

    def __init__(self, folder: Path, *, threads: int | None = None) -> None:
        self._session = session(folder / "refiner.onnx", "cpu", threads)

    def __call__(self, seen: Float32) -> tuple[Float32, Float32]:
        """What is seen to alpha and doubt.

        Args:
            seen: float32 ``(1, 5, h, w)``: red, green, blue in [0, 1], guess, unknown; sides multiples of 16.

        Returns:
            Alpha, float32 ``(h, w)``, not yet cut to [0, 1]; and how likely the guess is off by more than a
            tenth, float32 ``(h / 4, w / 4)`` in [0, 1].
        """
        alpha, doubt = self._session.run(["alpha", "doubt"], {"seen": seen})
        return alpha[0, 0], doubt[0, 0]


@cache
def edge_network(threads: int | None = None) -> EdgeGraph:
    """The network of the wheel, opened once for each number of threads.

    Raises:
        ModelNotFoundError: It is not there.
        ModelDamagedError: It cannot be read.
    """
    return EdgeGraph(weights_folder(NAME), threads=threads)
