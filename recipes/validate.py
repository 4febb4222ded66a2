"""Asks models the questions of the public validation.

python recipes/validate.py MODEL... [-o FOLDER] [--quick] [--pack PACK]

A MODEL is a model's name (embedded, imagenet), a folder of exported graphs, ``average.pt`` of a run, or a
committed checkpoint. ``--choose`` makes a new list from the pack first; numbers of another list do not
compare.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from dataclasses import asdict
from pathlib import Path

from mattelike.training import pack
from mattelike.training.validation import choosing, methods, questions, report, scoring
from mattelike.training.validation.drawing import Studio

LIST = Path(__file__).parent / "validation.json"


def parsed() -> argparse.Namespace:
    """What was typed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("-o", "--out", type=Path, help="folder for tables, numbers and the worst answers")
    parser.add_argument("--pack", type=Path, default=Path("packs/full"))
    parser.add_argument("--list", type=Path, default=LIST)
    parser.add_argument("--quick", action="store_true", help="about 200 questions instead of all")
    parser.add_argument("--refine", action="store_true", help="refine the edges of every answer")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--side", type=int, help="longest side a network in training is shown")
    parser.add_argument("--name", help="stem of the files of a single MODEL; made of its path by default")
    parser.add_argument("--choose", action="store_true", help="choose the list anew from the pack")
    return parser.parse_args()


def chosen_anew(opened: pack.Pack, path: Path) -> None:
    """Replaces the list; what is excluded in it stays so."""
    excluded = questions.load(path).excluded if path.is_file() else {}
    plan = choosing.chosen(opened, excluded)
    questions.save(plan, path)
    asked = [q.asked(quick) for quick in (True, False) for q in plan.questions]
    half = len(plan.questions)
    print(f"{path}: {sum(map(len, asked[half:]))} answers, {sum(map(len, asked[:half]))} of them quick")


def main() -> None:
    """Asks, prints, writes."""
    arguments = parsed()
    opened = pack.load(arguments.pack)
    if arguments.choose:
        chosen_anew(opened, arguments.list)
    plan = questions.load(arguments.list)
    studio = Studio(opened, plan)
    summaries: dict[str, scoring.Summary] = {}
    worst = ""
    for name in arguments.models:
        began = time.perf_counter()
        method = methods.opened(name, threads=arguments.threads, refine=arguments.refine, side=arguments.side)
        scores = list(scoring.answered(method, studio, plan.questions, arguments.quick))
        summary = summaries[name] = scoring.summed(scores)
        print(f"{name}: {summary.asked} answers in {time.perf_counter() - began:.0f} s", flush=True)
        if arguments.out:
            about = {
                "model": name,
                "sha256": method.predictor.card.sha256,
                "list": hashlib.sha256(arguments.list.read_bytes()).hexdigest(),
                "pack": opened.sha256,
                "quick": arguments.quick,
                "refine": arguments.refine,
                "summary": asdict(summary),
            }
            stem = arguments.name or name.strip("/").replace("/", "-").removesuffix(".pt")
            report.write(arguments.out, stem, method, studio, scores, about)
            worst += f"\n## {name}\n" + report.worst_table(scores)
        print(report.markdown({name: summary}), flush=True)
    if summaries and arguments.out:
        (arguments.out / "report.md").write_text(report.markdown(summaries) + worst, encoding="utf-8")


if __name__ == "__main__":
    main()
