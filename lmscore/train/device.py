"""The device on which PyTorch computes."""

from __future__ import annotations

import torch

from lmscore.errors import DeviceError, OptionError
from lmscore.train.workers import count_of_processes, device_of_process


def torch_device(name: str) -> torch.device:
    """The device of a name; `auto` is this process's GPU if there is one, else the CPU.

    `cuda` is this process's GPU too: torchrun gives one to each process.

    Raises:
        OptionError: no such kind of device.
        DeviceError: PyTorch does not see it.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = device_of_process()
    elif name.startswith("cuda:") and (count := count_of_processes()) > 1:
        raise OptionError(
            f"device is {name!r}, but torchrun started {count} processes, which want a GPU each: "
            "use device='cuda'"
        )
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise OptionError(f"device is {name!r}, expected auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise OptionError(f"device is {name!r}, expected auto, cpu, cuda or cuda:N")
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        raise DeviceError(
            f"device is {name}, but PyTorch sees {count or 'no'} CUDA devices; use device='cpu'"
        )
    return device
