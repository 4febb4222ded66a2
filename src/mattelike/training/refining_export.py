"""From a trained edge network to what ships: one ONNX graph and a card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from mattelike.models.runtime import file_hash
from mattelike.network.refiner import INPUTS, MULTIPLE, Refiner, folded
from mattelike.training.export import OPSET, halve

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
    program = torch.onnx.export(
        graph,
        (torch.zeros(1, INPUTS, 4 * MULTIPLE, 6 * MULTIPLE),),
        input_names=["seen"],
        output_names=["alpha", "doubt"],
        dynamic_shapes=({0: torch.export.Dim.STATIC, **sides},),
        dynamo=True,
        opset_version=OPSET,
        external_data=False,
        verbose=False,
    )
    assert program is not None
    proto = program.model_proto
    halve(proto)
    onnx.checker.check_model(proto)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "refiner.onnx"
    onnx.save(proto, path)
    card = {"name": "refiner", **about, "sha256": file_hash(path)}
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return card
