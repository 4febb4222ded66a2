"""Guidance and the flex head without absolute positions: any size, any backbone, several references."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mattelike.network import captured, icon_guidance
from mattelike.network.captured import Layer
from mattelike.network.icon_backbone import Declared, Encoded, FlexOnBackbone, level_of, matte, padded
from mattelike.network.icon_vitmatte import VitMatteHead, trimap

WRAP = "circular"


class Stub(nn.Module):
    """A small convolutional backbone that wraps round; features at the strides it declares."""

    def __init__(self, declared: Declared, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.declared = declared
        self.convs = nn.ModuleList(
            nn.Conv2d(3, channels, 3, padding=1, padding_mode=WRAP) for channels in declared.channels
        )

    def encode(self, images: Tensor) -> Encoded:
        features = tuple(
            torch.tanh(conv(F.avg_pool2d(images, stride)))
            for conv, stride in zip(self.convs, self.declared.strides, strict=True)
        )
        layers: dict[int, tuple[Layer, ...]] = {}
        for index, (stride, heads, width) in enumerate(self.declared.attention):
            grid = (images.shape[-2] // stride, images.shape[-1] // stride)
            x = F.adaptive_avg_pool2d(images[0], grid).flatten(1).T
            q, k = (torch.sin(x @ torch.full((3, heads * width), 0.3 + index + part)) for part in (0.0, 0.5))
            split = (y.reshape(-1, heads, width).transpose(0, 1) for y in (q, k))
            layers[stride] = (*layers.get(stride, ()), Layer(*split, width**-0.5, grid))
        return Encoded(features, layers)


PLAIN = Declared((8,), (16,))
STRIDE_14 = Declared((6,), (14,))
PYRAMID = Declared((6, 8, 10), (8, 16, 32), 1, ((16, 2, 4), (32, 3, 4)))


def image(height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.interpolate(
        torch.rand(1, 3, height // 8 + 1, width // 8 + 1, generator=generator) * 2 - 1,
        size=(height, width), mode="bilinear",
    )  # fmt: skip


def queries(channels: int, count: int = 4, seed: int = 1) -> Tensor:
    return torch.randn(count, channels, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(128, 128), (192, 128), (125, 83)])
def test_A29_the_same_weights_take_every_size(size: tuple[int, int]) -> None:
    backbone, head = Stub(PLAIN), FlexOnBackbone(PLAIN, width=16, blocks=1).eval()
    count = sum(p.numel() for p in head.parameters())
    with torch.inference_mode():
        found = matte(backbone, head, image(*size), [queries(8)])
    assert found.alpha.shape == (1, 1, *size)
    assert torch.isfinite(found.alpha).all()
    assert sum(p.numel() for p in head.parameters()) == count


def test_A29_shifting_the_picture_shifts_the_answer() -> None:
    backbone = Stub(PLAIN)
    # Without its rounds of attention the head looks at a neighbourhood alone; with them, at borders too.
    head = FlexOnBackbone(PLAIN, width=16, blocks=0).eval()
    given = image(256, 256)
    with torch.inference_mode():
        still = matte(backbone, head, given, [queries(8)]).alpha
        moved = matte(backbone, head, given.roll(16, dims=-1), [queries(8)]).alpha
    inner = slice(96, 160)
    expected = still.roll(16, dims=-1)[..., inner, inner]
    torch.testing.assert_close(moved[..., inner, inner], expected, rtol=0, atol=1e-4)
    assert float(still.std()) > 1e-4


@pytest.mark.parametrize("declared", [STRIDE_14, PYRAMID])
@pytest.mark.parametrize("norm", ["bn", "gn"])
def test_A30_a_head_is_built_from_what_a_backbone_declares(declared: Declared, norm: str) -> None:
    backbone = Stub(declared)
    head = FlexOnBackbone(declared, width=16, blocks=1, norm=norm).eval()  # type: ignore[arg-type]
    batch_norms = [m for m in head.modules() if isinstance(m, nn.BatchNorm2d)]
    assert bool(batch_norms) == (norm == "bn")
    references = [queries(declared.channels[declared.inter])]
    with torch.inference_mode():
        for size in ((112, 112), (130, 90)):
            found = matte(backbone, head, image(*size), references, [queries(len(references[0][0]), 2, 9)])
            assert found.alpha.shape == (1, 1, *size)
            assert float(found.alpha.min()) > 0 and float(found.alpha.max()) < 1
            assert 0 <= float(found.presence) <= 1


def test_A30_strides_find_their_level() -> None:
    assert [level_of(s) for s in (2, 4, 8, 14, 16, 28, 32)] == [2, 4, 8, 16, 16, 32, 32]
    assert STRIDE_14.multiple == 112
    assert PYRAMID.multiple == 32
    with pytest.raises(ValueError, match="at least one feature"):
        Declared((), ())
    with pytest.raises(ValueError, match="inter=3"):
        Declared((4,), (8,), 3)
    assert padded(image(5, 7), 16).shape == (1, 3, 16, 16)


def test_A31_references_count_alike_in_any_order() -> None:
    feature = torch.randn(8, 5, 6, generator=torch.Generator().manual_seed(0))
    three = [queries(8, count, count) for count in (2, 5, 9)]
    for how in ("mean", "tokens", "max"):
        maps = [icon_guidance.similar_to(order, feature, how) for order in permutations(three)]  # type: ignore[arg-type]
        for other in maps[1:]:
            torch.testing.assert_close(other, maps[0], rtol=0, atol=1e-6)
    mean = icon_guidance.similar_to(three, feature)
    torch.testing.assert_close(icon_guidance.similar_to(three * 2, feature), mean, rtol=0, atol=1e-6)
    assert float(mean.sum()) == pytest.approx(1, abs=1e-5)
    single = icon_guidance.similar_to(three[:1], feature)
    assert all(
        torch.equal(icon_guidance.similar_to(three[:1], feature, how), single) for how in ("tokens", "max")
    )  # type: ignore[arg-type]
    assert not icon_guidance.similar_to([], feature).any()


def test_A32_negatives() -> None:
    feature = torch.randn(8, 5, 6, generator=torch.Generator().manual_seed(0))
    positive, negative = queries(8, 4, 1), queries(8, 3, 2)
    same = icon_guidance.contrast(positive, positive, feature)
    torch.testing.assert_close(same, torch.full((5, 6), 0.5), rtol=0, atol=1e-6)
    none = icon_guidance.contrast(positive, positive[:0], feature)
    assert bool((none == 0.5).all())
    s = icon_guidance.similar_to([positive], feature)
    assert torch.equal(icon_guidance.against(s, s * 0, none, "gate"), s)
    assert torch.equal(icon_guidance.against(s, s * 0, none, "subtract"), s)
    opposed = icon_guidance.similar_to([negative], feature)
    contrasted = icon_guidance.contrast(positive, negative, feature)
    for mode in ("gate", "subtract"):
        less = icon_guidance.against(s, opposed, contrasted, mode)  # type: ignore[arg-type]
        assert bool((less <= s).all()) and bool((less >= 0).all())
    assert torch.equal(icon_guidance.against(s, opposed, contrasted, "none"), s)


def test_A32_no_negatives_and_an_empty_list_are_bit_equal() -> None:
    backbone, head = Stub(PYRAMID), FlexOnBackbone(PYRAMID, width=16, blocks=1).eval()
    with torch.inference_mode():
        one = matte(backbone, head, image(64, 64), [queries(8)])
        two = matte(backbone, head, image(64, 64), [queries(8)], [])
    assert torch.equal(one.alpha, two.alpha)


def test_A33_a_target_without_the_kind_has_less_evidence() -> None:
    colours = {"red": torch.tensor([1.0, -1, -1]), "blue": torch.tensor([-1.0, -1, 1])}
    scenes = {}
    for name, colour in colours.items():
        scene = torch.tensor([-0.2, 0.6, -0.1])[:, None, None].expand(3, 16, 16).clone()
        scene += torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(3)) * 0.05
        scene[:, 4:9, 5:10] = colour[:, None, None]
        scenes[name] = scene
    reference = scenes["red"][:, 4:9, 5:10].flatten(1).T
    evidence = {
        name: icon_guidance.presence_evidence(icon_guidance.best_cosine(reference, scene), scene)
        for name, scene in scenes.items()
    }
    assert float(evidence["blue"]) < float(evidence["red"])
    assert icon_guidance.presence(evidence["blue"]) < icon_guidance.presence(evidence["red"])


def test_an_even_map_is_one_and_propagation_keeps_its_scale() -> None:
    feature = torch.randn(8, 6, 6, generator=torch.Generator().manual_seed(0))
    layer = captured.from_features(feature)
    best = icon_guidance.best_cosine(queries(8), feature)
    maps = icon_guidance.guidance_maps(torch.full((6, 6), 0.01), best, [layer])
    assert maps.shape == (len(icon_guidance.MAPS), 6, 6)
    torch.testing.assert_close(maps[:3].expm1(), torch.ones(3, 6, 6), rtol=0, atol=1e-5)
    assert not maps[4:7].any()
    a = captured.averaged([layer])
    assert bool((a.diagonal() == a.amax(dim=1)).all())
    by_head = icon_guidance.HeadProjection(1)
    assert by_head(torch.full((6, 6), 0.01), [layer]).shape == (8, 6, 6)


def test_a_trimap_from_guidance_for_an_off_the_shelf_head() -> None:
    guidance = torch.zeros(1, 1, 16, 16)
    guidance[..., 4:12, 4:12] = 3
    found = trimap(guidance, (256, 256))
    assert found.unique().tolist() == [0, 0.5, 1]
    assert float(found[0, 0, 128, 128]) == 1
    assert float(found[0, 0, 10, 10]) == 0
    assert not trimap(torch.zeros(1, 1, 4, 4), (32, 32)).any()


def test_vitmatte_of_transformers_is_such_a_head() -> None:
    from transformers import VitDetConfig, VitMatteConfig, VitMatteForImageMatting

    torch.manual_seed(0)
    network = VitMatteForImageMatting(
        VitMatteConfig(
            backbone_config=VitDetConfig(
                num_channels=4, image_size=64, patch_size=16, hidden_size=16, num_hidden_layers=1,
                num_attention_heads=2, out_features=["stage1"], use_relative_position_embeddings=False,
            ),
            hidden_size=16, convstream_hidden_sizes=[4, 8, 16], fusion_hidden_sizes=[16, 8, 8, 4],
        )
    ).eval()  # fmt: skip
    guidance = torch.zeros(1, 1, 8, 8)
    guidance[..., 2:6, 2:6] = 1
    with torch.inference_mode():
        alpha = VitMatteHead(network)(image(128, 128), guidance)
    assert alpha.shape == (1, 1, 128, 128)
    assert float(alpha[0, 0, 64, 64]) == 1
    assert float(alpha[0, 0, 0, 0]) == 0
    assert bool(((alpha > 0) & (alpha < 1)).any())
