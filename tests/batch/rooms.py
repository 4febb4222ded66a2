"""Folders of small photos with a red thing in some, and what a batch makes of them with a toy model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mattelike import photos
from mattelike.batch.jobs import Job, Outcome, Settings, Task, base_key
from mattelike.batch.journal import Journal
from mattelike.batch.local import LocalEngine
from mattelike.batch.plan import Plan, plan_folder
from mattelike.batch.run import Summary, carry_out
from mattelike.contexts import Context
from mattelike.predictor import Predictor
from mattelike.prompts import Mask
from tests.toy_model import toy

RED, GREEN = (200, 40, 40), (40, 150, 60)


def picture(seed: int = 0, *, things: int = 1, size: tuple[int, int] = (64, 96)) -> np.ndarray:
    """Green with red squares, a different one for each seed."""
    rng = np.random.default_rng(seed)
    pixels = np.empty((*size, 3), np.uint8)
    pixels[:] = GREEN
    for index in range(things):
        top, left = rng.integers(4, size[0] // 3), index * size[1] // max(things, 1) + rng.integers(2, 8)
        pixels[top : top + 24, left : left + 24] = RED
    return pixels + rng.integers(0, 12, pixels.shape, np.uint8)


def write(path: Path, seed: int = 0, *, things: int = 1, size: tuple[int, int] = (64, 96)) -> Path:
    """A photo as a file; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = path.suffix.lower() if path.suffix.lower() in photos.WRITTEN_SUFFIXES else ".png"
    path.write_bytes(photos.encode(picture(seed, things=things, size=size), suffix))
    return path


def red_mask(pixels: np.ndarray) -> np.ndarray:
    """Where the red thing is."""
    return pixels[..., 0] > pixels[..., 1]


def context_of(predictor: Predictor, seed: int = 99) -> Context:
    """Red things, from a photo of its own."""
    pixels = picture(seed)
    return predictor.encode(pixels, Mask(red_mask(pixels)))


def job_of(context: Context, out: Path, settings: Settings | None = None, identity: str = "red") -> Job:
    """A job without tasks."""
    settings = settings or Settings()
    return Job((), context, settings, out, base_key(context, identity, settings))


def batch(
    inputs: list[str], out: Path, settings: Settings | None = None, **how: object
) -> tuple[Summary, list[Outcome]]:
    """Plans and carries out, with a journal, in this process."""
    predictor = toy()
    settings = settings or Settings()
    told: list[Outcome] = []
    with Journal(out) as journal:
        plan = plan_folder(inputs, out, settings, ours=journal.outputs())
        summary = run(journal, job_of(context_of(predictor), out, settings), plan, predictor, told, **how)
        journal.finish()
    return summary, told


def run(
    journal: Journal | None, job: Job, plan: Plan, predictor: Predictor, told: list[Outcome], **how: object
) -> Summary:
    """Carries a plan out with the local engine."""
    engine = LocalEngine(predictor)
    return carry_out(job, plan, engine, journal, tell=told.append, warn=lambda: None, **how)  # type: ignore[arg-type]


def task_of(path: Path, stem: str | None = None) -> Task:
    """A task with the usual outputs."""
    stem = stem or path.stem
    return Task(str(path), stem, (("cutout", f"{stem}.png"), ("alpha", f"{stem}.matte.png")))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but the report, whose times differ."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "report.jsonl"
    }
