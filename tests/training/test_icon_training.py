"""The paper's training in small: a frozen backbone, a new flex head, matting losses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mattelike.network import icon_guidance
from mattelike.network.icon_backbone import Declared, Encoded, FlexOnBackbone
from mattelike.training import icon_losses
from mattelike.training.icon_schedule import optimiser, warmup

SIDE = 64


class Frozen(nn.Module):
    """Random convolutions at strides 8 and 16, never trained."""

    declared = Declared((12, 16), (8, 16), 0)

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Conv2d(3, 12, 3, padding=1)
        self.coarse = nn.Conv2d(3, 16, 3, padding=1)
        self.eval().requires_grad_(False)

    def encode(self, images: Tensor) -> Encoded:
        fine, coarse = (F.avg_pool2d(images, stride) for stride in (8, 16))
        return Encoded((torch.tanh(2 * self.fine(fine)), torch.tanh(2 * self.coarse(coarse))), {})


def scene(seed: int, colour: Tensor) -> tuple[Tensor, Tensor]:
    """A soft disc of a colour on noise: image ``(1, 3, h, w)`` in [-1, 1] and alpha ``(h, w)``."""
    generator = torch.Generator().manual_seed(seed)
    row, column = (torch.rand(2, generator=generator) * 0.4 + 0.3) * SIDE
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    alpha = (14 - ((rows - row) ** 2 + (columns - column) ** 2).sqrt()).div(4).add(0.5).clamp(0, 1)
    behind = torch.rand(3, SIDE, SIDE, generator=generator) * 0.6 - 0.3
    return (alpha * colour[:, None, None] + (1 - alpha) * behind)[None], alpha


def test_A39_twenty_steps_lower_the_loss_and_only_the_head_learns() -> None:
    torch.manual_seed(0)
    backbone = Frozen()
    head = FlexOnBackbone(backbone.declared, width=32, blocks=1).train()
    colours = torch.rand(8, 3) * 2 - 1
    pairs = [(scene(2 * i, c), scene(2 * i + 1, c)) for i, c in enumerate(colours)]
    steps = optimiser(head, "adamw", 3e-3, 0.01)
    history = []
    for step in range(20):
        for group in steps.param_groups:
            group["lr"] = 3e-3 * warmup(step + 1, 3)
        losses = []
        for (image, mask), (target, alpha) in pairs:
            features = backbone.encode(image).features[0][0]
            chosen = F.avg_pool2d(mask[None], 8)[0] > 0.9
            queries = features[:, chosen].T
            seen = backbone.encode(target)
            similar = icon_guidance.similar_to([queries], seen.features[0][0])
            best = icon_guidance.best_cosine(queries, seen.features[0][0])
            answer = head(target, seen, head.guidance(seen, similar, best))
            truth = icon_losses.truth_of(alpha, None, "matting", trimap_radius=2)
            losses.append(icon_losses.total(answer.alpha.sigmoid(), [truth], "paper")[0])
        loss = torch.stack(losses).mean()
        steps.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        steps.step()
        history.append(float(loss.detach()))
    assert history[-1] <= 0.7 * history[0]
    assert all(parameter.grad is None for parameter in backbone.parameters())
    assert any(parameter.grad is not None for parameter in head.parameters())
