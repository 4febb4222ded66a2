"""Measures ways to refine edges on pictures with exact alpha.

    python recipes/refiner_validate.py [-o FOLDER] [--ways ours multilevel ...] [--graph FOLDER]

The pictures are those of ``recipes/refiner_validation.json``: things and backgrounds nobody trains on, put
together by seed; they change only with the list and the pack. Every way starts from the same coarse alpha:

* ``answer``: as a network answers, smoothed, cut and at a quarter of the size;
* ``mask``: the true alpha cut at a half, its edge smoothed;
* ``embedded``: what the shipped model answers, its reference being the picture itself.

``trimap`` ways start from the true trimap. Closed form is pymatting's (development only). Seconds are those
of one core, whatever else the machine does; run with OMP_NUM_THREADS=1 and NUMBA_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import mattelike as ml
from mattelike import metrics, photos, refinement, resampling
from mattelike.figures import levels
from mattelike.models import Coarse
from mattelike.models.refiner import EdgeGraph, edge_network
from mattelike.refinement.grids import enlarged
from mattelike.training import pack, refining_coarse, refining_samples
from mattelike.values import Bool, Float32

LIST = Path(__file__).parent / "refiner_validation.json"
SIDE = 512
KINDS = ("answer", "mask", "embedded")
# The unknown band of the ways that take a trimap, in pixels of the coarse alpha.
BAND = 3
# Half-width of the band round what is partial in the true trimap.
TRUE_BAND = 10
MEASURES = ("sad", "mse", "grad", "conn")


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One picture.

    Attributes:
        name: Thing, background and seed.
        pixels: uint8 ``(h, w, 3)``.
        alpha: float32 ``(h, w)``, exact.
        coarse: What is refined, by kind; the expected error is known only of a network's answer.
    """

    name: str
    pixels: NDArray[np.uint8]
    alpha: Float32
    coarse: dict[str, Coarse]


@dataclass(frozen=True, slots=True)
class Score:
    """Errors of one answer, and the seconds of one core that it took."""

    name: str
    kind: str
    way: str
    seconds: float
    sad: float
    mse: float
    grad: float
    conn: float


# --- pictures ----------------------------------------------------------------------------------------


def chosen_anew(opened: pack.Pack, path: Path) -> None:
    """Replaces the list: things and backgrounds of the validation split, spread over sources and kinds."""
    stock = refining_samples.library(opened, split="validation")
    counts = {"drawn": 14, "published": 4, "solved": 12, "render": 3, "photo": 3}
    rows = []
    for source, count in counts.items():
        places = stock.things[source]
        step = max(1, len(places) // count)
        for number, place in enumerate(places[::step][:count]):
            ground = (
                "" if source == "photo" else stock.backgrounds[len(rows) % len(stock.backgrounds)].item.name
            )
            rows.append({"source": source, "thing": place.item.name, "ground": ground, "seed": number})
    path.write_text(json.dumps(rows, indent=0) + "\n", encoding="utf-8")


def questions(opened: pack.Pack, rows: list[dict[str, str]]) -> Iterator[Question]:
    """The pictures of the list, drawn."""
    places = {(place.item.source, place.item.name): place for place in opened.places}
    predictor = ml.load(threads=1)
    for row in rows:
        generator = torch.Generator().manual_seed(1_000_000 + int(row["seed"]))
        rgba = opened.rgba(places[row["source"], row["thing"]])
        if row["source"] == "photo":
            made = refining_samples.photo(rgba, SIDE, generator)
        else:
            ground = opened.rgba(places["background", row["ground"]])[:3]
            made = refining_samples.composed(rgba, ground, SIDE, generator)
        alpha = np.ascontiguousarray(made.alpha.numpy())
        # Of a thing that is solid nowhere, half of its most.
        solid = alpha > 0.5 * alpha.max()
        pixels = levels(np.ascontiguousarray(made.rgb.permute(1, 2, 0).numpy()))
        mask = refining_coarse.softened(torch.from_numpy(solid.astype(np.float32)), 4).numpy()
        coarse = {
            "answer": Coarse(as_answered(alpha, int(row["seed"]))),
            "mask": Coarse(mask),
            "embedded": embedded(predictor, pixels, solid),
        }
        yield Question(f"{row['thing']} over {row['ground'] or 'its own'}", pixels, alpha, coarse)


def as_answered(alpha: Float32, seed: int) -> Float32:
    """The true alpha as a network answers at a quarter of the size: smoothed, cut again, a little off."""
    small = resampling.area(alpha, (SIDE // 4, SIDE // 4))
    cut = np.random.default_rng(seed).uniform(0.35, 0.65)
    sharp = 1 / (1 + np.exp(-10 * (refining_coarse.softened(torch.from_numpy(small), 2).numpy() - cut)))
    answer: Float32 = ((sharp - 0.03) / 0.94).clip(0, 1).astype(np.float32)
    return answer


def embedded(predictor: ml.Predictor, pixels: NDArray[np.uint8], solid: Bool) -> Coarse:
    """The shipped model's answer, at the size it looks at, which has to be that of the picture."""
    context = predictor.encode(pixels, ml.Mask(solid.astype(np.uint8) * 255))
    answer = predictor.glance(pixels, context).coarse
    assert answer.alpha.shape == pixels.shape[:2], "the model looks at another size"
    return answer


# --- ways --------------------------------------------------------------------------------------------


def of_coarse(network: EdgeGraph | None) -> dict[str, Callable[[Question, Coarse], Float32]]:
    """Ways that start from a coarse alpha."""

    def enlarged_one(coarse: Coarse) -> tuple[Float32, int]:
        """The coarse alpha at the picture's size, and how wide its band is there."""
        return enlarged(coarse.alpha, SIDE, SIDE), round(BAND * SIDE / coarse.alpha.shape[0])

    def guided(question: Question, coarse: Coarse) -> Float32:
        alpha, radius = enlarged_one(coarse)
        return refinement.guided(question.pixels.astype(np.float32) / 255, alpha, radius).clip(0, 1)

    def closed(question: Question, coarse: Coarse) -> Float32:
        alpha, radius = enlarged_one(coarse)
        return closed_form(question, refinement.trimap(alpha, radius=radius))

    def refined(question: Question, coarse: Coarse, network: EdgeGraph | None = None) -> Float32:
        found = refinement.refine(
            question.pixels, coarse.alpha, uncertainty=coarse.uncertainty, network=network
        )
        return found.alpha

    ways: dict[str, Callable[[Question, Coarse], Float32]] = {
        "bilinear": lambda _question, coarse: enlarged_one(coarse)[0],
        "guided": guided,
        "multilevel": refined,
        "closed": closed,
    }
    if network is not None:
        ways["ours"] = partial(refined, network=network)
    return ways


def of_trimap(network: EdgeGraph | None) -> dict[str, Callable[[Question, Float32], Float32]]:
    """Ways that start from the true trimap."""
    ways: dict[str, Callable[[Question, Float32], Float32]] = {"trimap-closed": closed_form}
    if network is not None:
        ways["trimap-ours"] = lambda question, trimap: refinement.from_trimap(
            question.pixels, trimap, network
        )
    return ways


def closed_form(question: Question, trimap: Float32) -> Float32:
    """The closed form of pymatting; the trimap itself where it leaves nothing to start from."""
    import pymatting

    if not ((trimap == 0).any() and (trimap == 1).any()):
        return trimap
    found = pymatting.estimate_alpha_cf(question.pixels / 255.0, trimap.astype(np.float64))
    alpha: Float32 = found.astype(np.float32)
    return alpha


def scored(question: Question, kind: str, way: str, answer: Callable[[], Float32]) -> tuple[Score, Float32]:
    """One answer, timed and measured."""
    began = time.process_time()
    alpha = answer()
    seconds = time.process_time() - began
    errors = {name: metrics.METRICS[name].measure(alpha, question.alpha) for name in MEASURES}
    return Score(question.name, kind, way, seconds, **errors), alpha


# --- report ------------------------------------------------------------------------------------------


def table(scores: list[Score]) -> str:
    """Means of every way, by kind of coarse alpha."""
    lines = [
        "| from | way | SAD | MSE x 1000 | Grad | Conn | seconds |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for kind, way in dict.fromkeys((score.kind, score.way) for score in scores):
        mine = [s for s in scores if (s.kind, s.way) == (kind, way)]
        sad, mse, grad, conn, took = (
            float(np.mean([getattr(s, name) for s in mine])) for name in (*MEASURES, "seconds")
        )
        lines.append(
            f"| {kind} | {way} | {sad:.3f} | {1000 * mse:.2f} | {grad:.3f} | {conn:.3f} | {took:.3f} |"
        )
    return "\n".join(lines)


def worst(scores: list[Score], count: int = 10) -> str:
    """Our largest errors beside the multi-level solver's."""
    theirs = {(s.name, s.kind): s.sad for s in scores if s.way == "multilevel"}
    ours = sorted((s for s in scores if s.way == "ours"), key=lambda s: -s.sad)[:count]
    return "\n".join(
        f"{s.sad:7.3f} ({theirs.get((s.name, s.kind), 0):7.3f})  {s.kind:9} {s.name}" for s in ours
    )


def sheet(question: Question, rows: list[Float32]) -> NDArray[np.uint8]:
    """The picture and answers side by side."""
    columns = [question.pixels, *(levels(np.repeat(a[..., None], 3, axis=2)) for a in rows)]
    return np.concatenate(columns, axis=1)


def main() -> None:
    """Asks, prints, writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, help="folder for scores and sheets of pictures")
    parser.add_argument("--pack", type=Path, default=Path("packs/refiner"))
    parser.add_argument("--ways", nargs="*", help="only these")
    parser.add_argument("--graph", type=Path, help="folder of another refiner.onnx")
    parser.add_argument("--choose", action="store_true", help="choose the list anew from the pack")
    parser.add_argument("--beside", type=Path, help="scores.json of other ways, to be shown too")
    given = parser.parse_args()
    torch.set_num_threads(1)
    opened = pack.load(given.pack)
    if given.choose:
        chosen_anew(opened, LIST)
    network = EdgeGraph(given.graph, threads=1) if given.graph else edge_network(1)
    wanted = {
        name: way
        for name, way in (of_coarse(network) | of_trimap(network)).items()
        if not given.ways or name in given.ways
    }
    scores: list[Score] = []
    if given.beside:
        kept = json.loads(given.beside.read_text(encoding="utf-8"))
        scores = [Score(**row) for row in kept if row["way"] not in wanted]
    for number, question in enumerate(questions(opened, json.loads(LIST.read_text(encoding="utf-8")))):
        shown = [question.alpha]
        true_trimap = refinement.trimap(question.alpha, radius=TRUE_BAND, floor=0.02, ceiling=0.98)
        for name, way in wanted.items():
            kinds = {"trimap": true_trimap} if name.startswith("trimap") else question.coarse
            for kind, start in kinds.items():
                score, alpha = scored(question, kind, name, lambda: way(question, start))  # noqa: B023
                scores.append(score)
                shown += [alpha] if kind in ("answer", "trimap") else []
        if given.out:
            given.out.mkdir(parents=True, exist_ok=True)
            photos.write_rgb(given.out / f"{number:02}.png", sheet(question, shown))
    print(table(sorted(scores, key=lambda s: (s.kind, s.way))))
    print(worst(scores))
    if given.out:
        (given.out / "scores.json").write_text(json.dumps([asdict(s) for s in scores], indent=0))


if __name__ == "__main__":
    main()
