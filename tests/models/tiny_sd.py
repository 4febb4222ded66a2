"""A Stable Diffusion 2.1 in miniature: the real classes, its topology, random weights, 128-pixel pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from numpy.typing import NDArray
from safetensors.torch import save_file

SIDE = 128
SCHEDULER = {
    "_class_name": "DDIMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "prediction_type": "v_prediction",
    "steps_offset": 1,
    "set_alpha_to_one": False,
    "clip_sample": False,
}


def unet(seed: int = 0, cross: int = 1024) -> Any:
    torch.manual_seed(seed)
    return UNet2DConditionModel(
        sample_size=SIDE // 8, in_channels=4, out_channels=4, block_out_channels=(16, 16, 32, 32),
        attention_head_dim=(1, 1, 2, 2), cross_attention_dim=cross, use_linear_projection=True,
        layers_per_block=2,
        norm_num_groups=8, down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    ).eval()  # fmt: skip


def vae(seed: int = 1) -> Any:
    torch.manual_seed(seed)
    return AutoencoderKL(
        block_out_channels=(8, 8, 16, 16), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, layers_per_block=1, norm_num_groups=8, latent_channels=4,
        sample_size=SIDE,
    ).eval()  # fmt: skip


def save(folder: Path, *, cross: int = 1024, prediction: str = "v_prediction") -> Path:
    """A folder in the layout of diffusers."""
    unet(cross=cross).save_pretrained(folder / "unet")
    vae().save_pretrained(folder / "vae")
    (folder / "scheduler").mkdir()
    table = SCHEDULER | {"prediction_type": prediction}
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(table))
    embedding = torch.randn(1, 7, cross, generator=torch.Generator().manual_seed(2))
    save_file({"prompt_embeds": embedding}, folder / "prompt_embeds.safetensors")
    return folder


def picture(seed: int = 0, size: tuple[int, int] = (SIDE, SIDE)) -> NDArray[np.float32]:
    """A disc on a gradient, in [-1, 1]: ``(1, 3, h, w)``."""
    height, width = size
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    row, column = (generator.uniform(0.35, 0.65) * length for length in size)
    disc = (rows - row) ** 2 + (columns - column) ** 2 < (min(size) / 4) ** 2
    ramp = np.stack([rows / height, columns / width, np.ones(size) * 0.3])
    colour = generator.uniform(-1, 1, 3)[:, None, None]
    image = np.where(disc, colour, ramp * 2 - 1) + generator.normal(0, 0.02, (3, *size))
    return np.clip(image, -1, 1).astype(np.float32)[None]
