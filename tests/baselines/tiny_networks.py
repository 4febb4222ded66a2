"""Small random weights of the real classes of `transformers`, saved to folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra baselines")
transformers = pytest.importorskip("transformers", reason="needs the extra baselines")

SIDE = 128
PROMPTS = {"hidden_size": 32, "image_size": SIDE, "patch_size": 16}
DECODER = {"hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 32}


def saved(network: Any, folder: Path) -> Path:
    network.save_pretrained(folder)
    return folder


def vitmatte(folder: Path) -> Path:
    torch.manual_seed(0)
    backbone = transformers.VitDetConfig(
        num_channels=4,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=64,
        pretrain_image_size=64,
        out_features=["stage2"],
    )
    config = transformers.VitMatteConfig(
        backbone_config=backbone,
        hidden_size=24,
        convstream_hidden_sizes=[8, 12, 16],
        fusion_hidden_sizes=[16, 12, 8, 6],
    )
    network = transformers.VitMatteForImageMatting(config)
    # As they come, its random weights are so small that every alpha is a half.
    with torch.no_grad():
        for weights in network.parameters():
            if weights.ndim > 1:
                weights.normal_(0, 0.2)
    return saved(network, folder)


def seggpt(folder: Path) -> Path:
    torch.manual_seed(0)
    config = transformers.SegGptConfig(
        hidden_size=24,
        num_hidden_layers=5,
        num_attention_heads=2,
        image_size=(128, 64),
        pretrain_image_size=64,
        decoder_hidden_size=8,
        merge_index=0,
        intermediate_hidden_state_indices=[1, 2, 3, 4],
    )
    return saved(transformers.SegGptForImageSegmentation(config), folder)


def sam(folder: Path) -> Path:
    torch.manual_seed(0)
    vision = {
        "hidden_size": 24,
        "output_channels": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": SIDE,
        "window_size": 4,
        "global_attn_indexes": [1],
        "num_pos_feats": 16,
        "mlp_dim": 48,
        "initializer_range": 0.02,
    }
    config = transformers.SamConfig(
        vision_config=vision, prompt_encoder_config=PROMPTS, mask_decoder_config=DECODER
    )
    return saved(transformers.SamModel(config), folder)


def hiera() -> Any:
    """SAM 2's vision encoder, small."""
    backbone = transformers.Sam2HieraDetConfig(
        hidden_size=16,
        num_attention_heads=1,
        image_size=[SIDE, SIDE],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[16, 32, 64, 128],
        num_attention_heads_per_stage=[1, 2, 4, 8],
        global_attention_blocks=[3],
        window_positional_embedding_background_size=[4, 4],
    )
    return transformers.Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[128, 64, 32, 16],
        backbone_feature_sizes=[[32, 32], [16, 16], [8, 8]],
        fpn_hidden_size=32,
    )


def sam2(folder: Path) -> Path:
    torch.manual_seed(0)
    config = transformers.Sam2Config(
        vision_config=hiera().to_dict(), prompt_encoder_config=PROMPTS, mask_decoder_config=DECODER
    )
    return saved(transformers.Sam2Model(config), folder)


def dino(folder: Path) -> Path:
    torch.manual_seed(0)
    config = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=56, patch_size=14
    )
    return saved(transformers.Dinov2Model(config), folder)


def sam3(folder: Path) -> Path:
    torch.manual_seed(0)
    side = 112
    backbone = transformers.Sam3ViTConfig(
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=side,
        pretrain_image_size=56,
        window_size=4,
        global_attn_indexes=[1],
    )
    vision = transformers.Sam3VisionConfig(
        backbone_config=backbone.to_dict(),
        fpn_hidden_size=32,
        backbone_feature_sizes=[[32, 32], [16, 16], [8, 8]],
    )
    config = transformers.Sam3TrackerConfig(
        vision_config=vision.to_dict(),
        prompt_encoder_config={"hidden_size": 32, "image_size": side, "patch_size": 14},
        mask_decoder_config=DECODER,
    )
    return saved(transformers.Sam3TrackerModel(config), folder)
