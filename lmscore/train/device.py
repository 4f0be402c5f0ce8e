"""Where PyTorch computes."""

from __future__ import annotations

import torch

from lmscore.errors import DeviceError, OptionError
from lmscore.train.workers import device_of_process


def torch_device(name: str) -> torch.device:
    """The device of that name; `auto` is this process's GPU where there is one, else the CPU.

    Raises:
        OptionError: no such kind of device.
        DeviceError: PyTorch does not see it.
    """
    if name == "auto":
        name = device_of_process() if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise OptionError(f"device is {name!r}, expected auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise OptionError(f"device is {name!r}, expected auto, cpu, cuda or cuda:N")
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        raise DeviceError(
            f"device is {name}, but PyTorch sees {count or 'no'} CUDA devices; use --device cpu"
        )
    return device
