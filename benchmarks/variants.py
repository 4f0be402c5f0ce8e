"""Variants that lmscore does not export: `quantisation.py` measures what they would gain and cost.

Shapes: B batch, T time (tokens), V vocabulary, H hidden, N rows and K columns of a weight.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import Cell, Config, Weights
from lmscore.export import export
from lmscore.export.builder import CONTRIB, GraphBuilder
from lmscore.export.cells import cell_weights, peepholes, step_weights
from lmscore.export.graph import OPERATORS
from lmscore.export.int8 import Int8Operators
from lmscore.export.operators import Matrix, Operators
from lmscore.export.quantize import quantize_rows
from lmscore.export.recurrence import add_recurrence
from lmscore.runtime.engine import graph

Floats = NDArray[np.float32]

BLOCK = 32  # weights that share a scale
_MIDDLE = 8  # what 4 bits store for 0, where no zero point is given
_INT8_ACTIVATIONS = 4  # the accuracy_level at which MatMulNBits multiplies in int8


class DynamicOperators(Int8Operators):
    """The int8 graph, but every product takes the step of its activations from the whole batch."""

    def __init__(
        self, b: GraphBuilder, config: Config, weights: Weights, in_fp32: Collection[str] = ()
    ) -> None:
        super().__init__(b, config, weights, in_fp32)
        self._step = None


class QuantizedLSTMOperators(DynamicOperators):
    """ONNX Runtime's own quantised LSTM, whose steps are the batch's too."""

    def recur(self, layer: int, x: str, state: list[str]) -> tuple[str, list[str]]:
        """One layer: x [T, B, H], state [1, B, H] each -> hidden [T, B, H], next state."""
        b = self._b
        W, R, bias = cell_weights(self.weights, self._config, layer)
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
            [
                self.vectors(x) if layer == 0 else x,
                *matrices,
                biases,
                "lengths",
                *state,
                "",
                *scales,
            ],
            [f"hidden_4d_{layer}", *following],
            domain=CONTRIB,
            hidden_size=self._config.hidden_size,
        )
        axis = b.integers(f"directions_{layer}", 1)
        return b.op("Squeeze", f"hidden_4d_{layer}", axis, to=f"hidden_{layer}"), following


class FourBitOperators(Operators):
    """Every weight in 4 bits, a float32 scale for each 32: 5 bits. Biases and gates are float32.

    MatMulNBits rounds its activations to int8 by blocks of a row, so that no batch mates matter.
    """

    @staticmethod
    def stored_in_8_bits(
        config: Config,  # noqa: ARG004  # as in int8
        in_fp32: Collection[str] = (),  # noqa: ARG004
    ) -> tuple[str, ...]:
        """None is."""
        return ()

    def store(self, name: str) -> Matrix:
        """A matrix the way MatMulNBits takes it."""
        return store(self._b, name, self.weights[name])

    def embed(self, tokens: str) -> str:
        """Tokens [T, B] -> vectors [T, B, E]."""
        b, E = self._b, self._config.embedding_dim
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
        if E % BLOCK == 0:
            return whole
        bounds = (b.integers(f"embedded_{n}", i) for n, i in (("from", 0), ("to", E), ("axis", 2)))
        return b.op("Slice", whole, *bounds, to="embedded_units")

    def linear(
        self,
        b: GraphBuilder,
        x: str,
        name: str,
        *,
        weight: Floats | None = None,
        bias: Floats | None = None,
        to: str,
    ) -> str:
        """Multiply x [..., columns] by a matrix, and add a bias -> [..., rows]."""
        whole = self.weights[name] if weight is None else weight
        added = "" if bias is None else b.constant(f"{to}_bias", bias)
        return add_product(b, to, x, store(b, f"{to}_W", whole), whole.shape, added)

    def recur(self, layer: int, x: str, state: list[str]) -> tuple[str, list[str]]:
        """One layer: x [T, B, H], state [1, B, H] each -> hidden [T, B, H], next state."""
        W, R, W_bias, R_bias = step_weights(self.weights, self._config, layer)
        projected = self.linear(self._b, x, "", weight=W, bias=W_bias, to=f"projected_{layer}")

        def sums(body: GraphBuilder, x: str, h: str) -> tuple[str, str]:
            return x, self.linear(body, h, "", weight=R, bias=R_bias, to=f"recurrent_{layer}")

        return add_recurrence(
            self._b,
            self._config,
            layer,
            projected,
            state,
            operators=self,
            peepholes=peepholes(self.weights, self._config, layer),
            x_size=len(W),
            sums=sums,
        )

    def gate(self, layer: int, x: str) -> str:
        """The gate of a highway past a layer."""
        bias = self.weights[f"highway.bias_l{layer}"]
        name, to = f"highway.weight_l{layer}", f"highway_sum_{layer}"
        return self._b.op(
            "Sigmoid", self.linear(self._b, x, name, bias=bias, to=to), to=f"gate_{layer}"
        )

    def narrow(self, hidden: str) -> str:
        """The projection to the size of an embedding."""
        return self.linear(self._b, hidden, "projection.weight", to="narrowed")

    def product(self, features: str, matrix: Matrix, bias: str, *, to: str) -> str:
        """Features [N, D] -> logits [N, V]."""
        packed, scales = matrix
        shape = (self._config.vocab_size, self._config.output_dim)
        return add_product(self._b, to, features, (packed, scales), shape, bias)

    def read(self, layer: int, x: str) -> str:
        """A layer without recurrence, which is not measured."""
        raise NotImplementedError

    def score(self, features: str, targets: str, bias: str) -> str:
        """Logits of targets, which a plain softmax does not need."""
        raise NotImplementedError


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
    bias: str,
) -> str:
    """Add x [..., K] @ weight.T + bias -> [..., N], for a stored weight of shape [N, K]."""
    N, K = shape
    return b.op(
        "MatMulNBits",
        *(x, *stored, *(("", "", bias) if bias else ())),
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
    export.check_structure = graph.check_structure = lambda *_: (
        None
    )  # they have operators of their own
