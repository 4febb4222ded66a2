"""The partial U-Net: bit-equal to the whole one as far as it goes, and no further than needed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.models import tiny_sd
from torch import Tensor

from mattelike.models import sd21_unet
from mattelike.models.sd21_extractor import as_layer
from mattelike.network import captured

BLOCKS, STRIDES, PLACES = (2, 5), (32, 16), ("down", "mid", "up")


@pytest.fixture(scope="module")
def unet() -> Any:
    return tiny_sd.unet()


@pytest.fixture(scope="module")
def given() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    return torch.randn(2, 4, 16, 16, generator=generator), torch.randn(1, 7, 1024, generator=generator)


def whole_run(unet: Any, latents: Tensor, prompt: Tensor) -> dict[str, Tensor]:
    """Every tensor wanted, from hooks on a run that nothing interrupts."""
    seen: dict[str, Tensor] = {}
    modules = {"up0": unet.up_blocks[0], "up1": unet.up_blocks[1]}
    for index, site in enumerate(sd21_unet.attention_sites(unet, STRIDES, PLACES)):
        modules |= {f"q{index}": site.module.to_q, f"k{index}": site.module.to_k}
    handles = [
        module.register_forward_hook(lambda m, i, o, name=name: seen.__setitem__(name, o))
        for name, module in modules.items()
    ]
    with torch.inference_mode():
        unet(latents, 200, prompt.expand(len(latents), -1, -1))
    for handle in handles:
        handle.remove()
    return seen


def test_A10_the_partial_run_is_bit_equal_to_the_whole_one(unet: Any, given: tuple[Tensor, Tensor]) -> None:
    latents, prompt = given
    wanted = whole_run(unet, latents, prompt)
    entered = 0

    def count(module: object, inputs: object) -> None:
        nonlocal entered
        entered += 1

    handle = unet.up_blocks[3].register_forward_pre_hook(count)
    sites = sd21_unet.attention_sites(unet, STRIDES, PLACES)
    with torch.inference_mode():
        seen = sd21_unet.look(unet, latents, 200, prompt, BLOCKS, sites)
    handle.remove()
    assert entered == 0
    assert torch.equal(seen.features[2], wanted["up0"])
    assert torch.equal(seen.features[5], wanted["up1"])
    assert len(sites) == 10
    for index in range(10):
        assert torch.equal(seen.queries[index], wanted[f"q{index}"])
        assert torch.equal(seen.keys[index], wanted[f"k{index}"])


def test_A10_a_reference_goes_no_further_than_its_feature(unet: Any, given: tuple[Tensor, Tensor]) -> None:
    latents, prompt = given
    entered: list[str] = []
    handles = [
        module.register_forward_pre_hook(lambda m, i, name=name: entered.append(name))
        for name, module in (("up1", unet.up_blocks[1]), ("up2", unet.up_blocks[2]))
    ]
    with torch.inference_mode():
        seen = sd21_unet.look(unet, latents, 200, prompt, (5,))
    for handle in handles:
        handle.remove()
    assert entered == ["up1"]
    assert seen.features[5].shape == (2, 32, 8, 8)
    assert not any(module._forward_hooks for module in unet.modules())


def test_every_decoder_block_is_where_its_number_says(unet: Any, given: tuple[Tensor, Tensor]) -> None:
    latents, prompt = given
    with torch.inference_mode():
        seen = sd21_unet.look(unet, latents, 200, prompt, range(12))
    for number in range(12):
        stride, channels = sd21_unet.block_stride(unet, number), sd21_unet.block_channels(unet, number)
        assert seen.features[number].shape == (2, channels, 128 // stride, 128 // stride)
    assert [sd21_unet.block_stride(unet, n) for n in range(12)] == [
        64,
        64,
        32,
        32,
        32,
        16,
        16,
        16,
        8,
        8,
        8,
        8,
    ]


def test_A11_captured_attention_is_the_average_of_explicit_softmaxes(
    unet: Any, given: tuple[Tensor, Tensor]
) -> None:
    latents, prompt = given
    sites = sd21_unet.attention_sites(unet, STRIDES, PLACES)
    with torch.inference_mode():
        seen = sd21_unet.look(unet, latents, 200, prompt, (), sites)
    for stride, tokens in ((32, 16), (16, 64)):
        chosen = [i for i, site in enumerate(sites) if site.stride == stride]
        assert [sites[i].place for i in chosen] == ["down"] * 2 + ["up"] * 3
        layers = [as_layer(sites[i], seen.queries[i], seen.keys[i], (128, 128)) for i in chosen]
        a = captured.averaged(layers)
        assert a.shape == (tokens, tokens)
        assert float(a.min()) >= 0
        torch.testing.assert_close(a.sum(dim=1), torch.ones(tokens), rtol=0, atol=1e-5)
        torch.testing.assert_close(a, explicit(sites, seen, chosen), rtol=0, atol=1e-6)


def explicit(sites: Any, seen: Any, chosen: list[int]) -> Tensor:
    maps = []
    for i in chosen:
        heads = sites[i].module.heads
        for q, k in zip(seen.queries[i], seen.keys[i], strict=True):
            for q_head, k_head in zip(q.chunk(heads, -1), k.chunk(heads, -1), strict=True):
                logits = q_head @ k_head.T / q_head.shape[-1] ** 0.5
                maps.append(logits.softmax(-1))
    return torch.stack(maps).mean(0)


def test_A12_the_order_of_heads_and_copies_does_not_matter(unet: Any, given: tuple[Tensor, Tensor]) -> None:
    latents, prompt = given
    sites = sd21_unet.attention_sites(unet, (16,), PLACES)
    with torch.inference_mode():
        seen = sd21_unet.look(unet, latents, 200, prompt, (), sites)
    layers = [as_layer(site, seen.queries[i], seen.keys[i], (128, 128)) for i, site in enumerate(sites)]
    turned = [
        as_layer(site, seen.queries[i].flip(0), seen.keys[i].flip(0), (128, 128))
        for i, site in enumerate(sites)
    ]
    one, two = captured.averaged(layers), captured.averaged(turned[::-1])
    torch.testing.assert_close(one, two, rtol=0, atol=1e-6)
