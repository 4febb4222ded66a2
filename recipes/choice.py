"""How often whole things are told apart by features nothing was trained on.

    python recipes/choice.py [lite0|lite1|lite2] [--side 512] [--pack PACK]

Every scene of the public validation holds four things and is asked for each by another photo. Here their true
alphas are given: a tap of the ImageNet backbone is averaged over every thing and over the reference, and
the likeliest thing is chosen by cosine. What comes out bounds what matching can reach with these features.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mattelike.network.efficientnet_lite import EfficientNetLite
from mattelike.training import pack, starts
from mattelike.training.validation import questions
from mattelike.training.validation.drawing import Drawn, Studio

HERE = Path(__file__).parent
TAPS = {"stride 16": 4, "stride 32, early": 5, "stride 32, last": 6}


def shown(rgb: NDArray[np.uint8], side: int) -> Tensor:
    """A picture as the backbone takes it, its longer side about `side`."""
    x = torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None].float()
    scale = side / max(x.shape[-2:])
    size = [max(32, round(length * scale / 32) * 32) for length in x.shape[-2:]]
    x = F.interpolate(x, size, mode="bilinear", antialias=True, align_corners=False)
    return (x - 127) / 128


@torch.inference_mode()
def seen(backbone: EfficientNetLite, drawn: Drawn, side: int) -> dict[str, Tensor]:
    """Every tap by name, and what the classifier says at every cell."""
    taps = backbone(shown(drawn.rgb, side))
    found = {name: taps[index] for name, index in TAPS.items()}
    weight, bias = backbone.classifier.weight[:, :, None, None], backbone.classifier.bias
    found["class scores"] = F.conv2d(backbone.semantic(taps[6]), weight, bias)
    return found


def averaged(taps: dict[str, Tensor], alpha: NDArray[np.float32]) -> dict[str, Tensor]:
    """Each tap averaged over a thing: ``(c,)``."""
    full = torch.from_numpy(alpha.copy())[None, None]
    found = {}
    for name, tap in taps.items():
        weight = F.interpolate(full, tap.shape[-2:], mode="area")
        found[name] = (tap * weight).sum(dim=(0, 2, 3)) / weight.sum().clamp(min=1e-3)
    return found


def main() -> None:
    """Asks and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("variant", nargs="?", default="lite0")
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--pack", type=Path, default=Path("packs/full"))
    arguments = parser.parse_args()
    backbone = starts.imagenet_backbone(arguments.variant).eval()
    plan = questions.load(HERE / "validation.json")
    studio = Studio(pack.load(arguments.pack), plan)
    right: Counter[str] = Counter()
    asked = [question for question in plan.questions if question.row == "scenes"]
    for question in asked:
        reference, scene = studio.picture(question.references[0]), studio.picture(question.target)
        wanted = averaged(seen(backbone, reference, arguments.side), reference.alpha(question.kind))
        taps = seen(backbone, scene, arguments.side)
        things = {kind: averaged(taps, alpha) for kind, alpha in scene.alphas.items()}
        for name, token in wanted.items():
            alike = {kind: float(F.cosine_similarity(token, t[name], dim=0)) for kind, t in things.items()}
            right[name] += max(alike, key=alike.__getitem__) == question.kind
    for name, count in right.items():
        print(f"{arguments.variant} at {arguments.side}: {name}: {count / len(asked):.3f} of {len(asked)}")


if __name__ == "__main__":
    main()
