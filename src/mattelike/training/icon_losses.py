"""The losses of IconMatting: as the paper states them, and as its release computes them (paper 4.2).

All take one sample at a time, ``(h, w)`` maps of alpha in [0, 1]; `total` brings a batch together. Weights of
the terms are 1 everywhere, as in both sources.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Preset = Literal["release", "paper"]
Rule = Literal["field", "binary", "release"]
Kind = Literal["matting", "segmentation"]

# Pixels at which the release's area factors are 1: it was tuned on crops of 512 x 512.
REFERENCE_AREA = 512 * 512
# Levels of the Laplacian pyramid.
LEVELS = 5
# Weight of the release's sparsity term inside its gradient loss.
SPARSITY = 0.01
# A loss above this is a run gone wrong.
LIMIT = 1e4
# Side, in pixels, for which the radius of the untrusted edge is stated.
RADIUS_SIDE = 768


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What one prediction is compared with.

    Attributes:
        alpha: float ``(h, w)`` in [0, 1].
        unknown: bool ``(h, w)``: where the trimap is neither foreground nor background; for a hard mask,
            where its edge is not trusted.
        segmentation: Whether it is a hard mask, of which only the trusted part counts.
    """

    alpha: Tensor
    unknown: Tensor
    segmentation: bool


# --- terms -------------------------------------------------------------------------------------------


def area_factor(region: Tensor, reference_area: int = REFERENCE_AREA) -> Tensor:
    """``reference_area / |region|``, 0 for an empty one."""
    count = region.sum()
    return torch.where(
        count > 0, reference_area / count.clamp(min=1), torch.zeros_like(count, dtype=torch.float)
    )


def regional_l1(alpha: Tensor, truth: Tensor, region: Tensor, reference_area: int = REFERENCE_AREA) -> Tensor:
    """Mean absolute error over all pixels, counted inside the region, times its area factor."""
    return ((alpha - truth).abs() * region).mean() * area_factor(region, reference_area)


def regional_smooth_l1(
    alpha: Tensor, truth: Tensor, region: Tensor, reference_area: int = REFERENCE_AREA
) -> Tensor:
    """The same with the smooth absolute error (beta 1) of the release's segmentation branch."""
    error = F.smooth_l1_loss(alpha * region, truth * region, beta=1.0)
    return error * area_factor(region, reference_area)


def laplacian(alpha: Tensor, truth: Tensor, levels: int = LEVELS) -> Tensor:
    """Difference of the Laplacian pyramids, coarser levels weighing more.

    ``1/5 sum_s 2^s mean |L_s - L_s*|`` over five levels. The coarsest Gaussian level is not compared, so that
    a constant offset costs nothing.
    """
    # The pyramid is linear: the difference of two is the pyramid of the difference.
    x = (alpha - truth)[None, None]
    total = torch.zeros((), dtype=alpha.dtype, device=alpha.device)
    for level in range(levels):
        x = x[..., : x.shape[-2] // 2 * 2, : x.shape[-1] // 2 * 2]
        smaller = _blurred(x)[..., ::2, ::2]
        total = total + 2**level * (x - _enlarged(smaller)).abs().mean()
        x = smaller
    return total / levels


def _blurred(x: Tensor) -> Tensor:
    row = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], dtype=x.dtype, device=x.device) / 16
    kernel = (row[:, None] * row[None, :])[None, None]
    return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), kernel)


def _enlarged(x: Tensor) -> Tensor:
    """Twice the size: zeros between the values, four times the values, blurred."""
    height, width = x.shape[-2:]
    wide = x.new_zeros(1, 1, 2 * height, 2 * width)
    wide[..., ::2, ::2] = 4 * x
    return _blurred(wide)


def sobel(x: Tensor) -> tuple[Tensor, Tensor]:
    """Unnormalised 3 x 3 Sobel derivatives across and down of ``(h, w)``, zero padding."""
    across = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], dtype=x.dtype, device=x.device)
    kernels = torch.stack([across, across.T])[:, None]
    found = F.conv2d(x[None, None], kernels, padding=1)[0]
    return found[0], found[1]


def regional_gradient(
    alpha: Tensor, truth: Tensor, region: Tensor, reference_area: int = REFERENCE_AREA
) -> Tensor:
    """The release's gradient loss inside the region; its sparsity term is not 0 for a perfect answer."""
    pairs = zip(sobel(alpha), sobel(truth), strict=True)
    terms = [
        ((found - wanted) * region).abs().mean() + SPARSITY * (found * region).abs().mean()
        for found, wanted in pairs
    ]
    return (terms[0] + terms[1]) * area_factor(region, reference_area)


def gradient(alpha: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute difference of the Sobel derivatives, over the whole picture."""
    pairs = zip(sobel(alpha), sobel(truth), strict=True)
    return sum(((found - wanted).abs().mean() for found, wanted in pairs), torch.zeros_like(alpha[0, 0]))


# --- hard masks ----------------------------------------------------------------------------------------


def untrusted(mask: Tensor, radius: float) -> Tensor:
    """Pixels within `radius` of the edge of a hard mask, bool ``(h, w)``.

    Args:
        mask: ``(h, w)`` with values 0 and 1.
        radius: In pixels; 0 trusts everything.
    """
    reach = int(radius)
    if reach < 1:
        return torch.zeros_like(mask, dtype=torch.bool)
    span = torch.arange(-reach, reach + 1, device=mask.device, dtype=torch.float)
    disc = ((span[:, None] ** 2 + span[None, :] ** 2) <= radius**2).float()[None, None]
    sides = torch.stack([mask > 0.5, mask <= 0.5]).float()[:, None]
    near = F.conv2d(sides, disc, padding=reach)[:, 0] > 0.5
    return near[0] & near[1]


def is_segmentation(alpha: Tensor, kind: Kind | None, rule: Rule) -> bool:
    """Whether a sample is a hard mask (D14).

    Args:
        alpha: ``(h, w)``.
        kind: What its source says; None when it says nothing.
        rule: ``field`` believes the source, and without a word from it looks for values other than 0 and 1;
            ``binary`` always looks; ``release`` knows only masks that are all 0 or all 1.
    """
    if rule == "field" and kind is not None:
        return kind == "segmentation"
    if rule == "release":
        return bool((alpha == 0).all() or (alpha == 1).all())
    return bool(((alpha == 0) | (alpha == 1)).all())


def truth_of(
    alpha: Tensor,
    trimap: Tensor | None,
    kind: Kind | None,
    *,
    rule: Rule = "field",
    confident_radius: float = 15.0,
    trimap_radius: int = 10,
) -> Truth:
    """What a sample is compared with.

    Args:
        alpha: ``(h, w)`` in [0, 1].
        trimap: ``(h, w)`` in {0, 0.5, 1}; None makes one: partly transparent pixels, widened.
        kind: What its source says it is.
        rule: See `is_segmentation`.
        confident_radius: Untrusted edge of a hard mask, in pixels of a side of 768.
        trimap_radius: By which partly transparent pixels are widened.
    """
    hard = is_segmentation(alpha, kind, rule)
    if hard and rule != "release":
        radius = confident_radius * max(alpha.shape) / RADIUS_SIDE
        return Truth(alpha, untrusted(alpha, radius), True)
    if trimap is None:
        partly = ((alpha > 0) & (alpha < 1)).float()[None, None]
        side = 2 * trimap_radius + 1
        unknown = F.max_pool2d(partly, side, stride=1, padding=trimap_radius)[0, 0] > 0
    else:
        unknown = trimap == 0.5
    return Truth(alpha, unknown, hard)


# --- a batch ------------------------------------------------------------------------------------------


def terms(
    alpha: Tensor, truth: Truth, preset: Preset = "release", reference_area: int = REFERENCE_AREA
) -> dict[str, Tensor]:
    """Every term of one sample, by name; a segmentation sample has one."""
    wanted, unknown = truth.alpha.to(alpha.dtype), truth.unknown.to(alpha.dtype)
    known = 1 - unknown
    if truth.segmentation and preset == "release":
        return {"known_smooth_l1": regional_smooth_l1(alpha, wanted, known, reference_area)}
    if truth.segmentation:
        return {"known_l1": ((alpha - wanted).abs() * known).sum() / known.sum().clamp(min=1)}
    if preset == "paper":
        return {
            "l1": (alpha - wanted).abs().mean(),
            "laplacian": laplacian(alpha, wanted),
            "gradient": gradient(alpha, wanted),
        }
    return {
        "unknown_l1": regional_l1(alpha, wanted, unknown, reference_area),
        "known_l1": regional_l1(alpha, wanted, known, reference_area),
        "laplacian": laplacian(alpha, wanted),
        "gradient": regional_gradient(alpha, wanted, unknown, reference_area),
    }


def presence_error(logits: Tensor, present: Sequence[bool | None]) -> Tensor:
    """Cross-entropy of presence, summed over samples (specification 10.7).

    Args:
        logits: ``(b,)``.
        present: Whether each target shows the kind; None where nobody can say, which counts nothing.
    """
    sure = torch.tensor([each is not None for each in present], device=logits.device)
    wanted = torch.tensor([float(each or 0) for each in present], device=logits.device)
    each = F.binary_cross_entropy_with_logits(logits.float(), wanted, reduction="none")
    return (each * sure).sum()


def total(
    alpha: Tensor,
    truths: Sequence[Truth],
    preset: Preset = "release",
    reduction: Literal["mean", "sum"] = "mean",
    reference_area: int = REFERENCE_AREA,
    presence: Tensor | None = None,
    present: Sequence[bool | None] = (),
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss of a batch, and its terms summed by name.

    Args:
        alpha: ``(b, 1, h, w)`` in [0, 1].
        truths: One a sample.
        preset: Whose losses.
        reduction: ``sum`` over samples (release), or divided by their number.
        reference_area: See `REFERENCE_AREA`.
        presence: Logits ``(b,)`` of a head that says whether the kind is there at all.
        present: Whether it is; see `presence_error`.

    Raises:
        FloatingPointError: The loss is not finite or above `LIMIT`.
    """
    sums: dict[str, Tensor] = {}
    for prediction, truth in zip(alpha[:, 0].float(), truths, strict=True):
        for name, value in terms(prediction, truth, preset, reference_area).items():
            sums[name] = sums.get(name, torch.zeros_like(value)) + value
    if presence is not None:
        sums["presence"] = presence_error(presence, present)
    scale = 1 / len(truths) if reduction == "mean" else 1.0
    loss = torch.stack(list(sums.values())).sum() * scale
    size = float(loss.detach())
    # Written so that a loss that is not a number fails too.
    if not size <= LIMIT:
        raise FloatingPointError(f"the loss is {size:.3g}; the run has gone wrong")
    return loss, {name: value * scale for name, value in sums.items()}
