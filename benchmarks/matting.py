"""What the main job costs: seconds, start-up, memory, and the share of what this machine can do.

    python benchmarks/matting.py [--model embedded] [--threads 2] [--repeats 5] [--megapixels 1 12 50]
                                 [--against isnet.onnx]

Prints one JSON object a line; the first describes the machine. Photos are the examples, enlarged. The base
install is enough; the share of the matmul rate needs onnx (extra ``train``) and is left out without it. With
``--against`` an automatic remover of IS-Net's shape (`benchmarks/isnet.py` makes one) takes turns with us.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from telling import peak_of, say

import mattelike as ml
from mattelike import models, photos
from mattelike.baselines.remover import Remover

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "examples" / "photos" / "chow" / "01.jpg"
TARGET = ROOT / "examples" / "photos" / "chow" / "02.jpg"
MASK = ROOT / "examples" / "marks" / "chow.png"
MEMORY_BASE = 0.6 * 2**30
MEMORY_PER_PIXEL = 24


def seconds(call: Callable[[], object], repeats: int) -> list[float]:
    """Wall-clock seconds of each call, after one that does not count."""
    call()
    return [one for _ in range(repeats) for one in timed(call)]


def timed(call: Callable[[], object]) -> list[float]:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    call()
    return [time.perf_counter() - start]


def summary(found: Sequence[float]) -> dict[str, float]:
    """Median and best."""
    return {"median_s": round(statistics.median(found), 4), "best_s": round(min(found), 4)}


def enlarged(path: Path, width: int, height: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A photo at another size, by repeating pixels, with a little noise so that no decoder has it easy."""
    pixels = ml.read_image(path).pixels
    rows = np.arange(height) * pixels.shape[0] // height
    columns = np.arange(width) * pixels.shape[1] // width
    large = pixels[rows][:, columns].astype(np.int16)
    noise = np.random.default_rng(0).integers(-4, 5, size=(height, width, 1), dtype=np.int16)
    noisy: np.ndarray[Any, np.dtype[np.uint8]] = np.clip(large + noise, 0, 255).astype(np.uint8)
    return noisy


def matmul_rate(repeats: int) -> float:
    """Floating-point operations a second of a large float32 matmul, best of several."""
    side = 2048
    a = np.random.default_rng(0).standard_normal((side, side), dtype=np.float32)
    return 2 * side**3 / min(seconds(lambda: a @ a, repeats))


def graph_operations(path: Path, inputs: dict[str, tuple[int, ...]]) -> int:
    """Floating-point operations of the convolutions and matmuls of a graph at given input sizes."""
    import onnx

    model = onnx.load(path)
    for value in model.graph.input:
        for dim, size in zip(value.type.tensor_type.shape.dim, inputs.get(value.name, ()), strict=False):
            dim.dim_value = size
    del model.graph.value_info[:]
    known = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*known.value_info, *known.input, *known.output)
    }
    shapes |= {tensor.name: list(tensor.dims) for tensor in known.initializer}
    total = 0
    for node in known.node:
        out = shapes.get(node.output[0], [])
        if node.op_type == "Conv":
            total += 2 * int(np.prod(out)) * int(np.prod(shapes[node.input[1]][1:]))
        elif node.op_type in ("MatMul", "Gemm"):
            total += 2 * int(np.prod(out)) * int(shapes[node.input[0]][-1])
    return total


def speed(model: str, threads: int, repeats: int) -> None:
    """A 1024-pixel target with the reference cached, and with the reference looked at each time."""
    predictor = ml.load(model, device="cpu", threads=threads)
    target = enlarged(TARGET, 1024, 1024)
    mark = ml.Mask(MASK)
    context = predictor.encode(REFERENCE, mark)
    cached = seconds(lambda: predictor.matte(target, context).alpha, repeats)
    say("1024-pixel target, reference cached", **summary(cached))
    again = seconds(lambda: predictor.matte(target, predictor.encode(REFERENCE, mark)).alpha, repeats)
    say("1024-pixel target, reference looked at each time", **summary(again))
    with tempfile.TemporaryDirectory() as folder:
        matte = predictor.matte(target, context)
        written = seconds(lambda: matte.save(Path(folder) / "x.png"), repeats)
    say("cut-out of a 1024-pixel target: colours and PNG", **summary(written))
    shares(predictor, threads, repeats)


def race(model: str, file: Path, threads: int) -> None:
    """Eight photos of 1024 pixels, from array to alpha, by turns: the remover, then we."""
    predictor = ml.load(model, device="cpu", threads=threads)
    context = predictor.encode(REFERENCE, ml.Mask(MASK))
    remover = Remover(file, "isnet", stretch=False, device="cpu", threads=threads)
    paths = [path for path in sorted(REFERENCE.parents[1].glob("*/*.jpg")) if path != REFERENCE][:8]
    targets = [photos.read(enlarged(path, 1024, 1024)) for path in paths]
    predictor.matte(targets[0], context)
    remover.matte(targets[0], None)
    theirs: list[float] = []
    ours: list[float] = []
    for target in targets:
        theirs += timed(partial(remover.matte, target, None))
        ours += timed(partial(predictor.matte, target, context))
    say("1024-pixel photo, the remover", **summary(theirs))
    say(
        "1024-pixel target, reference cached, beside the remover",
        **summary(ours),
        ratio=round(statistics.median(theirs) / statistics.median(ours), 2),
    )


def shares(predictor: ml.Predictor, threads: int, repeats: int) -> None:
    """Time in the networks alone, and what part of the matmul rate that is."""
    card = predictor.card
    side = card.target_side // predictor.model.multiple * predictor.model.multiple
    images = np.zeros((1, 3, side, side), np.float32)
    found = seconds(lambda: predictor.model.features(images, "target"), repeats)
    say(f"features of {side} x {side}", **summary(found))
    folder = ROOT / "src" / "mattelike" / "models" / "weights" / card.name
    if find_spec("onnx") is None or not (folder / "features.onnx").exists():
        return
    operations = graph_operations(folder / "features.onnx", {"images": images.shape})
    rate = matmul_rate(repeats)
    say(
        f"share of the matmul rate, features of {side} x {side}",
        gflop=round(operations / 1e9, 2),
        matmul_gflop_per_s=round(rate / 1e9, 1),
        share=round(operations / min(found) / rate, 3),
    )


def start_up(model: str, threads: int, repeats: int) -> None:
    """The whole command on one photo, and on none (``--help``)."""
    command = [sys.executable, "-m", "mattelike"]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}

    def run(*arguments: str) -> None:
        subprocess.run([*command, *arguments], check=True, capture_output=True, env=environment)

    say("mattelike --help", **summary(seconds(lambda: run("--help"), repeats)))
    with tempfile.TemporaryDirectory() as folder:
        job = ["matte", str(TARGET), "--like", str(REFERENCE), "--mask", str(MASK), "--model", model]
        found = seconds(lambda: run(*job, "-o", folder, "--overwrite"), repeats)
    say("mattelike matte, one 512-pixel photo, all of it", **summary(found))


def peak(model: str, threads: int, megapixels: float) -> None:
    """The whole command on one large photo: what the process holds at most, and how long it takes."""
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    width = round(megapixels * 1e6 / height)
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "large.jpg"
        photo.write_bytes(photos.encode(enlarged(TARGET, width, height), ".jpg"))
        job = ["matte", str(photo), "--like", str(REFERENCE), "--mask", str(MASK), "--model", model]
        whole = [*job, "-o", str(Path(folder) / "out")]
        found, took = peak_of(whole, threads, f"{megapixels:g} megapixels")
    allowed = MEMORY_BASE + MEMORY_PER_PIXEL * width * height
    say(
        f"peak memory, whole command, {megapixels:g} megapixels",
        gib=round(found / 2**30, 3),
        allowed_gib=round(allowed / 2**30, 3),
        within=found <= allowed,
        seconds=round(took, 2),
    )


def machine(threads: int) -> None:
    """Where the numbers come from."""
    say(
        "machine",
        cpus=os.cpu_count(),
        threads=threads,
        load=[round(value, 1) for value in os.getloadavg()],
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        onnxruntime=version("onnxruntime"),
        numpy=version("numpy"),
    )


def main() -> None:
    """Everything, one line a figure."""
    parser = argparse.ArgumentParser(description="What the main job costs.")
    parser.add_argument("--model", default="embedded", choices=sorted(models.MODELS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--against", type=Path, metavar="ONNX", help="a remover of IS-Net's shape")
    parser.add_argument("--megapixels", type=float, nargs="*", default=[1, 12, 50])
    given = parser.parse_args()
    machine(given.threads)
    if given.against is not None:
        race(given.model, given.against, given.threads)
    speed(given.model, given.threads, given.repeats)
    start_up(given.model, given.threads, min(given.repeats, 3))
    for size in given.megapixels:
        peak(given.model, given.threads, size)


if __name__ == "__main__":
    main()
