"""The released head: its keys, its arithmetic, and the form of it that keeps no N x N map."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mattelike import resampling, similarity
from mattelike.errors import ModelDamagedError, ModelNotFoundError
from mattelike.network import captured, head_files
from mattelike.network.captured import Layer
from mattelike.network.icon_768 import Icon768, Icon768Settings, Scale, WeighedAttention

P, Q = "in_context_fusion.", "detail_decoder."
SMALL = Icon768Settings(
    scales=(Scale(32, 24), Scale(16, 16)), inter_channels=16, side=128, guide_channels=8, width=12,
    detail=(4, 6, 8), decoder=(16, 12, 8, 6), last=4,
)  # fmt: skip

KEYS: dict[str, tuple[int, ...]] = {
    f"{P}attn_module.norm.weight": (1280,),
    f"{P}attn_module.norm.bias": (1280,),
    f"{P}attn_module_list.0.conv.weight": (256, 576, 3, 3),
    f"{P}attn_module_list.0.ln.weight": (576,),
    f"{P}attn_module_list.0.ln.bias": (576,),
    f"{P}attn_module_list.1.conv.weight": (256, 2304, 3, 3),
    f"{P}attn_module_list.1.ln.weight": (2304,),
    f"{P}attn_module_list.1.ln.bias": (2304,),
    f"{Q}matting_head.matting_convs.0.weight": (16, 32, 3, 3),
    f"{Q}matting_head.matting_convs.0.bias": (16,),
    f"{Q}matting_head.matting_convs.3.weight": (1, 16, 1, 1),
    f"{Q}matting_head.matting_convs.3.bias": (1,),
}
CONVOLUTIONS = {
    f"{P}ft_attn_module_list.0": (320, 576),
    f"{P}ft_attn_module_list.1": (320, 576),
    f"{P}ft_module_list.0": (320, 1280),
    f"{P}ft_module_list.1": (320, 1280),
    f"{P}fusion.module_list.0.conv": (320, 640),
    f"{Q}convstream.convs.0": (48, 3),
    f"{Q}convstream.convs.1": (96, 48),
    f"{Q}convstream.convs.2": (192, 96),
    f"{Q}fusion_blks.0.conv": (256, 512),
    f"{Q}fusion_blks.1.conv": (128, 352),
    f"{Q}fusion_blks.2.conv": (64, 176),
    f"{Q}fusion_blks.3.conv": (32, 67),
}


NORMS = (".bn.", "norm", ".ln.", "matting_convs.1")


def expected() -> dict[str, tuple[int, ...]]:
    table = dict(KEYS)
    norms = {f"{Q}matting_head.matting_convs.1": 16}
    for name, (outputs, inputs) in CONVOLUTIONS.items():
        table[f"{name}.conv.weight"] = (outputs, inputs, 3, 3)
        norms[f"{name}.bn"] = outputs
    for name, channels in norms.items():
        table |= {f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")}
        table[f"{name}.num_batches_tracked"] = ()
    return table


def randomised(head: Icon768, seed: int = 0) -> Icon768:
    """Norms and running statistics away from their start, so that a forgotten one shows."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, value in head.state_dict().items():
            if key.endswith("running_var"):
                value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
            elif value.is_floating_point() and any(part in key for part in NORMS):
                value.copy_(torch.randn(value.shape, generator=generator) * 0.3 + 0.7)
    return head.eval()


def attention(n: int, seed: int, batch: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, n, n, generator=generator).mul(2).softmax(-1)


def layers(grid: int, seed: int, heads: int = 3, count: int = 2) -> list[Layer]:
    generator = torch.Generator().manual_seed(seed)
    n = grid * grid
    return [
        Layer(
            torch.randn(heads, n, 8, generator=generator), torch.randn(heads, n, 8, generator=generator),
            8**-0.5, (grid, grid),
        )
        for _ in range(count)
    ]  # fmt: skip


# --- the reference implementation, written from the description alone -------------------------------------


def reference_similarity(state: dict[str, Tensor], queries: Tensor, features: Tensor) -> Tensor:
    c, h, w = features.shape
    weight, bias = state[f"{P}attn_module.norm.weight"], state[f"{P}attn_module.norm.bias"]
    q = F.layer_norm(queries, (c,), weight, bias, 1e-5)
    t = F.layer_norm(features.reshape(c, h * w).t(), (c,), weight, bias, 1e-5)
    s = torch.zeros(h * w)
    for row in q @ t.t() * c**-0.5:
        s = s + row.softmax(0)
    return s.reshape(1, 1, h, w)


def _norm_relu(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    return F.batch_norm(x, mean, var, weight, bias, False, 0.1, 1e-5).relu()


def _block(state: dict[str, Tensor], name: str, x: Tensor, stride: int = 1) -> Tensor:
    x = F.conv2d(x, state[f"{name}.conv.weight"], stride=stride, padding=1)
    return _norm_relu(state, f"{name}.bn", x)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def reference_alpha(
    state: dict[str, Tensor], image: Tensor, features: list[Tensor], maps: list[Tensor], s: Tensor
) -> Tensor:
    scales = []
    for i, (feature, a) in enumerate(zip(features, maps, strict=True)):
        b, _, h, w = feature.shape
        s_l = F.interpolate(s, (h, w), mode="bilinear", align_corners=True)
        a = a.reshape(b, h, w, h * w)
        x = s_l.reshape(b, 1, 1, h * w) * a
        name = f"{P}attn_module_list.{i}"
        x = F.layer_norm(x, (h * w,), state[f"{name}.ln.weight"], state[f"{name}.ln.bias"], 1e-5)
        guide = F.conv2d(x.permute(0, 3, 1, 2).relu(), state[f"{name}.conv.weight"], padding=1)
        own = _block(state, f"{P}ft_module_list.{i}", feature)
        scales.append(_block(state, f"{P}ft_attn_module_list.{i}", torch.cat([own, guide], 1)))
    x = _block(state, f"{P}fusion.module_list.0.conv", torch.cat([scales[1], _double(scales[0])], 1))
    details = [image]
    for i in range(3):
        details.append(_block(state, f"{Q}convstream.convs.{i}", details[-1], 2))
    for i in range(4):
        x = _block(state, f"{Q}fusion_blks.{i}.conv", torch.cat([details[3 - i], _double(x)], 1))
    last = f"{Q}matting_head.matting_convs"
    x = F.conv2d(x, state[f"{last}.0.weight"], state[f"{last}.0.bias"], padding=1)
    x = _norm_relu(state, f"{last}.1", x)
    return F.conv2d(x, state[f"{last}.3.weight"], state[f"{last}.3.bias"]).sigmoid()


def inputs(settings: Icon768Settings, batch: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(3)
    grids = [settings.side // scale.stride for scale in settings.scales]
    return {
        "image": torch.rand(batch, 3, settings.side, settings.side, generator=generator) * 2 - 1,
        "features": [
            torch.randn(batch, scale.channels, grid, grid, generator=generator)
            for scale, grid in zip(settings.scales, grids, strict=True)
        ],
        "maps": [attention(grid**2, index, batch) for index, grid in enumerate(grids)],
        "queries": [
            torch.randn(5 + 3 * b, settings.inter_channels, generator=generator) for b in range(batch)
        ],
    }


# --- keys -------------------------------------------------------------------------------------------------


def test_A1_the_head_has_the_tensors_of_the_release() -> None:
    with torch.device("meta"):
        head = Icon768()
    state = head.state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == expected()
    assert len(state) == 89
    assert len(list(head.parameters())) == 50
    assert sum(p.numel() for p in head.parameters()) == 21_101_585
    assert sum(b.numel() for b in head.buffers()) == 4_877


def test_A2_every_construction_gives_the_same_head() -> None:
    first, *others = (head_files.shapes(Icon768Settings()) for _ in range(3))
    assert all(other == first for other in others)


@pytest.mark.parametrize("lightning", [True, False])
@pytest.mark.parametrize("prefix", ["in_context_decoder.", ""])
def test_A3_checkpoints_of_the_authors_load_strictly(lightning: bool, prefix: str, tmp_path: Path) -> None:
    state = {prefix + key: torch.zeros(shape) for key, shape in expected().items() if key.endswith("bn.bias")}
    state["feature_extractor.unet.conv_in.weight"] = torch.zeros(2)
    checkpoint = {"state_dict": state, "global_step": 7} if lightning else state
    found = head_files.head_tensors(checkpoint)
    assert set(found) == {key for key in expected() if key.endswith("bn.bias")}
    with pytest.raises(ModelDamagedError, match="weights are missing: detail_decoder"):
        head_files.check(found, head_files.shapes(Icon768Settings()), "x.ckpt")


def test_A3_a_whole_checkpoint_converts_and_odd_ones_are_named(tmp_path: Path) -> None:
    state = {
        f"in_context_decoder.{key}": torch.zeros(()).expand(shape)
        for key, shape in head_files.shapes(Icon768Settings()).items()
    }
    path = tmp_path / "icon.ckpt"
    torch.save({"state_dict": state, "epoch": 3}, path)
    written = head_files.convert(path)
    name, settings, tensors = head_files.read(written)
    assert written == tmp_path / "icon.safetensors"
    assert name == "icon-768"
    assert head_files.icon_768_settings(settings) == Icon768Settings()
    head_files.check(tensors, head_files.shapes(Icon768Settings()), "x")

    torch.save({"state_dict": {**state, "in_context_decoder.other": torch.zeros(1)}}, path)
    with pytest.raises(ModelDamagedError, match="unknown: other"):
        head_files.convert(path)
    key = "in_context_decoder.in_context_fusion.attn_module_list.0.conv.weight"
    torch.save({"state_dict": {**state, key: torch.zeros(()).expand(256, 144, 3, 3)}}, path)
    with pytest.raises(ModelDamagedError, match="shape"):
        head_files.convert(path)


def test_trap_62_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"state_dict": {"x": Trap()}}, tmp_path / "bad.ckpt")
    with pytest.raises(ModelDamagedError, match="without running code"):
        head_files.convert(tmp_path / "bad.ckpt")
    assert not (tmp_path / "ran").exists()
    with pytest.raises(ModelDamagedError, match="mattelike models convert"):
        head_files.read(tmp_path / "bad.ckpt")
    with pytest.raises(ModelNotFoundError):
        head_files.convert(tmp_path / "none.ckpt")


# --- arithmetic -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 2])
def test_A4_alpha_equals_the_reference_implementation(batch: int) -> None:
    torch.manual_seed(0)
    head = randomised(Icon768(SMALL))
    given, state = inputs(SMALL, batch), head.state_dict()
    inter = given["features"][1]
    with torch.inference_mode():
        s = torch.cat([head.similarity(q, inter[b : b + 1]) for b, q in enumerate(given["queries"])])
        wanted_s = torch.cat(
            [reference_similarity(state, q, inter[b]) for b, q in enumerate(given["queries"])]
        )
        alpha = head(given["image"], given["features"], given["maps"], s)
        wanted = reference_alpha(state, given["image"], given["features"], given["maps"], s)
    torch.testing.assert_close(s, wanted_s, rtol=0, atol=1e-6)
    assert alpha.shape == (batch, 1, 128, 128)
    assert float(alpha.min()) > 0 and float(alpha.max()) < 1
    torch.testing.assert_close(alpha, wanted, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 2])
def test_A4_the_full_size_head_equals_the_reference_implementation(batch: int) -> None:
    torch.manual_seed(0)
    settings = Icon768Settings()
    head = randomised(Icon768(settings))
    given = inputs(settings, batch)
    s = torch.rand(batch, 1, 48, 48)
    with torch.inference_mode():
        alpha = head(given["image"], given["features"], given["maps"], s)
        wanted = reference_alpha(head.state_dict(), given["image"], given["features"], given["maps"], s)
    assert alpha.shape == (batch, 1, 768, 768)
    torch.testing.assert_close(alpha, wanted, rtol=0, atol=1e-6)


def note(seen: dict[str, tuple[int, ...]], name: str, module: object, given: object, result: object) -> None:
    if isinstance(result, Tensor):
        seen[name] = tuple(result.shape)


def test_A4_intermediate_shapes_at_full_size() -> None:
    seen: dict[str, tuple[int, ...]] = {}
    with torch.device("meta"):
        head = Icon768().eval()
        for name, module in head.named_modules():
            module.register_forward_hook(partial(note, seen, name))
        features = [torch.empty(1, 1280, n, n) for n in (24, 48)]
        maps = [torch.empty(1, n * n, n * n) for n in (24, 48)]
        alpha = head(torch.empty(1, 3, 768, 768), features, maps, torch.empty(1, 1, 48, 48))
    assert tuple(alpha.shape) == (1, 1, 768, 768)
    assert seen[f"{P}attn_module_list.0"] == (1, 256, 24, 24)
    assert seen[f"{P}attn_module_list.1"] == (1, 256, 48, 48)
    assert seen[P.rstrip(".")] == (1, 320, 48, 48)
    assert [seen[f"{Q}convstream.convs.{i}"][1:] for i in range(3)] == [
        (48, 384, 384),
        (96, 192, 192),
        (192, 96, 96),
    ]
    assert [seen[f"{Q}fusion_blks.{i}"][1:] for i in range(4)] == [
        (256, 96, 96), (128, 192, 192), (64, 384, 384), (32, 768, 768),
    ]  # fmt: skip


def test_A5_nothing_that_is_given_is_changed() -> None:
    head = randomised(Icon768(SMALL))
    given = inputs(SMALL, 1)
    s = head.similarity(given["queries"][0], given["features"][1]).detach()
    before = [x.clone() for x in (s, given["image"], *given["features"], *given["maps"])]
    with torch.inference_mode():
        head(given["image"], given["features"], given["maps"], s)
    after = (s, given["image"], *given["features"], *given["maps"])
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_A6_similarity_weighs_the_keys_of_the_maps() -> None:
    a = attention(16, 1)
    s = torch.rand(1, 16)
    found = WeighedAttention(16, 4).weighed(a, s)
    for i in range(16):
        for j in range(16):
            assert found[0, i, j] == s[0, j] * a[0, i, j]
    transposed = WeighedAttention(16, 4).weighed(a.transpose(1, 2), s)
    assert not torch.equal(found, transposed)
    by_query = WeighedAttention(16, 4, "query").weighed(a, s)
    assert torch.equal(by_query, a * s[0, :, None])


@pytest.mark.parametrize("count", [0, 1, 40])
def test_A7_similarity_equals_the_formula(count: int) -> None:
    head = randomised(Icon768(SMALL))
    generator = torch.Generator().manual_seed(1)
    queries = torch.randn(count, 16, generator=generator)
    features = torch.randn(1, 16, 8, 8, generator=generator)
    with torch.no_grad():
        s = head.similarity(queries, features)
        wanted = reference_similarity(head.state_dict(), queries, features[0])
    torch.testing.assert_close(s, wanted, rtol=0, atol=1e-6)
    assert float(s.sum()) == pytest.approx(count, abs=1e-3 * count)


def test_A8_pooling_a_rectangle_of_300_pixels() -> None:
    mask = torch.zeros(768, 768, dtype=torch.bool)
    mask[200:500, 200:500] = True
    assert int(resampling.all_set(mask.numpy(), (48, 48)).sum()) == 18**2
    touched = resampling.any_set(mask.numpy(), (48, 48))
    assert int(touched.sum()) == 20**2
    assert touched[12:32, 12:32].all()


def test_A15_propagation_equals_the_stored_map() -> None:
    captured_layers = layers(8, 5)
    a = captured.averaged(captured_layers)
    s = torch.rand(64, 3)
    torch.testing.assert_close(a.sum(dim=1), torch.ones(64), rtol=0, atol=1e-5)
    torch.testing.assert_close(captured.propagated(captured_layers, s), a @ s, rtol=1e-5, atol=1e-6)
    first = captured_layers[0]
    shared = similarity.propagate(first.q, first.k, s[None], first.scale, block=10)
    one = captured.propagated([first], s)
    torch.testing.assert_close(shared.mean(dim=0), one, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("block", [1, 5, 8, 48])
def test_A15_the_blockwise_head_equals_the_plain_one(block: int) -> None:
    reader = WeighedAttention(144, 6)
    torch.nn.init.normal_(reader.ln.weight, 1, 0.3)
    torch.nn.init.normal_(reader.ln.bias, 0, 0.3)
    given = layers(12, 9)
    s = torch.rand(1, 1, 12, 12) * 30
    with torch.inference_mode():
        plain = reader(captured.averaged(given)[None], s)
        blocks = reader.blockwise(given, s, block)
    torch.testing.assert_close(blocks, plain, rtol=1e-5, atol=1e-6)


class Largest(TorchDispatchMode):
    """Remembers the largest tensor any operation made."""

    elements = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for each in result if isinstance(result, tuple | list) else (result,):
            if isinstance(each, Tensor):
                self.elements = max(self.elements, each.numel())
        return result


def test_A16_the_blockwise_head_makes_no_map_of_all_pairs() -> None:
    reader = WeighedAttention(32 * 32, 2)
    given = layers(32, 2, heads=1, count=1)
    s = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        with Largest() as blocks:
            reader.blockwise(given, s, 2)
        with Largest() as plain:
            reader(captured.averaged(given)[None], s)
    # Two rows and one around on each side, a column of padding left and right.
    assert blocks.elements <= (2 + 2) * (32 + 2) * 1024
    assert plain.elements >= 1024 * 1024


@pytest.mark.parametrize("guide", ["both", "inter", "intra", "none"])
def test_the_module_switches_of_table_5_each_give_a_head(guide: Any) -> None:
    settings = replace(SMALL, guide=guide)
    head = Icon768(settings).eval()
    given = inputs(settings, 1)
    s = torch.rand(1, 1, 8, 8)
    other = torch.rand(1, 1, 8, 8)
    maps = [] if guide == "none" else given["maps"]
    with torch.inference_mode():
        one, two = (head(given["image"], given["features"], maps, x) for x in (s, other))
    assert one.shape == (1, 1, 128, 128)
    assert torch.equal(one, two) == (guide in ("intra", "none"))


def test_scales_of_one_stride_merge_without_enlarging_and_stride_8_joins_the_first_detail() -> None:
    settings = Icon768Settings(
        scales=(Scale(16, 16), Scale(8, 8, False), Scale(8, 8, False)), inter_channels=16, side=128,
        guide_channels=8, width=12, detail=(4, 6, 8), decoder=(16, 12, 8, 6), last=4, image_channels=4,
    )  # fmt: skip
    head = Icon768(settings).eval()
    features = [torch.randn(1, 16, 8, 8), torch.randn(1, 8, 16, 16), torch.randn(1, 8, 16, 16)]
    with torch.inference_mode():
        alpha = head(torch.rand(1, 4, 128, 128), features, [attention(64, 0)], torch.rand(1, 1, 8, 8))
    assert alpha.shape == (1, 1, 128, 128)
