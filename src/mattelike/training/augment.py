"""What happens to pictures before the network sees them: geometry, light, lens, sensor, file format.

All on float32 tensors ``(c, h, w)`` in [0, 1], on whatever device they are. Randomness comes from a
`torch.Generator` on the CPU, so that a sample depends on its seed alone.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def uniform(generator: torch.Generator, low: float, high: float) -> float:
    """A number between `low` and `high`."""
    return low + (high - low) * float(torch.rand((), generator=generator))


def chance(generator: torch.Generator, probability: float) -> bool:
    """True with the given probability."""
    return float(torch.rand((), generator=generator)) < probability


def integer(generator: torch.Generator, high: int) -> int:
    """A whole number in ``0 .. high - 1``."""
    return int(torch.randint(high, (), generator=generator))


# --- geometry ----------------------------------------------------------------------------------------


def warped(
    picture: Tensor,
    side: int,
    *,
    scale: float,
    angle: float,
    centre: tuple[float, float],
    flip: bool = False,
    squeeze: float = 1.0,
    padding: str = "zeros",
) -> Tensor:
    """A picture placed on a square canvas.

    Args:
        picture: ``(c, h, w)``.
        side: Side of the canvas in pixels.
        scale: Canvas pixels per picture pixel.
        angle: Rotation in radians.
        centre: Where the picture's centre comes to lie, ``(row, column)`` in pixels of the canvas.
        flip: Mirror left and right.
        squeeze: Horizontal stretch over vertical stretch.
        padding: ``"zeros"`` or ``"reflection"``, what lies outside the picture.

    Returns:
        ``(c, side, side)``.
    """
    # Halve first where the picture shrinks by more than two, so that nothing aliases.
    while scale < 0.6 and min(picture.shape[-2:]) >= 8:
        picture = F.avg_pool2d(picture[None], 2)[0]
        scale *= 2
    height, width = picture.shape[-2:]
    sx, sy = scale * math.sqrt(squeeze), scale / math.sqrt(squeeze)
    cos, sin = math.cos(angle), math.sin(angle)
    mirror = -1.0 if flip else 1.0
    # Canvas offset (pixels) -> picture offset, both in grid_sample's units of half a picture side.
    a = torch.tensor(
        [
            [mirror * cos / sx * side / width, mirror * sin / sx * side / width, 0.0],
            [-sin / sy * side / height, cos / sy * side / height, 0.0],
        ]
    )
    shift = torch.tensor([2 * centre[1] / side - 1, 2 * centre[0] / side - 1])
    a[:, 2] = -a[:, :2] @ shift
    grid = F.affine_grid(a[None], [1, 1, side, side], align_corners=False).to(picture.device)
    sampled: Tensor = F.grid_sample(picture[None], grid, "bilinear", padding, align_corners=False)[0]
    return sampled


def laid(rgb: Tensor, side: int, scale: float, generator: torch.Generator) -> Tensor:
    """A photo as a background: shifted by chance as far as it covers the square, perhaps mirrored.

    Args:
        rgb: ``(3, h, w)``.
        side: Of the square.
        scale: Pixels of the square per pixel of the photo.
        generator: Source of chance.

    Returns:
        ``(3, side, side)``; reflected where the photo does not reach.
    """
    slack = [max(0.0, size * scale - side) / 2 for size in rgb.shape[-2:]]
    row, column = (side / 2 + uniform(generator, -1, 1) * gap for gap in slack)
    flip = chance(generator, 0.5)
    return warped(rgb, side, scale=scale, angle=0.0, centre=(row, column), flip=flip, padding="reflection")


# --- light and colour --------------------------------------------------------------------------------


def relit(rgb: Tensor, generator: torch.Generator, strength: float = 1.0) -> Tensor:
    """Another light: exposure, contrast, white balance, saturation, gamma."""
    s = strength
    gain = torch.tensor([uniform(generator, -0.12, 0.12) * s for _ in range(3)]).exp()
    exposure = math.exp(uniform(generator, -0.35, 0.3) * s)
    x = rgb * (gain * exposure).to(rgb.device)[:, None, None]
    middle = x.mean()
    x = (x - middle) * math.exp(uniform(generator, -0.3, 0.3) * s) + middle
    gray = x.mean(dim=0, keepdim=True)
    x = gray + (x - gray) * math.exp(uniform(generator, -0.5, 0.35) * s)
    return x.clamp(1e-4, 1).pow(math.exp(uniform(generator, -0.25, 0.25) * s))


def recoloured(rgb: Tensor, generator: torch.Generator) -> Tensor:
    """Another colour for the same thing: hue turned about the gray axis, so that colour proves nothing."""
    turn = uniform(generator, -math.pi, math.pi)
    third, root = 1 / 3, math.sqrt(1 / 3)
    c, s = math.cos(turn), math.sin(turn)
    near, plus, minus = c + (1 - c) * third, third * (1 - c) + root * s, third * (1 - c) - root * s
    matrix = torch.tensor([[near, minus, plus], [plus, near, minus], [minus, plus, near]]).to(rgb.device)
    return torch.einsum("ij,jhw->ihw", matrix, rgb).clamp(0, 1)


def stylised(rgb: Tensor, generator: torch.Generator) -> Tensor:
    """Drawn, printed or gray instead of photographed: the other side of a pair across domains."""
    style = integer(generator, 5)
    gray = (rgb * torch.tensor([0.3, 0.59, 0.11]).to(rgb.device)[:, None, None]).sum(dim=0, keepdim=True)
    if style == 0:
        return gray.expand_as(rgb)
    if style == 1:
        levels = 3 + integer(generator, 4)
        return (blurred(rgb, 1.2) * levels).round() / levels
    lines = (blurred(gray, 0.8) - blurred(gray, 2.0)) * uniform(generator, 6, 14)
    if style == 2:
        return (0.92 - lines.abs() * 3).clamp(0, 1).expand_as(rgb)
    if style == 3:
        return (blurred(rgb, 2.0) - lines.abs() * 1.5).clamp(0, 1)
    dark, light = torch.rand(2, 3, 1, 1, generator=generator).to(rgb.device).unbind()
    return dark * 0.5 + (light * 0.5 + 0.5 - dark * 0.5) * gray


# --- lens, sensor, file ------------------------------------------------------------------------------


def blurred(picture: Tensor, sigma: float) -> Tensor:
    """Gaussian blur with reflected borders."""
    if sigma <= 0.05:
        return picture
    radius = max(1, math.ceil(2.5 * sigma))
    at = torch.arange(-radius, radius + 1, device=picture.device, dtype=picture.dtype)
    kernel = torch.exp(-(at**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    channels = picture.shape[0]
    x = F.pad(picture[None], (radius, radius, radius, radius), mode="reflect")
    x = F.conv2d(x, kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
    x = F.conv2d(x, kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
    return x[0]


def noisy(rgb: Tensor, generator: torch.Generator) -> Tensor:
    """Sensor noise, more of it in the dark parts of dim pictures."""
    level = uniform(generator, 0.0, 0.04)
    grain = torch.randn(rgb.shape, generator=generator).to(rgb.device)
    return (rgb + grain * level * (1.2 - rgb)).clamp(0, 1)


def _cosine_basis(device: torch.device) -> Tensor:
    n = torch.arange(8, dtype=torch.float32, device=device)
    basis = torch.cos(math.pi * (2 * n[None] + 1) * n[:, None] / 16) / 2
    basis[0] /= math.sqrt(2)
    return basis


def jpeg(rgb: Tensor, quality: float) -> Tensor:
    """What JPEG does: 8 x 8 blocks of cosines, rounded the coarser the higher the frequency.

    Args:
        rgb: ``(3, h, w)``, h and w multiples of 8.
        quality: Step of the rounding at the lowest frequency, about 0.01 (good) to 0.08 (bad).
    """
    basis = _cosine_basis(rgb.device)
    c, h, w = rgb.shape
    blocks = rgb.reshape(c, h // 8, 8, w // 8, 8).permute(0, 1, 3, 2, 4)
    spectrum = basis @ blocks @ basis.T
    n = torch.arange(8, dtype=torch.float32, device=rgb.device)
    step = quality * (1 + 0.5 * (n[:, None] + n[None]))
    coarse = (spectrum / step).round() * step
    back = basis.T @ coarse @ basis
    return back.permute(0, 1, 3, 2, 4).reshape(c, h, w).clamp(0, 1)


def photographed(rgb: Tensor, generator: torch.Generator) -> Tensor:
    """The last steps of every picture: a little blur, noise, compression, each now and then."""
    if chance(generator, 0.25):
        rgb = blurred(rgb, uniform(generator, 0.3, 1.4))
    if chance(generator, 0.4):
        rgb = noisy(rgb, generator)
    if chance(generator, 0.5):
        rgb = jpeg(rgb, uniform(generator, 0.01, 0.09))
    return rgb.clamp(0, 1)
