"""What matrix products are computed in."""

from __future__ import annotations

import torch


def matrix_dtype(precision: str, device: torch.device) -> torch.dtype:
    """float32 or bfloat16; `auto` is bf16 where the hardware multiplies it."""
    if precision == "auto":
        precision = "bf16" if _multiplies_bf16(device) else "fp32"
    return torch.bfloat16 if precision == "bf16" else torch.float32


def _multiplies_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if not hasattr(torch.cpu, "get_capabilities"):  # an older PyTorch
        return False
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) is True for name in ("avx512_bf16", "amx_bf16"))
