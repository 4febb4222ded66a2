"""From a trained model to what ships: three ONNX graphs and a card.

The graphs take any size (sides multiples of 32). Weights lie inside the file, in float16, and are widened
to float32 once when the graph is opened: half the download for differences below what a photo shows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from mattelike import similarity
from mattelike.models.runtime import file_hash
from mattelike.network.efficientnet_lite import EfficientNetLite
from mattelike.network.embedded import MEAN, STD, EmbeddedModel
from mattelike.network.layers import folded, upsampled
from mattelike.values import ModelCard

OPSET = 18
# Tensors smaller than this stay in float32: norms, biases, temperatures.
SMALLEST_HALF = 512
# More cells than any picture has.
ALL_CELLS = 1 << 20


class FeaturesGraph(nn.Module):
    """The encoder as a graph: images to tokens and skips."""

    def __init__(self, model: EmbeddedModel) -> None:
        super().__init__()
        self.encoder = model.encoder

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """``(b, 3, h, w)`` to tokens and skips, coarsest first."""
        tokens, skips = self.encoder(images)
        return (tokens, *skips)


class HeadGraph(nn.Module):
    """The head as a graph: its logits become probabilities, that of presence a calibrated one."""

    def __init__(self, model: EmbeddedModel, scale: float = 1.0, shift: float = 0.0) -> None:
        super().__init__()
        self.head = model.head
        self.scale, self.shift = scale, shift

    def forward(self, images: Tensor, guidance: Tensor, *skips: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images, guidance and skips to alpha, uncertainty, presence, all in [0, 1]."""
        answer = self.head(images, skips, guidance)
        presence = (self.scale * answer.presence + self.shift).sigmoid()
        return answer.alpha.sigmoid(), answer.uncertainty.sigmoid(), presence


class MatchingGraph(nn.Module):
    """`mattelike.models.contrastive.guide` as a graph: the same lines, on every core.

    Args:
        card: Shape and sharpness of the tokens.
    """

    def __init__(self, card: ModelCard) -> None:
        super().__init__()
        self.card = card

    def forward(self, tokens: Tensor, reference: Tensor, weights: Tensor) -> Tensor:
        """What a context says of every cell.

        Args:
            tokens: ``(1, c, h, w)``, of the target.
            reference: ``(k, c')``, of the context; without grouping channels.
            weights: ``(k,)`` in [0, 1].

        Returns:
            ``(1, 9 m, h, w)``, as `mattelike.similarity.Evidence.stacked` lays them out.
        """
        card, (height, width) = self.card, tokens.shape[-2:]
        targets, grouping = similarity.split_grouping(
            tokens[0], card.heads, card.whole_channels, card.grouping_channels
        )
        row = reference.T[:, None, :]
        references = similarity.split_families(row, card.heads, card.whole_channels)
        # In one piece: the largest picture a model sees has a few thousand cells.
        things = similarity.pooled(targets, card.affinities, grouping, ALL_CELLS)
        found = similarity.compare_families(
            targets, references, weights, card.temperatures, card.affinities, things, ALL_CELLS
        )
        maps: Tensor = found.stacked()
        return maps.reshape(1, -1, height, width)


class ImageNetGraph(nn.Module):
    """Features with nothing trained here: the classifier's own last stages as tokens.

    The taps at stride 16 and 32 are each brought to length one at every cell, so that each has its say,
    and put side by side.
    """

    def __init__(self, backbone: EfficientNetLite, stages: Sequence[int], scales: Sequence[float]) -> None:
        super().__init__()
        self.backbone = backbone
        self.stages = tuple(stages)
        self.scales = tuple(scales)

    def forward(self, images: Tensor) -> Tensor:
        """``(b, 3, h, w)`` to tokens ``(b, c, h / 16, w / 16)``."""
        taps = self.backbone(images)
        parts = []
        for index, scale in zip(self.stages, self.scales, strict=True):
            x = taps[index]
            x = x / x.square().sum(dim=1, keepdim=True).add(1e-6).sqrt()
            parts.append(scale * (upsampled(x, like=taps[4]) if index > 4 else x))
        return torch.cat(parts, dim=1)


def write_graph(
    graph: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    strides: Mapping[str, int],
    path: Path,
) -> None:
    """Exports one graph with free height and width, and halves its weights.

    Args:
        graph: In evaluation mode.
        inputs: Example inputs by name, in the order of ``forward``.
        outputs: Names of the outputs.
        strides: For every input, how many pixels one of its cells spans.
        path: Where to write.
    """
    height, width = torch.export.Dim("h", min=2, max=64), torch.export.Dim("w", min=2, max=64)
    # All sides are multiples of 32, so every grid is a whole number of 32-pixel blocks.
    shapes = {
        name: {0: torch.export.Dim.STATIC, 2: 32 // strides[name] * height, 3: 32 // strides[name] * width}
        for name in inputs
    }
    names = list(inputs)
    dynamic: tuple[Any, ...] = tuple(shapes[name] for name in names)
    if isinstance(graph, HeadGraph):
        dynamic = (shapes["images"], shapes["guidance"], tuple(shapes[n] for n in names[2:]))
    save_program(graph, inputs.values(), names, outputs, dynamic, path)


def save_program(
    graph: nn.Module,
    examples: Iterable[Tensor],
    inputs: Sequence[str],
    outputs: Sequence[str],
    dynamic: tuple[Any, ...],
    path: Path,
) -> None:
    """Exports a graph, halves its weights, checks and writes it.

    Args:
        graph: In evaluation mode.
        examples: Inputs, in the order of ``forward``.
        inputs: Their names.
        outputs: Names of the outputs.
        dynamic: Which of the inputs' dimensions are free, as `torch.onnx.export` takes it.
        path: Where to write.
    """
    program = torch.onnx.export(
        graph.eval(),
        tuple(examples),
        input_names=list(inputs),
        output_names=list(outputs),
        dynamic_shapes=dynamic,
        dynamo=True,
        opset_version=OPSET,
        external_data=False,
        verbose=False,
    )
    assert program is not None
    proto = program.model_proto
    bare(proto)
    halve(proto)
    onnx.checker.check_model(proto)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(proto, path)


def bare(proto: onnx.ModelProto) -> None:
    """Takes out what the exporter noted of the code, file names and all: nothing reads it."""
    graph = proto.graph
    for part in (
        proto,
        graph,
        *graph.node,
        *graph.input,
        *graph.output,
        *graph.value_info,
        *graph.initializer,
    ):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


def halve(proto: onnx.ModelProto) -> None:
    """Stores large float32 weights as float16, each widened again by a Cast that runs once at loading."""
    graph = proto.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < SMALLEST_HALF:
            continue
        name = tensor.name
        half = numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(half, name + ".half"))
        casts.append(helper.make_node("Cast", [name + ".half"], [name], to=TensorProto.FLOAT))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend(casts + nodes)
    # Declared shapes of the widened weights would clash with their new producers.
    names = {cast.output[0] for cast in casts}
    kept = [info for info in graph.value_info if info.name not in names]
    del graph.value_info[:]
    graph.value_info.extend(kept)


def export(
    model: EmbeddedModel, folder: Path, card: ModelCard, *, scale: float = 1.0, shift: float = 0.0
) -> ModelCard:
    """Writes ``features.onnx``, ``matching.onnx``, ``head.onnx`` and ``card.json``; returns the card.

    Args:
        model: Trained.
        folder: Where they go.
        card: What is known of it; shape, sharpness and hash are filled in here.
        scale: Factor of the logit of presence; see `mattelike.training.validation.calibration`.
        shift: What is added to it.
    """
    model = folded(model.float().cpu())
    model = model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    images = torch.zeros(1, 3, 96, 128)
    with torch.no_grad():
        tokens, skips = model.encoder(images)
    channels = model.head.settings.guidance_channels
    guidance = torch.zeros(1, channels, *tokens.shape[-2:])
    names = [f"skip_{i}" for i in range(len(skips))]
    strides = {
        "images": 1,
        "guidance": 16,
        **{n: 96 // s.shape[-2] for n, s in zip(names, skips, strict=True)},
    }
    write_graph(
        FeaturesGraph(model), {"images": images}, ["tokens", *names], strides, folder / "features.onnx"
    )
    write_graph(
        HeadGraph(model, scale, shift),
        {"images": images, "guidance": guidance, **dict(zip(names, skips, strict=True))},
        ["alpha", "uncertainty", "presence"],
        strides,
        folder / "head.onnx",
    )
    card = model.described(card)
    write_matching(card, folder / "matching.onnx")
    return write_card(card, folder)


def write_matching(card: ModelCard, path: Path) -> None:
    """Exports how a model's tokens are compared, for any picture and any number of reference tokens."""
    height, width = torch.export.Dim("h", min=2, max=128), torch.export.Dim("w", min=2, max=128)
    kept = card.channels - card.grouping_channels
    save_program(
        MatchingGraph(card),
        (torch.zeros(1, card.channels, 6, 8), torch.zeros(20, kept), torch.ones(20)),
        ("tokens", "reference", "weights"),
        ("maps",),
        (
            {2: height, 3: width},
            {0: (cells := torch.export.Dim("k", min=1, max=ALL_CELLS))},
            {0: cells},
        ),
        path,
    )


def export_imagenet(
    backbone: EfficientNetLite, folder: Path, card: ModelCard, stages: Sequence[int], scales: Sequence[float]
) -> ModelCard:
    """Writes ``features.onnx`` and ``card.json`` of the model with nothing trained."""
    graph = ImageNetGraph(backbone.eval(), stages, scales)
    images = torch.zeros(1, 3, 96, 128)
    write_graph(graph, {"images": images}, ["tokens"], {"images": 1}, folder / "features.onnx")
    channels = sum(backbone.channels[i] for i in stages)
    return write_card(replace(card, stride=16, channels=channels, mean=MEAN, std=STD), folder)


def write_card(card: ModelCard, folder: Path) -> ModelCard:
    """Writes ``card.json`` beside the graphs, with their hash."""
    card = replace(card, sha256=file_hash(*sorted(folder.glob("*.onnx"))))
    text = json.dumps(asdict(card), indent=1, sort_keys=False)
    (folder / "card.json").write_text(text + "\n", encoding="utf-8")
    return card
