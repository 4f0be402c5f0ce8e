"""The model directory as types; no other room knows the files in one.

`Parity` and the functions for weights need numpy, so they are imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lmscore.bundle.cells import (
    CELLS,
    CONVOLVED,
    LARGEST_HEAD,
    OPEN,
    OPEN_BIAS,
    ROOT_EPSILON,
    CellSpec,
    head_size,
)
from lmscore.bundle.config import (
    CONFIG_FILE,
    CONTEXTS,
    DIRECTIONS,
    ENCODER,
    FORMAT_VERSION,
    FP16,
    FP32,
    FRESH,
    INITIAL,
    INT8,
    READING,
    TOKENIZER_KINDS,
    WRITING,
    Config,
    StateTensor,
)
from lmscore.bundle.directory import (
    CARD_FILE,
    CHECKPOINTS,
    EXPORT_AGAIN,
    FINISH,
    HALVES,
    PARITY_FILE,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    Bundle,
    graph_file,
    halves,
    is_unfinished,
)
from lmscore.bundle.heads import HEADS, OUTPUT_LAYERS, HeadSpec
from lmscore.bundle.layouts import LAYOUT_NAMES, LayoutRecord, Layouts, layout_file, without_variant
from lmscore.bundle.records import GraphRecord, LogZRecord, parse_object
from lmscore.bundle.signature import TARGETS_APART, Value, graph_inputs, graph_outputs
from lmscore.names import Cell, Context, Direction, HeadName, OutputLayer, TokenizerKind

if TYPE_CHECKING:
    from lmscore.bundle.parity import MAX_COLUMNS, Parity
    from lmscore.bundle.weights import Weights, load_weights, save_weights

__all__ = [
    "CARD_FILE",
    "CELLS",
    "CHECKPOINTS",
    "CONFIG_FILE",
    "CONTEXTS",
    "CONVOLVED",
    "DIRECTIONS",
    "ENCODER",
    "EXPORT_AGAIN",
    "FINISH",
    "FORMAT_VERSION",
    "FP16",
    "FP32",
    "FRESH",
    "HALVES",
    "HEADS",
    "INITIAL",
    "INT8",
    "LARGEST_HEAD",
    "LAYOUT_NAMES",
    "MAX_COLUMNS",
    "OPEN",
    "OPEN_BIAS",
    "OUTPUT_LAYERS",
    "PARITY_FILE",
    "READING",
    "ROOT_EPSILON",
    "TARGETS_APART",
    "TOKENIZER_FILE",
    "TOKENIZER_KINDS",
    "WEIGHTS_FILE",
    "WRITING",
    "Bundle",
    "Cell",
    "CellSpec",
    "Config",
    "Context",
    "Direction",
    "GraphRecord",
    "HeadName",
    "HeadSpec",
    "LayoutRecord",
    "Layouts",
    "LogZRecord",
    "OutputLayer",
    "Parity",
    "StateTensor",
    "TokenizerKind",
    "Value",
    "Weights",
    "graph_file",
    "graph_inputs",
    "graph_outputs",
    "halves",
    "head_size",
    "is_unfinished",
    "layout_file",
    "load_weights",
    "parse_object",
    "save_weights",
    "without_variant",
]

if not TYPE_CHECKING:  # or mypy would believe in any name

    def __getattr__(name: str) -> Any:
        """Import a name that needs numpy on first use."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = "parity" if name in ("MAX_COLUMNS", "Parity") else "weights"
        return getattr(importlib.import_module(f"{__name__}.{home}"), name)
