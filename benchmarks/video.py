"""What video costs and how steady it is, as JSON lines; the first line describes the machine.

    python benchmarks/video.py steady [--clips vase net ...]     dtSSD, MESSDdt, SAD on clips of known alpha
    python benchmarks/video.py speed [--heights 540 1080 2160]   frames a second, against photo by photo
    python benchmarks/video.py memory [--frames 300 6000]        peak memory of the command by length

``steady`` finishes every frame twice, alone and with those before it, from one look of the model. A matte
that is frozen, and one that is blurred over time, go through the same test: they must not pass it.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path

import av
import made_clips
import numpy as np
from numpy.typing import NDArray
from telling import peak_of, say

import mattelike as ml
from mattelike import photos
from mattelike.metrics.video import dtssd, messddt
from mattelike.video import ClipJob, Target, carry_out, edges, probe
from mattelike.video.steady import Memory, steadied

Float32 = NDArray[np.float32]
RATIO = 0.7


# --- steady ------------------------------------------------------------------------------------------


def steadiness(names: list[str], model: str, threads: int) -> None:
    """Frame by frame, steady, frozen and blurred, on every clip."""
    predictor = ml.load(model, device="cpu", threads=threads)
    ratios = []
    for name in names:
        shots = list(made_clips.frames(name))
        truth = np.stack([shot.alpha for shot in shots])
        context = predictor.encode(shots[0].pixels, ml.Mask(truth[0] > 0.5))
        alone, coarse, steady, memory = [], [], [], Memory()
        window = edges.Window()
        for shot in shots:
            glance = predictor.glance(shot.pixels, context)
            alone.append(predictor.finish(glance).alpha)
            known = steadied(memory, glance)
            memory = known.memory
            matte = predictor.finish(known.glance)
            coarse.append(matte.alpha)
            answers, window = edges.extended(window, matte.photo.pixels, matte.alpha, cut=known.cut)
            steady += answers
        steady += edges.ended(window)
        single = np.stack(alone)
        answers = {
            "frame by frame": single,
            "steady but for edges": np.stack(coarse),
            "steady": np.stack(steady),
            "frozen": np.repeat(single[:1], len(single), 0),
            "blurred": np.stack([single[max(0, t - 5) : t + 1].mean(axis=0) for t in range(len(single))]),
        }
        ratios.append(_compared(name, answers, truth))
    say("steady, mean of all clips", ratio=round(float(np.mean(ratios)), 3), wanted=RATIO)


def _compared(name: str, answers: dict[str, Float32], truth: Float32) -> float:
    base = dtssd(answers["frame by frame"], truth)
    sad = float(np.abs(answers["frame by frame"] - truth).mean())
    for kind, answer in answers.items():
        ratio = dtssd(answer, truth) / base
        error = float(np.abs(answer - truth).mean()) / sad
        say(
            f"{name}, {kind}",
            dtssd=round(dtssd(answer, truth, scale=100), 3),
            messddt=round(1000 * messddt(answer, truth), 3),
            sad=round(float(np.abs(answer - truth).sum(axis=(1, 2)).mean()) / 1000, 3),
            dtssd_ratio=round(ratio, 3),
            sad_ratio=round(error, 3),
            passes=bool(ratio <= RATIO and error <= 1),
        )
    return dtssd(answers["steady"], truth) / base


# --- speed and memory --------------------------------------------------------------------------------


def enlarged(height: int, count: int) -> Iterator[NDArray[np.uint8]]:
    """Frames of a made clip at another height, 16:9, by repeating pixels."""
    width = round(height * 16 / 9 / 2) * 2
    rows = np.arange(height) * made_clips.HEIGHT // height
    columns = np.arange(width) * made_clips.WIDTH // width
    shots = [shot.pixels for shot in made_clips.frames("sloth", min(count, made_clips.FRAMES))]
    for number in range(count):
        at = number % (2 * len(shots) - 1)
        yield shots[min(at, 2 * len(shots) - 2 - at)][rows][:, columns]


def record(path: Path, height: int, count: int) -> None:
    """A clip as cameras write them: H.264, 30 frames a second."""
    with av.open(str(path), "w") as container:
        stream = None
        for number, pixels in enumerate(enlarged(height, count)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
            if stream is None:
                stream = container.add_stream("libx264", rate=30, options={"preset": "veryfast", "crf": "20"})
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
            frame.pts, frame.time_base = number, Fraction(1, 30)
            container.mux(stream.encode(frame))
        assert stream is not None
        container.mux(stream.encode(None))


def speed(heights: list[int], count: int, model: str, threads: int) -> None:
    """Frames a second of a clip, and of the same frames one after the other.

    Other programs change frames a second, but not processor seconds.
    """
    predictor = ml.load(model, device="cpu", threads=threads)
    first = next(made_clips.frames("sloth", 1))
    context = predictor.encode(first.pixels, ml.Mask(first.alpha > 0.5))
    with tempfile.TemporaryDirectory() as folder:
        for height in heights:
            source, result = Path(folder) / f"{height}.mp4", Path(folder) / f"{height}.mov"
            record(source, height, count)
            target = Target(result, ".mov", "cutout")
            start, spent = time.perf_counter(), time.process_time()
            carry_out(ClipJob(probe(source), target, context, "benchmark"), predictor)
            whole, whole_spent = time.perf_counter() - start, time.process_time() - spent
            start, spent = time.perf_counter(), time.process_time()
            for number, pixels in enumerate(enlarged(height, count)):
                predictor.matte(pixels, context).save(Path(folder) / f"{number}.png")
            single, single_spent = time.perf_counter() - start, time.process_time() - spent
            say(
                f"{height}p, {count} frames",
                fps=round(count / whole, 3),
                fps_photo_by_photo=round(count / single, 3),
                gain=round(single / whole, 2),
                processor_seconds_each=round(whole_spent / count, 3),
                processor_seconds_each_photo_by_photo=round(single_spent / count, 3),
            )


def memory(lengths: list[int], height: int, threads: int) -> None:
    """Peak of the whole command by the length of the clip."""
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        mask = Path(folder) / "mask.png"
        first = next(made_clips.frames("sloth", 1))
        rows = np.arange(height) * made_clips.HEIGHT // height
        columns = np.arange(round(height * 8 / 9) * 2) * made_clips.WIDTH // (round(height * 8 / 9) * 2)

        photos.write_alpha(mask, (first.alpha[rows][:, columns] > 0.5).astype(np.float32))
        for count in lengths:
            source, result = Path(folder) / f"{count}.mp4", Path(folder) / f"{count}.mov"
            record(source, height, count)
            job = ["video", str(source), "--like", "first", "--mask", str(mask), "-o", str(result)]
            found, took = peak_of([*job, "--model", "imagenet"], threads, f"{count} frames")
            peaks.append(found / 2**20)
            say(
                f"{count} frames of {height} rows",
                peak_mib=round(peaks[-1], 1),
                ratio=round(peaks[-1] / peaks[0], 3),
                seconds=round(took, 1),
            )


def main() -> None:
    """One of the three."""
    parser = argparse.ArgumentParser(description="What video costs and how steady it is.")
    parser.add_argument("what", choices=["steady", "speed", "memory"])
    parser.add_argument("--clips", nargs="*", default=list(made_clips.CLIPS), choices=list(made_clips.CLIPS))
    parser.add_argument("--heights", type=int, nargs="*", default=[540, 1080, 2160])
    parser.add_argument("--frames", type=int, nargs="*", default=None)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    say(
        "machine",
        cpus=os.cpu_count(),
        load=[round(value, 1) for value in os.getloadavg()],
        python=platform.python_version(),
        av=version("av"),
    )
    if given.what == "steady":
        steadiness(given.clips, given.model, given.threads)
    elif given.what == "speed":
        speed(given.heights, (given.frames or [24])[0], given.model, given.threads)
    else:
        memory(given.frames or [300, 6000], 240, given.threads)


if __name__ == "__main__":
    main()
