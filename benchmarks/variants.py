"""Variants that lmscore does not export: `quantisation.py` measures what they would gain and cost.

Shapes: B batch, T time (tokens), V vocabulary, H hidden, N rows and K columns of a weight.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import Cell, Config, Weights
from lmscore.export import export
from lmscore.export.builder import CONTRIB, GraphBuilder
from lmscore.export.cells import cell_weights
from lmscore.export.graph import OPERATORS
from lmscore.export.int8 import Int8Operators
from lmscore.export.quantize import quantize_rows
from lmscore.export.recurrence import add_recurrence, add_running
from lmscore.runtime.engine import operators

Floats = NDArray[np.float32]

BLOCK = 32  # weights that share a scale
_MIDDLE = 8  # what 4 bits store for 0, where no zero point is given
_INT8_ACTIVATIONS = 4  # the accuracy_level at which MatMulNBits multiplies in int8


class DynamicOperators(Int8Operators):
    """The int8 graph, but every product takes the step of its activations from the whole batch."""

    def __init__(self, builder: GraphBuilder, config: Config, weights: Weights) -> None:
        super().__init__(builder, config, weights)
        self._step = None


class QuantizedLSTMOperators(DynamicOperators):
    """ONNX Runtime's own quantised LSTM, whose steps are the batch's too."""

    def embed(self, tokens: str) -> str:
        """Tokens [T, B] -> vectors [T, B, H]."""
        whole = super().embed(tokens)
        return self._b.op("Mul", whole, "embedded_scale_column", to="embedded_scaled")

    def recur(self, layer: int, x: str, state: list[str]) -> tuple[str, list[str]]:
        """One layer: x [T, B, H], state [1, B, H] each -> hidden [T, B, H], next state."""
        b = self._b
        W, R, bias = cell_weights(self._weights, "lstm", layer)
        matrices, scales = [], []
        for name, weight in ((f"W_{layer}", W), (f"R_{layer}", R)):
            stored, scale = quantize_rows(weight)
            matrices.append(b.constant(name, stored.T[None]))
            zero = b.constant(f"{name}_zero", np.zeros((1, len(scale)), np.int8))
            scales += [b.constant(f"{name}_scale", scale[None]), zero]
        biases = b.constant(f"bias_{layer}", bias[None])
        following = [f"next_{name}" for name in state]
        b.node(
            "DynamicQuantizeLSTM",
            [x, *matrices, biases, "lengths", *state, "", *scales],
            [f"hidden_4d_{layer}", *following],
            domain=CONTRIB,
            hidden_size=self._config.hidden_size,
        )
        axis = b.integers(f"directions_{layer}", 1)
        return b.op("Squeeze", f"hidden_4d_{layer}", axis, to=f"hidden_{layer}"), following


class FourBitOperators:
    """Every weight in 4 bits, a float32 scale for each 32: 5 bits. Biases and gates are float32.

    MatMulNBits rounds its activations to int8 by blocks of a row, so that no batch mates matter.
    """

    stored_in_8_bits: tuple[str, ...] = ()

    def __init__(self, builder: GraphBuilder, config: Config, weights: Weights) -> None:
        """Store the embedding, and the output matrix where it is another one."""
        self._b, self._config, self._weights = builder, config, weights
        self._embedding = store(builder, "embedding.weight", weights["embedding.weight"])
        self._output = self._embedding
        if not config.tie_word_embeddings:
            self._output = store(builder, "output.weight", weights["output.weight"])
        add_running(builder)

    def embed(self, tokens: str) -> str:
        """Tokens [T, B] -> vectors [T, B, H]."""
        b, H = self._b, self._config.hidden_size
        matrix, scales = self._embedding
        column = b.op("Unsqueeze", scales, b.integers("last_axis", -1), to="embedding_scales")
        blocks = b.op(
            "GatherBlockQuantized",
            *(matrix, tokens, column),
            to="embedded_blocks",
            domain=CONTRIB,
            bits=4,
            block_size=BLOCK,
            gather_axis=0,
            quantize_axis=2,
        )
        whole = b.op("Reshape", blocks, b.integers("embedded_shape", 0, 0, -1), to="embedded")
        if H % BLOCK == 0:
            return whole
        bounds = (b.integers(f"embedded_{n}", i) for n, i in (("from", 0), ("to", H), ("axis", 2)))
        return b.op("Slice", whole, *bounds, to="embedded_units")

    def recur(self, layer: int, x: str, state: list[str]) -> tuple[str, list[str]]:
        """One layer: x [T, B, H], state [1, B, H] each -> hidden [T, B, H], next state."""
        W, R, biases = cell_weights(self._weights, self._config.cell, layer)
        W_bias, R_bias = np.split(biases, 2)
        body = GraphBuilder()
        stored = store(body, f"R_{layer}", R)
        recurrent = add_product(
            body, f"recurrent_{layer}", f"previous_h_{layer}", stored, R.shape, R_bias
        )
        stored = store(self._b, f"W_{layer}", W)
        projected = add_product(self._b, f"projected_{layer}", x, stored, W.shape, W_bias)
        return add_recurrence(self._b, body, self._config, layer, projected, recurrent, state)

    def project(self, hidden: str) -> str:
        """Hidden [N, H] -> logits [N, V]."""
        shape = (self._config.vocab_size, self._config.hidden_size)
        bias = self._weights["output.bias"]
        return add_product(self._b, "logits", hidden, self._output, shape, bias)


def store(b: GraphBuilder, name: str, weight: Floats) -> tuple[str, str]:
    """Store a weight [N, K] the way MatMulNBits takes it; the names of it and of its scales."""
    packed, scales = quantize_blocks(weight)
    return b.constant(name, packed), b.constant(f"{name}_scale", scales)


def quantize_blocks(weight: Floats) -> tuple[NDArray[np.uint8], Floats]:
    """Weight [N, K] -> 4 bits in pairs, lower half first, [N, K/32, 16]; scale [N, K/32].

    A weight is about (its 4 bits - 8) * scale. The largest of a block is -8, whatever its sign:
    there are eight steps on that side, seven on the other.
    """
    N, K = weight.shape
    blocks = np.pad(weight, ((0, 0), (0, -K % BLOCK))).reshape(N, -1, BLOCK)
    at = np.abs(blocks).argmax(axis=2, keepdims=True)
    scale = np.take_along_axis(blocks, at, 2) / -_MIDDLE
    scale[scale == 0] = 1
    units = np.clip(np.rint(blocks / scale) + _MIDDLE, 0, 15).astype(np.uint8)
    return units[..., ::2] | units[..., 1::2] << 4, scale[..., 0]


def add_product(
    b: GraphBuilder,
    name: str,
    x: str,
    stored: tuple[str, str],
    shape: tuple[int, ...],
    bias: Floats,
) -> str:
    """Add x [..., K] @ weight.T + bias -> [..., N], for a stored weight of shape [N, K]."""
    N, K = shape
    return b.op(
        "MatMulNBits",
        *(x, *stored, "", "", b.constant(f"{name}_bias", bias)),
        to=name,
        domain=CONTRIB,
        bits=4,
        block_size=BLOCK,
        accuracy_level=_INT8_ACTIVATIONS,
        N=N,
        K=K,
    )


def variants(cell: Cell) -> dict[str, type]:
    """Those of a cell, by the names their graphs get."""
    own = {"int8_lstm": QuantizedLSTMOperators} if cell == "lstm" else {}
    return {"int8_dynamic": DynamicOperators, **own, "int4": FourBitOperators}


def admit() -> None:
    """Let this process export and load them, which lmscore refuses."""
    experiments = variants("lstm")
    OPERATORS.update(experiments)
    export._WEIGHT_BYTES.update(dict.fromkeys(experiments, 1))
    operators.OPERATORS |= {"DynamicQuantizeLSTM", "GatherBlockQuantized", "MatMulNBits"}
