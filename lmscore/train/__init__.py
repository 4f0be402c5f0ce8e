"""Training in PyTorch: text files in, a model directory out. Needs the extra `train`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lmscore.errors import needs_extra

if TYPE_CHECKING:
    from lmscore.train.options import TrainOptions
    from lmscore.train.read_options import make_options, read_toml
    from lmscore.train.record import resumed_options
    from lmscore.train.run import train
    from lmscore.train.trainer import Status

__all__ = ["Status", "TrainOptions", "make_options", "read_toml", "resumed_options", "train"]

_HOMES = {
    "Status": "trainer",
    "TrainOptions": "options",
    "make_options": "read_options",
    "read_toml": "read_options",
    "resumed_options": "record",
    "train": "run",
}


def __getattr__(name: str) -> Any:
    """Import the public names on first use: options need no PyTorch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with needs_extra("train"):
        return getattr(import_module(f"lmscore.train.{_HOMES[name]}"), name)
