"""What refining edges costs at 1, 12 and 50 megapixels: seconds of the processor, and memory.

    python benchmarks/edges.py [--threads 1] [--megapixels 1 12 50] [--ways closed-form learned]

One line of JSON a way and size, each measured in a process of its own: processor seconds of all cores
together, wall-clock seconds, and the most memory the process held, photo and model included. The photo is
a furry example photo enlarged; the coarse alpha is what the shipped model says of it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image
from telling import peak_bytes, say

import mattelike as ml
from mattelike.refinement import refine

CHOW = Path(__file__).parent.parent / "examples" / "photos" / "chow"
BOX = ml.Box(42, 66, 484, 452)


def one(way: str, megapixels: float, threads: int) -> None:
    """One way at one size, in this process: measured and told."""
    predictor = ml.load(threads=threads)
    context = predictor.encode(CHOW / "01.jpg", BOX)
    glance = predictor.glance(CHOW / "02.jpg", context)
    height, width = glance.frame.content
    coarse, doubt = glance.coarse.alpha[:height, :width], glance.coarse.uncertainty
    side = round((megapixels * 1e6) ** 0.5)
    photo = Image.open(CHOW / "02.jpg").convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
    pixels = np.asarray(photo)
    network = None
    if way == "learned":
        from mattelike.models.refiner import edge_network

        network = edge_network(threads)
    wall, processor = time.perf_counter(), time.process_time()
    refine(pixels, coarse, uncertainty=None if doubt is None else doubt[:height, :width], network=network)
    say(
        way,
        megapixels=megapixels,
        processor_s=round(time.process_time() - processor, 2),
        wall_s=round(time.perf_counter() - wall, 2),
        peak_mib=round(peak_bytes() / 2**20),
    )


def main() -> None:
    """Measures all, or, as a child, one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--megapixels", type=float, nargs="*", default=[1, 12, 50])
    parser.add_argument("--ways", nargs="*", default=["closed-form", "learned"])
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(given.ways[0], given.megapixels[0], given.threads)
        return
    for way in given.ways:
        for megapixels in given.megapixels:
            asked = ["--one", "--ways", way, "--megapixels", str(megapixels), "--threads", str(given.threads)]
            subprocess.run([sys.executable, __file__, *asked], check=True)


if __name__ == "__main__":
    main()
