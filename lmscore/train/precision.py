"""The precision of matrix products."""

from __future__ import annotations

import torch

from lmscore.errors import DeviceError


def matrix_dtype(precision: str, device: torch.device) -> torch.dtype:
    """float32 or bfloat16; `auto` is bf16 if the hardware multiplies it.

    Raises:
        DeviceError: bf16 is requested, and PyTorch has no bf16 LSTM for this processor.
    """
    if precision == "auto":
        precision = "bf16" if _multiplies_bf16(device) else "fp32"
    elif precision == "bf16" and not computes_bf16(device):
        raise DeviceError(
            "precision is bf16, which PyTorch cannot compute on this processor (it needs AVX-512 "
            "or AMX); use precision='fp32', or auto"
        )
    return torch.bfloat16 if precision == "bf16" else torch.float32


def _multiplies_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if not hasattr(torch.cpu, "get_capabilities"):  # an older PyTorch
        return False
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) is True for name in ("avx512_bf16", "amx_bf16"))


def computes_bf16(device: torch.device) -> bool:
    """Whether bf16 works at all, even if slowly; this is tried on one token of 8 units.

    oneDNN converts to float32 and back if AVX-512 has no bf16 products, and has no bf16 LSTM for
    older processors. A trial also holds for versions of PyTorch that do without oneDNN.
    """
    x = torch.zeros(1, 1, 8, device=device)
    weights = [torch.zeros(32, 8, device=device)] * 2 + [torch.zeros(32, device=device)] * 2
    with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16):
        try:
            torch.lstm(x, (x, x), weights, True, 1, 0.0, False, False, False)
        except RuntimeError:
            return False
    return True
