"""Fits what turns the embedded model's presence into a probability, and says how far it comes true.

    python recipes/presence.py [CHECKPOINT] [--model NAME] [--pack PACK] [--list LIST] [--plot FILE]
                               [--write [--cards FILE]]

Fitted on every second held-out kind of the validation list, judged on the others; photos that show the kind
and photos, backgrounds and scenes that lack it are mixed. With ``--write`` the numbers go into
``recipes/cards.json``, whence ``recipes/export.py`` takes them; scale and shift only if they help on kinds
they were not fitted on. The plot needs matplotlib.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from mattelike.training import pack
from mattelike.training.validation import calibration, methods, questions, scoring
from mattelike.training.validation.calibration import Calibration, Reliability
from mattelike.training.validation.drawing import Studio

HERE = Path(__file__).parent
# At most so many photos of a kind: kinds with many photos are not to decide alone.
MOST = 6


def asked(plan: questions.Plan) -> list[questions.Question]:
    """Every question of the mixed folders, one mask each."""
    kept, counts = [], dict[str, int]()
    for question in plan.questions:
        if question.row == "presence":
            kept.append(question)
        elif question.row in ("kinds", "scenes"):
            counts[question.kind] = counts.get(question.kind, 0) + 1
            if counts[question.kind] <= MOST:
                kept.append(question)
    return [replace(question, forms=("mask",)) for question in kept]


def drawn(path: Path, before: Reliability, after: Reliability) -> None:
    """The reliability plot."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(4.2, 4.2), layout="constrained")
    axes.plot([0, 1], [0, 1], color="0.8", linewidth=1)
    for found, name in ((before, "as the network says"), (after, "calibrated")):
        said, true, counts = zip(*found.bins, strict=True)
        axes.plot(said, true, marker="o", markersize=4, label=f"{name}: off by {found.gap:.3f}")
        for x, y, count in zip(said, true, counts, strict=True):
            if found is after:
                axes.annotate(str(count), (x, y), textcoords="offset points", xytext=(5, -9), fontsize=7)
    axes.set(xlabel="presence", ylabel="share that shows the kind", title="Kinds the scale was not fitted on")
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def kept(found: Calibration, before: Reliability, after: Reliability) -> Calibration:
    """The calibration, or, where it is no better on other kinds, only the thresholds it stands for."""
    if after.brier < before.brier:
        return found
    said = [
        float(calibration.sigmoid((calibration.logit(np.array(at)) - found.shift) / found.scale))
        for at in (found.absent_below, found.present_from)
    ]
    return Calibration(absent_below=said[0], present_from=said[1])


def written(found: Calibration, path: Path, model: str) -> None:
    """Puts the numbers where the export reads them."""
    cards = json.loads(path.read_text(encoding="utf-8"))
    cards[model] |= {
        "presence": {"scale": round(found.scale, 4), "shift": round(found.shift, 4)},
        "absent_below": round(found.absent_below, 3),
        "present_from": round(found.present_from, 3),
    }
    path.write_text(json.dumps(cards, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Asks, fits, judges."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", nargs="?", help="the committed one by default")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--pack", type=Path, default=Path("packs/full"))
    parser.add_argument("--list", type=Path, default=HERE / "validation.json")
    parser.add_argument("--cards", type=Path, default=HERE / "cards.json")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    plan = questions.load(given.list)
    studio = Studio(pack.load(given.pack), plan)
    method = methods.opened(
        given.checkpoint or str(HERE / "checkpoints" / f"{given.model}.safetensors"), threads=1
    )
    scores = list(scoring.answered(method, studio, asked(plan), quick=False))
    fit, judge = calibration.halves(scores)
    found = calibration.fitted(*calibration.presences(fit))
    said, truth = calibration.presences(judge)
    before = calibration.reliability(said, truth)
    after = calibration.reliability(found.of(said), truth)
    print(f"{len(fit)} answers to fit on, {len(judge)} about other kinds to judge by")
    print(found)
    for name, each in (("as the network says", before), ("calibrated", after)):
        print(f"{name}: AUROC {each.auroc:.3f}, Brier {each.brier:.3f}, calibration error {each.gap:.3f}")
    found = kept(found, before, after)
    print("kept:", found)
    probability = found.of(said)
    for word, chosen in (
        ("absent", probability < found.absent_below),
        ("unsure", (probability >= found.absent_below) & (probability < found.present_from)),
        ("present", probability >= found.present_from),
    ):
        right = int(truth[chosen].sum())
        print(f"called {word}: {right} that show the kind, {int(chosen.sum()) - right} that lack it")
    if given.plot:
        drawn(given.plot, before, after)
    if given.write:
        written(found, given.cards, given.model)


if __name__ == "__main__":
    main()
