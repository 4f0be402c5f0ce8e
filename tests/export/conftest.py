"""Graphs of every cell, variant and size, beside the torch models they were made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from lmscore.bundle import CELLS, Cell, Config
from lmscore.export.graph import build_model
from lmscore.names import Connections
from lmscore.runtime.engine.graph import Graph
from lmscore.runtime.engine.sessions import session_options
from tests.models import TorchModel


def tiny_config(
    cell: Cell,
    *,
    vocab: int = 50,
    hidden: int = 12,
    layers: int = 1,
    tied: bool = True,
    cutoffs: tuple[int, ...] = (),
    self_normalized: bool = False,
    embedding: int | None = None,
    connections: Connections = "plain",
    separate: bool = False,
    learned_initial_state: bool = False,
) -> Config:
    return Config(
        cell=cell,
        vocab_size=vocab,
        hidden_size=hidden,
        num_hidden_layers=layers,
        tie_word_embeddings=tied,
        embedding_size=embedding,
        connections=connections,
        separate=separate,
        learned_initial_state=learned_initial_state,
        window_size=None if CELLS[cell].is_recurrent else 3,
        bos_token_id=1,
        eos_token_id=2,
        unk_token_id=0,
        context="sentence",
        tokenizer="word",
        tokenizer_sha256="",
        output_layer="classes" if cutoffs else "softmax",
        cutoffs=cutoffs,
        self_normalized=self_normalized,
    )


@dataclass(frozen=True)
class Pair:
    """A graph and the torch model it must equal; tolerances in nats."""

    graph: Graph
    torch: TorchModel
    tolerance: float  # from torch
    own_tolerance: float  # from itself, run in another way


SIZES: dict[str, dict[str, Any]] = {
    "1 layer": {},
    "3 layers": {"layers": 3, "hidden": 9, "connections": "residual"},
    "untied": {"layers": 2, "hidden": 16, "tied": False, "embedding": 5},
    "projected": {"layers": 2, "hidden": 11, "embedding": 7},
}
HEADS: dict[str, dict[str, Any]] = {"heads": {"layers": 2, "hidden": 66}}  # two, of 33 units
CONNECTED: dict[str, dict[str, Any]] = {
    "highway": {"layers": 3, "hidden": 9, "embedding": 7, "connections": "highway"},
    "dense": {"layers": 2, "hidden": 9, "connections": "dense"},
    "dense, untied": {"layers": 3, "hidden": 9, "tied": False, "connections": "dense"},
}
OUTPUTS: dict[str, dict[str, Any]] = {
    "classes": {"cutoffs": (20, 21, 35), "embedding": 5},
    "one class, untied": {"cutoffs": (7,), "tied": False},
    "self-normalised": {"self_normalized": True},
    "self-normalised, projected": {"self_normalized": True, "embedding": 5},
    "many words": {"vocab": 2700},
    "many words, projected": {"vocab": 2700, "embedding": 5},
}

ENCODERS: dict[str, dict[str, Any]] = {  # few tokens, so that many begin and end a first text
    "an encoder": {
        "layers": 2,
        "hidden": 10,
        "embedding": 5,
        "vocab": 6,
        "connections": "highway",
        "separate": True,
    },
    "an encoder, learned initial state": {
        "layers": 2,
        "hidden": 10,
        "vocab": 6,
        "separate": True,
        "learned_initial_state": True,
    },
}
INITIAL: dict[str, dict[str, Any]] = {
    "learned initial state": {"layers": 2, "hidden": 9, "learned_initial_state": True},
}


def open_graph(model: TorchModel, variant: str) -> Graph:
    import onnxruntime

    weights = {name: tensor.numpy() for name, tensor in model.weights().items()}
    data = build_model(model.config, weights, variant).SerializeToString()
    session = onnxruntime.InferenceSession(data, session_options(1))
    return Graph(session, model.config, variant, "memory")


@pytest.fixture(
    scope="session",
    params=[
        pytest.param((cell, options, variant), id=f"{cell} {variant}, {name}")
        for cells, kinds in (
            (CELLS, SIZES),
            (("gated-delta",), HEADS),
            (("lstm", "rnn-relu", "window"), OUTPUTS),
            (("lstm", "lstm-mogrifier", "rnn-relu", "window", "gated-delta"), CONNECTED),
            (("lstm", "lstm-mogrifier", "gru", "rnn-relu", "gated-delta"), ENCODERS),
            (("lstm", "rnn-relu", "window", "gated-delta"), INITIAL),
        )
        for cell in cells
        for name, options in kinds.items()
        for variant in ("fp32", "int8", "fp16")
        if variant != "fp16" or name == "untied" or cell == "lstm"
    ],
)
def pair(request: pytest.FixtureRequest) -> Pair:
    cell, options, variant = request.param
    model = TorchModel(tiny_config(cell, **options), seed=1)
    tolerance = {"fp32": 2e-5, "int8": 0.1, "fp16": 0.004}[variant]
    if cell == "gated-delta" and variant == "int8":  # its memory adds up, its output is normalised
        tolerance = 0.6
    # Only a ReLU has 8-bit activations whose steps depend on what else is in the run. In fp16 a
    # state is rounded where a run ends.
    exact = variant == "fp32" or (variant == "int8" and not cell.endswith("-relu"))
    return Pair(open_graph(model, variant), model, tolerance, 2e-5 if exact else tolerance)


def random_state(config: Config, rows: int, random: np.random.Generator) -> tuple[np.ndarray, ...]:
    state = tuple(
        random.uniform(-0.9, 0.9, tensor.shape(rows)).astype(np.float32)
        for tensor in config.cell_state
    )
    if not config.has_phase:
        return state
    return *state, random.integers(0, 3, (1, rows, 1)).astype(np.float32)
