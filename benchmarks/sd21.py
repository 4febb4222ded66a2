"""What a pair costs with IconMatting: the released procedure against ours, in FLOPs and in seconds.

    python benchmarks/sd21.py                 count both, on no data at all (seconds, little memory)
    python benchmarks/sd21.py --run           run both at full size with random weights (bf16, below 16 GiB)
    python benchmarks/sd21.py --run --device cuda

The diffusion model is built from its published configuration with random weights: what is counted and timed
does not depend on their values. The released procedure encodes reference and target anew for every pair, each
of the four noise draws through the VAE and the whole U-Net, and computes attention logits twice.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mattelike.models import sd21_heads, sd21_unet
from mattelike.models.sd21_extractor import Backbone, Extractor, as_layer
from mattelike.models.sd21_settings import IconSettings, settings_of
from mattelike.network import captured

SIDE, PROMPT, REFERENCE_CELLS = 768, 77, 300
# Measured on the release's own modules, for one pair; the count must meet it or the ratio means nothing.
RELEASED_TFLOP = 38.6


def unet() -> Any:
    """The U-Net of Stable Diffusion 2.1 as published."""
    kind: Any = diffusers.UNet2DConditionModel
    return kind(
        sample_size=96, in_channels=4, out_channels=4, block_out_channels=(320, 640, 1280, 1280),
        attention_head_dim=(5, 10, 20, 20), cross_attention_dim=1024, use_linear_projection=True,
        layers_per_block=2, upcast_attention=True,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    ).eval()  # fmt: skip


def vae() -> Any:
    """Its VAE."""
    kind: Any = diffusers.AutoencoderKL
    return kind(
        block_out_channels=(128, 256, 512, 512), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, layers_per_block=2, latent_channels=4, sample_size=SIDE,
    ).eval()  # fmt: skip


def flops(action: Callable[[], object]) -> float:
    """FLOPs of an action, a multiply-add being two."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        action()
    return float(counter.get_total_flops())


def count() -> dict[str, Any]:
    """FLOPs of the parts and of both procedures, on tensors without data."""
    settings = IconSettings()
    with torch.device("meta"):
        net, encoder = unet(), vae()
        head = sd21_heads.untrained(settings, net).eval()
        image, latent = torch.empty(1, 3, SIDE, SIDE), torch.empty(1, 4, SIDE // 8, SIDE // 8)
        prompt = torch.empty(1, PROMPT, 1024)
    sites = sd21_unet.attention_sites(net, settings.attention_strides, settings.attention_places)

    def look(blocks: Sequence[int], chosen: Sequence[sd21_unet.Site] = ()) -> sd21_unet.Seen:
        return sd21_unet.look(net, latent, settings.timestep, prompt, blocks, chosen)

    parts = {
        "vae": flops(lambda: encoder.encode(image)),
        "unet": flops(lambda: look((11,))),
        "unet, reference": flops(lambda: look((5,))),
        "unet, target": flops(lambda: look((2, 5), sites)),
        "logits": float(sum(recomputed(site) for site in sites)),
        "maps": flops(lambda: averaged(sites, look((2, 5), sites))),
        "head": flops(lambda: answered(head, image)),
    }
    # Parts that are counted with the run of the U-Net they need.
    parts["maps"] -= parts["unet, target"]
    return {"gflop": {name: round(value / 1e9, 1) for name, value in parts.items()}, **ratios(parts)}


def recomputed(site: sd21_unet.Site) -> int:
    """The logits that the release computes a second time at a layer, self and cross."""
    tokens, channels = (SIDE // site.stride) ** 2, site.module.to_q.out_features
    return int(2 * tokens * channels * (tokens + PROMPT))


def averaged(sites: Sequence[sd21_unet.Site], seen: sd21_unet.Seen) -> list[Tensor]:
    """The two averaged maps."""
    layers: dict[int, list[captured.Layer]] = {}
    for index, site in enumerate(sites):
        layer = as_layer(site, seen.queries[index], seen.keys[index], (SIDE, SIDE))
        layers.setdefault(site.stride, []).append(layer)
    return [captured.averaged(found) for found in layers.values()]


def answered(head: Any, image: Tensor) -> Tensor:
    """Similarity and head."""
    features = [torch.empty(1, 1280, n, n, device=image.device) for n in (24, 48)]
    maps = [torch.empty(1, n * n, n * n, device=image.device) for n in (24, 48)]
    similar = head.similarity(torch.empty(REFERENCE_CELLS, 1280, device=image.device), features[1])
    found: Tensor = head(image, features, maps, similar)
    return found


def ratios(parts: dict[str, float]) -> dict[str, Any]:
    """TFLOP of both procedures: a pair, and one target more with the reference kept."""
    released = 2 * 4 * (parts["vae"] + parts["unet"] + parts["logits"]) + parts["head"]
    ours: dict[str, Any] = {}
    for draws in (4, 1):
        reference = parts["vae"] + draws * parts["unet, reference"]
        target = parts["vae"] + draws * (parts["unet, target"] + parts["maps"]) + parts["head"]
        ours[f"E={draws}"] = {
            "reference": round(reference / 1e12, 2),
            "target": round(target / 1e12, 2),
            "fewer per target": round(released / target, 2),
        }
    return {
        "released pair, TFLOP": round(released / 1e12, 2),
        "released pair over specification": round(released / 1e12 / RELEASED_TFLOP, 4),
        "ours, TFLOP": ours,
    }


# --- running -----------------------------------------------------------------------------------------


def backbone(device: str, dtype: torch.dtype) -> Backbone:
    """Random weights, full size, in place."""
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        net, encoder = unet(), vae()
    finally:
        torch.set_default_dtype(before)
    encoder.decoder = None
    for network in (net, encoder):
        network.requires_grad_(False).to(device)
    scheduler: Any = diffusers.DDIMScheduler
    alphas = scheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear").alphas_cumprod
    prompt = torch.randn(1, PROMPT, 1024).to(device, dtype)
    return Backbone(net, encoder, prompt, alphas.double(), "random", "random weights")


def released_pair(extractor: Extractor, head: Any, images: tuple[Tensor, Tensor]) -> Tensor:
    """Reference and target as the release runs them: every draw through the VAE and the whole U-Net."""
    looks = []
    for image in images:
        copies = [extractor.latents(image, "target")[:1] for _ in range(4)]
        looks.append(extractor.look(torch.cat(copies), (2, 5, 11), (32, 16)))
        # The release computes the maps of the reference too, and throws them away.
        maps = [captured.averaged(looks[-1].layers[stride])[None] for stride in (32, 16)]
    return finished(head, images[1], looks[0].features[5], looks[1], maps)


def our_target(extractor: Extractor, head: Any, image: Tensor, reference: Tensor) -> Tensor:
    """A target with the reference kept."""
    look = extractor.look(extractor.latents(image, "target"), (2, 5), (32, 16))
    maps = [captured.averaged(look.layers[stride])[None] for stride in (32, 16)]
    return finished(head, image, reference, look, maps)


def finished(head: Any, image: Tensor, reference: Tensor, look: Any, maps: list[Tensor]) -> Tensor:
    """Similarity and head on the features found."""
    queries = reference[0].flatten(1).T[:REFERENCE_CELLS]
    with torch.inference_mode():
        similar = head.similarity(queries, look.features[5])
        found: Tensor = head(image.to(queries.device), [look.features[2], look.features[5]], maps, similar)
    return found


@dataclass(frozen=True, slots=True)
class Spent:
    """What one run took: seconds by the clock, and of the processor, which other programs do not stretch."""

    wall: float
    processor: float


def timed(action: Callable[[], Tensor], device: str) -> Spent:
    """One run."""
    began, busy = time.perf_counter(), time.process_time()
    action()
    if device == "cuda":
        torch.cuda.synchronize()
    return Spent(round(time.perf_counter() - began, 3), round(time.process_time() - busy, 3))


def run(device: str, dtype: torch.dtype) -> dict[str, Any]:
    """Seconds of both procedures and the peak of memory, in one process.

    A small run comes first: it pays for what is set up once.
    """
    frozen = backbone(device, dtype)
    pair = (torch.rand(1, 3, SIDE, SIDE) * 2 - 1, torch.rand(1, 3, SIDE, SIDE) * 2 - 1)
    spent: dict[str, Spent] = {}
    for draws in (1, 4):
        settings = settings_of({"dtype": str(dtype).removeprefix("torch."), "ensemble_size": draws})
        extractor = Extractor(frozen, settings)
        head = sd21_heads.untrained(settings, frozen.unet).eval().requires_grad_(False).to(device)
        reference = extractor.look(extractor.latents(pair[0], "reference"), (5,)).features[5]
        ours = partial(our_target, extractor, head, pair[1], reference)
        spent[f"ours, a target, E={draws}"] = timed(ours, device)
    peak = memory(device)
    spent["released, a pair"] = timed(lambda: released_pair(extractor, head, pair), device)
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "dtype": str(dtype),
        "threads": torch.get_num_threads(),
        "seconds": {name: asdict(each) for name, each in spent.items()},
        "times faster": {
            name: {
                "wall": round(spent["released, a pair"].wall / each.wall, 2),
                "processor": round(spent["released, a pair"].processor / each.processor, 2),
            }
            for name, each in spent.items()
        },
        "ours, peak GiB": round(peak, 2),
        "both, peak GiB": round(memory(device), 2),
    }


def memory(device: str) -> float:
    """Peak in GiB: of the GPU, or of the process itself, where ``ru_maxrss`` would begin at its parent's."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    with Path("/proc/self/status").open(encoding="ascii") as status:
        peak = next(line.split()[1] for line in status if line.startswith("VmHWM:"))
    return int(peak) / 2**20


def main() -> None:
    """Prints one table as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", action="store_true", help="run both procedures at full size")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float16", "float32"])
    given = parser.parse_args()
    table = count()
    if given.run:
        table["run"] = run(given.device, getattr(torch, given.dtype))
    print(json.dumps(table, indent=2))


if __name__ == "__main__":
    main()
