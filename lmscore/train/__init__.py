"""Training in PyTorch: from text files to a model directory. Needs the extra `train`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lmscore.errors import needs_extra

if TYPE_CHECKING:
    from lmscore.train.adaptive import Cache, Dynamic, adaptive_log_probs, check_adaptable
    from lmscore.train.both_directions import options_by_direction, train_both
    from lmscore.train.card import held_out_sentence
    from lmscore.train.device import torch_device
    from lmscore.train.importing import ImportOptions, import_weights
    from lmscore.train.metrics import EVALUATED, METRICS_FILE
    from lmscore.train.options import TrainOptions
    from lmscore.train.read_options import make_options, read_toml
    from lmscore.train.record import resumed_options
    from lmscore.train.run import train
    from lmscore.train.status import Status
    from lmscore.train.workers import rank_of_process

__all__ = [
    "EVALUATED",
    "METRICS_FILE",
    "Cache",
    "Dynamic",
    "ImportOptions",
    "Status",
    "TrainOptions",
    "adaptive_log_probs",
    "check_adaptable",
    "held_out_sentence",
    "import_weights",
    "make_options",
    "options_by_direction",
    "rank_of_process",
    "read_toml",
    "resumed_options",
    "torch_device",
    "train",
    "train_both",
]

_HOMES = {
    "adaptive": ("Cache", "Dynamic", "adaptive_log_probs", "check_adaptable"),
    "both_directions": ("options_by_direction", "train_both"),
    "card": ("held_out_sentence",),
    "device": ("torch_device",),
    "importing": ("ImportOptions", "import_weights"),
    "metrics": ("EVALUATED", "METRICS_FILE"),
    "options": ("TrainOptions",),
    "read_options": ("make_options", "read_toml"),
    "record": ("resumed_options",),
    "run": ("train",),
    "status": ("Status",),
    "workers": ("rank_of_process",),
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use: options need no PyTorch."""
    for home, names in _HOMES.items():
        if name in names:
            with needs_extra("train"):
                return getattr(import_module(f"lmscore.train.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
