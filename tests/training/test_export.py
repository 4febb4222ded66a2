"""What ships says what was trained: torch against onnxruntime, from array to alpha, on odd sizes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mattelike.contexts import Context
from mattelike.errors import ModelDamagedError
from mattelike.models import contrastive, embedded
from mattelike.network import layers
from mattelike.network.efficientnet_lite import EfficientNetLite
from mattelike.training import export, loop
from mattelike.values import ModelCard
from tests.training.test_loop import TINY

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # torch's exporter warns of itself
    pytest.mark.timeout(600),
]
# Channels of the backbone's own features, two wide heads; and of the grouping tokens with their place.
WIDE = 112 + 320
GROUPING = 8 + 4
SCALE, SHIFT = 0.5, 0.75
SIZES = [(96, 128), (160, 96), (224, 352)]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    made = loop.build(replace(TINY, encoder=replace(TINY.encoder, kinds_head=True, grouping=8)))
    # Norms that are not the identity, so that folding them is put to the test.
    for name, buffer in made.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.2)
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    # Weights that float16 holds exactly: what is left is the difference of the two runtimes.
    made.load_state_dict(
        {k: v.half().to(v.dtype) if v.is_floating_point() else v for k, v in made.state_dict().items()}
    )
    return made.eval()


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    export.export(model, folder, ModelCard("toy", 16, 0), scale=SCALE, shift=SHIFT)
    return folder


@pytest.mark.parametrize("size", SIZES)
def test_torch_and_onnxruntime_agree_end_to_end(model, folder, size):
    shipped = embedded.OnnxModel(folder, device="cpu", threads=1)
    generator = torch.Generator().manual_seed(size[0])
    reference, target = torch.rand(2, 1, 3, *size, generator=generator)
    weights = torch.rand(1, size[0] * size[1] // 256, generator=generator)
    with torch.no_grad():
        looked = model.look(torch.cat([reference, target]))
        evidence = model.compare(
            [tokens[1:] for tokens in looked.tokens],
            [tokens[:1] for tokens in looked.tokens],
            weights,
            [tokens[1:] for tokens in looked.things],
        )
        answer = model.answer(looked, torch.tensor([1]), evidence)
    mean, std = (np.asarray(v, np.float32)[:, None, None] for v in (shipped.card.mean, shipped.card.std))
    seen = [shipped.features((x.numpy() - mean) / std, "target") for x in (reference, target)]
    tokens = seen[0].tokens[0, :-GROUPING].reshape(shipped.card.channels - GROUPING, -1).T
    context = Context(tokens, weights[0].numpy(), np.zeros(len(tokens), np.int16), "toy", shipped.card.sha256)
    guidance = shipped.guide(seen[1], context)
    coarse = shipped.alpha((target.numpy() - mean) / std, seen[1], guidance)
    assert np.allclose(
        guidance.maps, evidence.stacked()[0].reshape(-1, *guidance.similarity.shape), atol=1e-4
    )
    assert np.allclose(coarse.alpha, answer.alpha.sigmoid()[0, 0], atol=1e-4)
    # What the graph says of presence is calibrated.
    expected = float((SCALE * answer.presence + SHIFT).sigmoid())
    assert coarse.presence == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_features_agree_to_a_hundred_thousandth(model, folder, size):
    shipped = embedded.OnnxModel(folder, device="cpu", threads=1)
    images = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        tokens, skips = layers.folded(model).encoder(images)
    seen = shipped.features(images.numpy(), "target")
    for ours, theirs in zip((seen.tokens, *seen.skips), (tokens, *skips), strict=True):
        scale = float(theirs.abs().max())
        assert np.abs(ours - theirs.numpy()).max() <= 1e-5 * max(1, scale)


def test_the_card_says_what_the_graphs_are_and_a_changed_graph_is_found(folder, tmp_path):
    card = embedded.verify(folder)
    assert (card.heads, card.channels, card.head, card.stride) == (2, 16 + WIDE + GROUPING, "icon-flex", 16)
    assert (card.whole_channels, card.grouping_channels) == ((112, 320), GROUPING)
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with (tmp_path / "head.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ModelDamagedError, match="not those of the card"):
        embedded.verify(tmp_path)


def test_imagenet_tokens_are_the_classifier_s_own(tmp_path):
    backbone = EfficientNetLite().eval()
    card = export.export_imagenet(backbone, tmp_path, ModelCard("imagenet", 16, 0), (4, 6), (1.0, 1.0))
    shipped = embedded.OnnxModel(tmp_path, device="cpu", threads=1)
    images = torch.randn(1, 3, 96, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        fine = backbone(images)[4]
    tokens = shipped.features(images.numpy(), "target").tokens
    assert card.channels == tokens.shape[1] == WIDE
    expected = fine / fine.square().sum(dim=1, keepdim=True).add(1e-6).sqrt()
    assert np.allclose(tokens[:, :112], expected.numpy(), atol=1e-3)


def test_halving_keeps_every_weight_to_float16(model, folder, tmp_path):
    size = sum(p.numel() for p in model.parameters())
    shipped = sum(path.stat().st_size for path in folder.glob("*.onnx"))
    assert shipped < 2.6 * size
    assert replace(embedded.read_card(folder), sha256="").sha256 == ""


@pytest.mark.parametrize("size", SIZES)
def test_the_graph_of_the_matching_says_what_the_lines_say(folder, size):
    shipped = embedded.OnnxModel(folder, device="cpu", threads=1)
    random = np.random.default_rng(size[1])
    seen = shipped.features(random.normal(size=(1, 3, *size)).astype(np.float32), "target")
    kept = shipped.card.channels - GROUPING
    # Several references, negatives among them, of other sizes than the target.
    tokens = random.normal(size=(70, kept)).astype(np.float16)
    weights = random.uniform(0, 1, 70).astype(np.float16)
    context = Context(tokens, weights, np.zeros(70, np.int16), "toy", shipped.card.sha256)
    by_graph, by_lines = shipped.guide(seen, context), contrastive.guide(shipped.card, seen, context)
    assert by_graph.names == by_lines.names
    assert np.allclose(by_graph.maps, by_lines.maps, atol=1e-4)
    assert np.allclose(by_graph.similarity, by_lines.similarity, atol=1e-4)
    assert np.allclose(by_graph.propagated, by_lines.propagated, atol=1e-4)
    assert by_graph.presence == pytest.approx(by_lines.presence, abs=1e-4)


@pytest.mark.parametrize("weight", [0, 1])
def test_a_reference_that_is_all_thing_or_none_leaves_no_gap_in_the_guidance(folder, weight):
    shipped = embedded.OnnxModel(folder, device="cpu", threads=1)
    random = np.random.default_rng(3)
    seen = shipped.features(random.normal(size=(1, 3, 64, 96)).astype(np.float32), "target")
    tokens = random.normal(size=(20, shipped.card.channels - GROUPING)).astype(np.float16)
    weights = np.full(20, weight, np.float16)
    context = Context(tokens, weights, np.zeros(20, np.int16), "toy", shipped.card.sha256)
    by_graph, by_lines = shipped.guide(seen, context), contrastive.guide(shipped.card, seen, context)
    assert np.isfinite(by_graph.maps).all()
    assert np.allclose(by_graph.maps, by_lines.maps, atol=1e-4)


def test_graphs_say_nothing_of_the_machine_they_were_made_on(folder):
    for path in (*folder.glob("*.onnx"), *embedded.weights_folder("embedded").parent.glob("*/*.onnx")):
        content = path.read_bytes()
        assert b"site-packages" not in content, path.name
        assert b"stack_trace" not in content, path.name
