"""Looks at an installation: versions, devices, models, folders, and what does not fit together."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import mattelike
from mattelike.cli.installed import check, installed
from mattelike.errors import MattelikeError
from mattelike.models import MODELS
from mattelike.models.pulled import home

_NEEDED = ("numpy", "onnxruntime", "pyvips", "click", "safetensors", "array-api-compat")
_EXTRAS = (
    "onnxruntime-gpu",
    "torch",
    "transformers",
    "diffusers",
    "av",
    "pillow",
    "pillow-heif",
    "ray",
    "s3fs",
)
_VARIABLES = (
    *("MATTELIKE_HOME", "MATTELIKE_OFFLINE", "MATTELIKE_MAX_PIXELS"),
    *("MATTELIKE_WORKERS", "MATTELIKE_TIMEOUT", "MATTELIKE_DEBUG"),
    *("HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "OMP_NUM_THREADS", "XDG_CACHE_HOME"),
)


def checkup() -> dict[str, Any]:
    """Everything that is worth knowing, by section; ``wrong`` lists what needs doing."""
    wrong: list[str] = []
    found = {
        "versions": _versions(wrong),
        "device": _device(wrong),
        "models": _models(wrong),
        "folders": _folders(),
        "variables": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
        "wrong": wrong,
    }
    return found


def _versions(wrong: list[str]) -> dict[str, str]:
    found = {
        "mattelike": mattelike.__version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": platform.platform(),
    }
    for name in _NEEDED:
        found[name] = _version(name) or "missing"
    found |= {name: known for name in _EXTRAS if (known := _version(name))}
    # onnxruntime-gpu brings the same module: whichever of the two was installed last is the one in use.
    if not _version("onnxruntime") and not _version("onnxruntime-gpu"):
        wrong.append("onnxruntime is missing: pip install onnxruntime")
    if _version("onnxruntime") and _version("onnxruntime-gpu"):
        wrong.append(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other: "
            "pip uninstall onnxruntime onnxruntime-gpu, then pip install onnxruntime-gpu"
        )
    try:
        import pyvips

        found["libvips"] = ".".join(str(pyvips.version(part)) for part in range(3))
    except Exception as error:  # noqa: BLE001 - a library that cannot be loaded is what is looked for
        wrong.append(f"libvips cannot be loaded ({error}): pip install 'pyvips[binary]'")
    return found


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _device(wrong: list[str]) -> dict[str, str]:
    """The device a model really runs on, by loading one."""
    try:
        import onnxruntime

        from mattelike.models import runtime
        from mattelike.predictor import load

        available = onnxruntime.get_available_providers()
        found = {
            "providers": ", ".join(available),
            "cores": f"{runtime.quota()} usable, {os.cpu_count()} in the machine",
            "threads": str(runtime.thread_count(None)),
        }
        predictor = load()
        found["in use"] = f"{predictor.device} (model {predictor.card.name})"
    except MattelikeError as error:
        wrong.append(str(error))
        return {}
    if _version("onnxruntime-gpu") and predictor.device == "cpu":
        wrong.append("onnxruntime-gpu is installed but no GPU is used: check driver and CUDA version")
    return found


def _models(wrong: list[str]) -> dict[str, str]:
    found = {}
    for name in MODELS:
        model = installed(name)
        problem = check(name) if model.folder is not None else ""
        found[name] = problem or model.state
        if problem:
            wrong.append(problem)
    return found


def _folders() -> dict[str, str]:
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return {
        "package": str(Path(mattelike.__file__).parent),
        "home": str(home()),
        "hub": os.environ.get("HF_HUB_CACHE")
        or str(Path(os.environ.get("HF_HOME") or f"{cache}/huggingface") / "hub"),
        "here": str(Path.cwd()),
    }
