"""What the validation leaves behind: numbers as JSON, tables as Markdown, the worst answers as pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mattelike import photos, resampling
from mattelike.training.validation.drawing import Studio
from mattelike.training.validation.methods import Method
from mattelike.training.validation.questions import Row
from mattelike.training.validation.scoring import Score, Summary, judged
from mattelike.values import Float32

ROWS: Mapping[Row, str] = {
    "scenes": "one of four salient things, mean IoU",
    "kinds": "unseen kinds, one reference, mIoU",
    "presence": "presence, AUROC over all kinds",
    "one": "one thing fills the picture, mean IoU",
    "photo-to-render": "photo asks for render, mean IoU",
    "render-to-photo": "render asks for photo, mean IoU",
}
WORST = 10
TILE = 192
GRAY = np.float32(0.5)
MARKED = np.array([1.0, 0.2, 0.3], np.float32)


def markdown(summaries: Mapping[str, Summary]) -> str:
    """All methods side by side."""
    names = list(summaries)
    rows: dict[str, list[float]] = {
        ROWS["scenes"]: [s.scenes for s in summaries.values()],
        ROWS["kinds"]: [s.kinds for s in summaries.values()],
        ROWS["presence"]: [s.presence for s in summaries.values()],
        ROWS["one"]: [s.one for s in summaries.values()],
        "its composites, mean SAD in thousands (800 px)": [s.sad for s in summaries.values()],
        ROWS["photo-to-render"]: [s.photo_to_render for s in summaries.values()],
        ROWS["render-to-photo"]: [s.render_to_photo for s in summaries.values()],
    }
    lines = [f"| test | {' | '.join(names)} |", "|---|" + "---:|" * len(names)]
    lines += [f"| {row} | {' | '.join(map(_number, values))} |" for row, values in rows.items()]
    lines += ["", f"| mark | {' | '.join(names)} |", "|---|" + "---:|" * len(names)]
    for form in next(iter(summaries.values())).forms:
        shown = [
            f"{_number(s.forms[form])} ({_number(s.forms[form] / s.forms['mask'])})"
            for s in summaries.values()
        ]
        lines.append(f"| {form} | {' | '.join(shown)} |")
    lines.append("\nIn parentheses: share of the mask's own.\n")
    return "\n".join(lines)


def worst_table(scores: Sequence[Score]) -> str:
    """The worst ten of each row, in the order of the contact sheet."""
    lines = []
    for row, found in worst(scores).items():
        lines += [
            f"\n### {ROWS[row]}\n",
            "| kind | reference | target | IoU | presence |",
            "|---|---|---|---:|---:|",
        ]
        for score in found:
            q = score.question
            lines.append(
                f"| {q.kind} | {q.references[0]} | {q.target} | {score.iou:.2f} | {score.presence:.2f} |"
            )
    return "\n".join(lines) + "\n"


def worst(scores: Sequence[Score]) -> dict[Row, list[Score]]:
    """The worst answers of each row: least overlap, or, where the kind is absent, highest presence."""
    found: dict[Row, list[Score]] = {}
    for row in ROWS:
        chosen = [s for s in scores if s.question.row == row and s.form == "mask"]
        chosen.sort(key=lambda s: -s.presence if row == "presence" else s.iou)
        found[row] = chosen[:WORST]
    return found


def write(
    folder: Path, name: str, method: Method, studio: Studio, scores: Sequence[Score], about: Mapping[str, Any]
) -> None:
    """Writes ``<name>.json`` and the sheet of the worst answers, ``<name>-<row>.png``.

    Args:
        folder: Made if need be.
        name: First part of the file names.
        method: Who answered; asked again for what is drawn.
        studio: Draws the pictures.
        scores: All answers.
        about: What else to put into the JSON.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "row": s.question.row,
            "kind": s.question.kind,
            "references": s.question.references,
            "target": s.question.target,
            "form": s.form,
            "iou": round(s.iou, 5),
            "sad": round(s.sad, 4) if s.exact else None,
            "presence": round(s.presence, 5),
        }
        for s in scores
    ]
    text = json.dumps({**about, "answers": rows}, indent=0, default=asdict)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    for row, found in worst(scores).items():
        if found:
            photos.write_rgb(folder / f"{name}-{row}.png", sheet(method, studio, found))


def sheet(method: Method, studio: Studio, scores: Sequence[Score]) -> NDArray[np.uint8]:
    """One line an answer: the marked reference, the target, the answer, the truth."""
    lines = []
    for score in scores:
        question = score.question
        reference, target = studio.picture(question.references[0]), studio.picture(question.target)
        alpha = judged(method, studio, question, score.form)[1]
        parts = [
            outlined(reference.rgb, reference.alpha(question.kind)),
            tile(target.rgb.astype(np.float32) / np.float32(255)),
            tile(over_gray(target.rgb, alpha)),
            tile(over_gray(target.rgb, target.alpha(question.kind))),
        ]
        lines.append(np.concatenate(parts, axis=1))
    levels: NDArray[np.uint8] = (np.concatenate(lines) * 255 + 0.5).astype(np.uint8)
    return levels


def over_gray(rgb: NDArray[np.uint8], alpha: Float32) -> Float32:
    """What is cut out, on gray."""
    cut: Float32 = rgb.astype(np.float32) / 255 * alpha[..., None] + GRAY * (1 - alpha[..., None])
    return cut


def outlined(rgb: NDArray[np.uint8], alpha: Float32) -> Float32:
    """A tile of a reference, paler outside its mark."""
    pale = rgb.astype(np.float32) / 255 * 0.35 + MARKED * 0.35 + 0.2
    shown = np.where((alpha > 0.5)[..., None], rgb.astype(np.float32) / 255, pale)
    return tile(np.clip(shown, 0, 1).astype(np.float32))


def tile(rgb: Float32) -> Float32:
    """A picture in a white square."""
    scale = (TILE - 4) / max(rgb.shape[:2])
    height, width = (max(1, round(side * scale)) for side in rgb.shape[:2])
    square = np.ones((TILE, TILE, 3), np.float32)
    top, left = (TILE - height) // 2, (TILE - width) // 2
    square[top : top + height, left : left + width] = resampling.resize(rgb, (height, width))
    return square


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}" if value < 2 else f"{value:.1f}"
