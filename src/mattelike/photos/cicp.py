"""Photos whose colours are described by code points instead of a profile: HDR (PQ, HLG) and BT.2020.

Numbers are those of ITU-T H.273; curves those of ITU-R BT.2100-2, tables 4 and 5. The pixels of such a photo
stay as they are; only what a model sees is brought to sRGB, with highlights above paper white rolled off.
"""

from __future__ import annotations

import numpy as np

from mattelike.values import Float32

Cicp = tuple[int, int, int, int]

PQ, HLG, LINEAR, SRGB = 16, 18, 8, 13
BT709, BT2020, P3 = 1, 9, 12
_BT709_CURVES = (1, 6, 14, 15)

PAPER_WHITE = 203.0
"""Candela per square metre of diffuse white (ITU-R BT.2408-7, section 2.1)."""

HLG_PEAK = 1000.0
KNEE = 0.8

_TO_BT709 = {
    BT2020: np.array(
        [
            [1.660491, -0.587641, -0.072850],
            [-0.124550, 1.132900, -0.008349],
            [-0.018151, -0.100579, 1.118730],
        ],
        np.float32,
    ),
    P3: np.array(
        [[1.224940, -0.224940, 0.0], [-0.042057, 1.042057, 0.0], [-0.019638, -0.078636, 1.098274]],
        np.float32,
    ),
}
_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)


def is_hdr(cicp: Cicp) -> bool:
    """Whether the code points mean PQ or HLG."""
    return cicp[1] in (PQ, HLG)


def is_plain(cicp: Cicp) -> bool:
    """Whether the code points mean nothing but sRGB, or leave it open (code 2, "unspecified")."""
    return cicp[0] in (BT709, 2, 5, 6) and cicp[1] in (SRGB, 2, *_BT709_CURVES)


def to_srgb(pixels: Float32, cicp: Cicp) -> Float32:
    """Coded values to sRGB as it is shown.

    Args:
        pixels: float32 ``(h, w, 3)`` in [0, 1], as coded.
        cicp: Code points of `pixels`.

    Returns:
        float32 ``(h, w, 3)`` in [0, 1].
    """
    linear = _light(pixels, cicp[1])
    matrix = _TO_BT709.get(cicp[0])
    if matrix is not None:
        linear = linear @ matrix.T
    if is_hdr(cicp):
        linear = _rolled_off(linear)
    return _srgb_coded(np.clip(linear, 0, 1))


def _light(coded: Float32, transfer: int) -> Float32:
    """Linear light, 1 for diffuse white."""
    if transfer == PQ:
        power = coded ** np.float32(1 / 78.84375)
        top = np.maximum(power - np.float32(0.8359375), 0)
        nits = 10000 * (top / (np.float32(18.8515625) - np.float32(18.6875) * power)) ** np.float32(
            1 / 0.1593017578125
        )
        return np.asarray(nits / PAPER_WHITE, np.float32)
    if transfer == HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(coded <= 0.5, coded**2 / 3, (np.exp((coded - c) / a) + b) / 12)
        luminance = np.maximum(scene @ _LUMINANCE, 1e-6)[..., None]
        return np.asarray(HLG_PEAK / PAPER_WHITE * luminance**0.2 * scene, np.float32)
    if transfer == LINEAR:
        return coded
    # BT.709 and its kin are shown as if they were sRGB, as browsers do.
    return np.asarray(
        np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4), dtype=np.float32
    )


def _rolled_off(linear: Float32) -> Float32:
    """Untouched up to the knee; above it, light without end is bent to stay below 1."""
    above = np.maximum(linear - KNEE, 0) / (1 - KNEE)
    return np.asarray(np.where(linear > KNEE, KNEE + (1 - KNEE) * (1 - np.exp(-above)), linear), np.float32)


def _srgb_coded(linear: Float32) -> Float32:
    coded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(coded, np.float32)
