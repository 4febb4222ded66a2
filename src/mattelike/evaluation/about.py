"""What an evaluation was made with: enough to make it again."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from mattelike import __version__
from mattelike.evaluation.run import Evaluation
from mattelike.metrics import METRICS

PACKAGES = ("numpy", "onnxruntime", "pyvips", "torch", "transformers", "pymatting", "opencv-python-headless")


def described(evaluation: Evaluation, command: Sequence[str]) -> Mapping[str, Any]:
    """Command, versions, benchmark and its hash, protocol with its seed, methods with theirs.

    Args:
        evaluation: What was evaluated.
        command: What was typed.
    """
    bench = evaluation.benchmark
    return {
        "command": " ".join(command),
        "mattelike": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "packages": {name: found for name in PACKAGES if (found := installed(name))},
        "benchmark": {
            "name": bench.name,
            "pictures": len(bench.entries),
            "groups": len(bench.groups()),
            "sha256": evaluation.hashed or bench.fingerprint(),
        },
        "protocol": dict(evaluation.protocol.table()),
        "methods": {name: dict(method.about) for name, method in evaluation.methods.items()},
        "given": {name: method.help for name, method in evaluation.methods.items()},
        "metrics": {name: explained(name) for name in evaluation.metrics},
    }


def explained(metric: str) -> str:
    """Unit and parameters of a metric, in words."""
    row = METRICS[metric]
    still = "no flow: the scene is taken to be at rest" if metric == "messddt" else row.parameters
    return f"{row.unit}; {still}".rstrip("; ")


def installed(package: str) -> str:
    """Version of a package; empty where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
