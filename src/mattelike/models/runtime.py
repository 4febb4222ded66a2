"""onnxruntime, opened in one place: providers, threads, and what is really in use."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import onnxruntime as ort

from mattelike.errors import DeviceError, ModelDamagedError, ModelNotFoundError

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}


def chosen_providers(device: str) -> list[str]:
    """Providers to ask for, best first.

    Args:
        device: ``auto`` takes a GPU where there is one; any other name is that or an error.

    Raises:
        DeviceError: Unknown, or not among what this onnxruntime was built with.
    """
    available = ort.get_available_providers()
    if device == "auto":
        order = [name for key in ("cuda", "coreml", "cpu") if (name := PROVIDERS[key]) in available]
        return order or [PROVIDERS["cpu"]]
    if device not in PROVIDERS:
        raise DeviceError(f"no device named {device!r} here; there are: auto, {', '.join(PROVIDERS)}")
    if PROVIDERS[device] not in available:
        hint = "; pip install 'mattelike[gpu]'" if device == "cuda" else ""
        raise DeviceError(f"the device {device!r} is not available to this onnxruntime{hint}")
    return [PROVIDERS[device]] if device == "cpu" else [PROVIDERS[device], PROVIDERS["cpu"]]


def device_in_use(session: Any) -> str:
    """The name of the device a session really runs on."""
    first = session.get_providers()[0]
    return next((name for name, provider in PROVIDERS.items() if provider == first), first)


def quota() -> int:
    """Cores this process may use: affinity, and the container's quota where one is set."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = Path("/sys/fs/cgroup/cpu.max")
    try:
        allowed, period = limit.read_text().split()
        if allowed != "max":
            cores = min(cores, max(1, round(int(allowed) / int(period))))
    except (OSError, ValueError):
        pass
    return cores


def thread_count(threads: int | None) -> int:
    """Threads to use: what was asked for, else ``OMP_NUM_THREADS``, else every core we may use."""
    if threads:
        return threads
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdigit() and int(wanted) > 0 else quota()


def file_hash(*paths: Path) -> str:
    """SHA-256 over the content of files, in order."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def session(path: Path, device: str, threads: int | None) -> Any:
    """Opens one graph.

    Raises:
        ModelNotFoundError: The file is not there.
        ModelDamagedError: onnxruntime cannot read it.
        DeviceError: The device is not there, or was asked for and fell back to another.
    """
    if not path.is_file():
        raise ModelNotFoundError(f"{path}: the model file is missing; reinstall mattelike")
    options = ort.SessionOptions()
    options.intra_op_num_threads = thread_count(threads)
    options.inter_op_num_threads = 1
    # Sizes differ from photo to photo: planned memory would be kept for each of them.
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    # Threads that spin in wait for more work take the core from the next graph: a target needs three graphs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = chosen_providers(device)
    try:
        opened = ort.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # onnxruntime raises kinds of its own
        raise ModelDamagedError(f"{path}: onnxruntime cannot open it ({error})") from error
    if device not in ("auto", device_in_use(opened)):
        raise DeviceError(
            f"asked for the device {device!r} but onnxruntime fell back to {device_in_use(opened)!r}; "
            "check its driver, or use --device auto"
        )
    return opened
