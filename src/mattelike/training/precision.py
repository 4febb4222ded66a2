"""In which numbers a run computes: bfloat16 where that is faster, else float32."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

NAMES = ("auto", "bf16", "fp32")
# Instructions that multiply bfloat16; without one of them a processor is several times slower in it.
MULTIPLIES = ("avx512_bf16", "amx_bf16")


def resolved(name: str, device: str) -> str:
    """``"bf16"`` or ``"fp32"`` for a recipe's precision; ``"auto"`` takes what is faster on the device.

    Raises:
        ValueError: No such precision.
    """
    if name not in NAMES:
        raise ValueError(f"precision is {name!r}; it must be one of {', '.join(NAMES)}")
    if name != "auto":
        return name
    return "bf16" if _multiplied(torch.device(device)) else "fp32"


def autocast_type(name: str) -> torch.dtype | None:
    """The type that a resolved precision is computed in under autocast; None for float32."""
    return torch.bfloat16 if name == "bf16" else None


def _multiplied(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Not in every release that is supported.
    capabilities: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in MULTIPLIES)
