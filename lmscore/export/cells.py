"""The float32 operators: embedding, recurrent layers and output as ONNX defines them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import GATES, Cell, Config
from lmscore.bundle.weights import Weights
from lmscore.export.builder import GraphBuilder
from lmscore.export.class_heads import part_biases, split_by_class
from lmscore.export.heads import add_target_product

ONNX_GATES: Mapping[Cell, tuple[int, ...]] = {
    "lstm": (0, 3, 1, 2),  # ONNX: i o f c, PyTorch: i f g o
    "gru": (1, 0, 2),  # ONNX: z r h, PyTorch: r z n
    "rnn-tanh": (0,),
    "rnn-relu": (0,),
    "rnn-sigmoid": (0,),
    "lstm-coupled": (0, 2, 0, 1),  # ONNX: i o f c, stored: i g o; f = 1 - i, see below
}
"""Where each of ONNX's gates stands in the order in which they are stored."""

_FORGET_GATE = 2  # in ONNX's order

ONNX_CELL: Mapping[Cell, str] = {
    "lstm": "LSTM",
    "gru": "GRU",
    "rnn-tanh": "RNN",
    "rnn-relu": "RNN",
    "rnn-sigmoid": "RNN",
    "lstm-coupled": "LSTM",
}


def onnx_order(weight: NDArray[np.float32], cell: Cell) -> NDArray[np.float32]:
    """A PyTorch cell's weight [G*H, ...] with its gates in ONNX's order."""
    stored = weight.reshape(GATES[cell], -1, *weight.shape[1:])
    gates = stored[list(ONNX_GATES[cell])]
    if cell == "lstm-coupled":
        # It forgets what it takes in: 1 - sigmoid(a) = sigmoid(-a).
        gates[_FORGET_GATE] *= -1
    return gates.reshape(-1, *weight.shape[1:])


def cell_weights(
    weights: Weights, cell: Cell, layer: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """A layer's W [G*H, D], R [G*H, H] and both biases, W's first, [2*G*H]; ONNX's gate order."""
    W, R, W_bias, R_bias = (
        onnx_order(weights[f"rnn.{name}_l{layer}"], cell)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    return W, R, np.concatenate([W_bias, R_bias])


class Float32Operators:
    """Adds a model's float32 operators to a graph."""

    def __init__(self, builder: GraphBuilder, config: Config, weights: Weights) -> None:
        """Store the embedding, and the output matrix where it is another one."""
        self._b, self._config, self._weights = builder, config, weights
        self._embedding = builder.constant("embedding.weight", weights["embedding.weight"])
        self._output = self._embedding
        if not config.tie_word_embeddings:
            self._output = builder.constant("output.weight", weights["output.weight"])
        if config.output_layer == "softmax":
            self._bias = builder.constant("output.bias", weights["output.bias"])

    @staticmethod
    def stored_in_8_bits(config: Config) -> tuple[str, ...]:  # noqa: ARG004  # as in int8
        """No part of the model."""
        return ()

    def embed(self, tokens: str) -> str:
        """Tokens [T, B] -> vectors [T, B, E]."""
        return self._b.op("Gather", self._embedding, tokens, to="embedded")

    def read(self, layer: int, x: str) -> str:
        """A tanh layer without recurrence: x [T, B, D] -> hidden [T, B, H]."""
        b, weights = self._b, self._weights
        W = b.constant(f"W_{layer}", weights[f"rnn.weight_ih_l{layer}"].T)
        bias = b.constant(f"bias_{layer}", weights[f"rnn.bias_ih_l{layer}"])
        total = b.op("Add", b.op("MatMul", x, W, to=f"read_{layer}"), bias, to=f"total_{layer}")
        return b.op("Tanh", total, to=f"hidden_{layer}")

    def recur(self, layer: int, x: str, state: list[str]) -> tuple[str, list[str]]:
        """One layer: x [T, B, D], state [1, B, H] each -> hidden [T, B, H], next state."""
        b, config = self._b, self._config
        W, R, bias = cell_weights(self._weights, config.cell, layer)
        inputs = [
            x,
            b.constant(f"W_{layer}", W[None]),
            b.constant(f"R_{layer}", R[None]),
            b.constant(f"bias_{layer}", bias[None]),
            "lengths",
            *state,
        ]
        following = [f"next_{name}" for name in state]
        b.node(
            ONNX_CELL[config.cell],
            inputs,
            [f"hidden_4d_{layer}", *following],
            hidden_size=config.hidden_size,
            **_CELL_ATTRIBUTES[config.cell],
        )
        axis = b.integers(f"directions_{layer}", 1)
        return b.op("Squeeze", f"hidden_4d_{layer}", axis, to=f"hidden_{layer}"), following

    def narrow(self, hidden: str) -> str:
        """Hidden [T, B, H] -> [T, B, E], which the tied matrix takes."""
        P = self._b.constant("projection.weight", self._weights["projection.weight"].T)
        return self._b.op("MatMul", hidden, P, to="narrowed")

    def as_input(self, state: str) -> str:
        """A state as the operators take it."""
        return state

    def as_state(self, value: str, name: str) -> str:
        """What the operators give as the state `name`, float32."""
        return self._b.op("Identity", value, to=name)

    def project(self, hidden: str) -> str:
        """Features [N, E] (H if untied) -> logits [N, V]."""
        return self._b.op("Gemm", hidden, self._output, self._bias, to="logits", transB=1)

    def score(self, hidden: str, targets: str) -> str:
        """Hidden [B, T, H], targets [B, T, K] -> the targets' logits alone [B, T, K]."""
        rows = self._b.op("Gather", self._output, targets, to="target_rows")
        biases = self._wide(self._b.op("Gather", self._bias, targets, to="target_biases"))
        product = add_target_product(self._b, self._wide(hidden), self._wide(rows))
        return self._b.op("Add", product, biases, to="target_logits")

    def split_output(self) -> None:
        """Cut the output matrix into its parts: the head with the classes' rows, each class."""
        b, config = self._b, self._config
        names = split_by_class(b, config, self._output, "matrix")
        of_classes = b.constant("classes.weight", self._weights["output.classes.weight"])
        names[0] = b.op("Concat", names[0], of_classes, to="head_matrix", axis=0)
        self._parts = list(zip(names, part_biases(config, self._weights), strict=True))

    def project_part(self, number: int, hidden: str) -> str:
        """Hidden [n, H] -> logits of a part, [n, words]; of part 0 [n, words + classes]."""
        matrix, bias = self._parts[number]
        stored = self._b.constant(f"output_bias_{number}", bias)
        logits = f"logits_of_part_{number}"
        return self._wide(self._b.op("Gemm", hidden, matrix, stored, to=logits, transB=1))

    def _wide(self, value: str) -> str:
        """A value as float32: what is summed over a vocabulary, or a row of it."""
        return value


_CELL_ATTRIBUTES: Mapping[Cell, dict[str, Any]] = {
    "lstm": {},
    "gru": {"linear_before_reset": 1},  # r * (R h + bias), as PyTorch has it
    "rnn-tanh": {"activations": ["Tanh"]},
    "rnn-relu": {"activations": ["Relu"]},
    "rnn-sigmoid": {"activations": ["Sigmoid"]},
    "lstm-coupled": {},
}
