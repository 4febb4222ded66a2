"""From a trained edge network to what ships: one ONNX graph and a card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mattelike.models.runtime import file_hash
from mattelike.network.layers import folded
from mattelike.network.refiner import INPUTS, MULTIPLE, Refiner
from mattelike.training.export import save_program

LARGEST = 256
"""Sides of the graph's input are at most this many times `MULTIPLE`."""


class RefinerGraph(nn.Module):
    """The network as a graph: its logits become probabilities."""

    def __init__(self, model: Refiner) -> None:
        super().__init__()
        self.model = model

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """``(1, 5, h, w)`` to alpha and doubt."""
        alpha, where = self.model(seen)
        return alpha, where.sigmoid()


def export(model: Refiner, folder: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """Writes ``refiner.onnx`` and ``card.json``.

    Args:
        model: Trained.
        folder: Where they go; made if need be.
        about: What is known of it: licence, source, scores.

    Returns:
        The card, with the hash of the graph.
    """
    graph = RefinerGraph(folded(model.float().cpu())).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    sides = {
        2: MULTIPLE * torch.export.Dim("h", min=1, max=LARGEST),
        3: MULTIPLE * torch.export.Dim("w", min=1, max=LARGEST),
    }
    path = folder / "refiner.onnx"
    example = torch.zeros(1, INPUTS, 4 * MULTIPLE, 6 * MULTIPLE)
    free = ({0: torch.export.Dim.STATIC, **sides},)
    save_program(graph, [example], ["seen"], ["alpha", "doubt"], free, path)
    card = {"name": "refiner", **about, "sha256": file_hash(path)}
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return card
