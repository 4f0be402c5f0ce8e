"""The int8 operators.

ONNX Runtime has a quantised LSTM, but it takes the step of its activations from the whole batch:
a token's score would move with its batch mates and with the number of threads. So every cell is
spelled out: the input is projected for all times at once, the recurrence is a Scan over time, and
the steps are fixed. Only rnn-relu, whose state has no bound, is left with steps of the batch.
"""

from __future__ import annotations

import numpy as np

from lmscore.bundle import Config
from lmscore.errors import needs_extra
from lmscore.export.builder import GraphBuilder
from lmscore.export.cells import cell_weights
from lmscore.export.quantize import (
    STEP_OF_UNIT_RANGE,
    Factor,
    add_product,
    quantize_rows,
    store_factor,
)
from lmscore.export.recurrence import add_recurrence, add_running
from lmscore.export.weights import Weights

with needs_extra("export"):
    from onnx import TensorProto


class Int8Operators:
    """Adds a model's int8 operators to a graph."""

    stored_in_8_bits: tuple[str, ...] = ("embedding", "output", "input projection", "recurrence")

    def __init__(self, builder: GraphBuilder, config: Config, weights: Weights) -> None:
        """Store the embedding, and the output matrix where it is another one."""
        self._b, self._config, self._weights = builder, config, weights
        self._step = None if config.cell == "rnn-relu" else STEP_OF_UNIT_RANGE
        self._embedding = self._store("embedding.weight")
        self._output = self._embedding
        if not config.tie_word_embeddings:
            self._output = self._store("output.weight")
        add_running(builder)

    def _store(self, name: str) -> tuple[str, str]:
        """Store a matrix [V, H] and its scales, one per word."""
        quantized, scales = quantize_rows(self._weights[name])
        return self._b.constant(name, quantized), self._b.constant(f"{name}_scale", scales)

    def embed(self, tokens: str) -> str:
        """Tokens [T, B] -> vectors [T, B, H] as whole numbers, each yet to be scaled."""
        matrix, scales = self._embedding
        stored = self._b.op("Gather", matrix, tokens, to="embedded_int8")
        self._b.node("Cast", [stored], ["embedded"], to=TensorProto.FLOAT)
        scale = self._b.op("Gather", scales, tokens, to="embedded_scale")
        axis = self._b.integers("last_axis", -1)
        self._b.op("Unsqueeze", scale, axis, to="embedded_scale_column")
        return "embedded"

    def recur(self, layer: int, x: str, state: list[str]) -> tuple[str, list[str]]:
        """One layer: x [T, B, H], state [1, B, H] each -> hidden [T, B, H], next state."""
        W, R, biases = cell_weights(self._weights, self._config.cell, layer)
        W_bias, R_bias = np.split(biases, 2)
        body = GraphBuilder()
        recurrent = add_product(
            body,
            f"recurrent_{layer}",
            f"previous_h_{layer}",
            store_factor(body, f"R_{layer}", R, R_bias),
            self._step,
        )
        projected = self._project_input(layer, x, store_factor(self._b, f"W_{layer}", W))
        biased = self._b.op(
            "Add", projected, self._b.constant(f"W_{layer}_bias", W_bias), to=f"input_{layer}"
        )
        return add_recurrence(self._b, body, self._config, layer, biased, recurrent, state)

    def _project_input(self, layer: int, x: str, factor: Factor) -> str:
        if layer > 0:
            return add_product(self._b, f"projected_{layer}", x, factor, self._step)
        # The embedding is stored in whole numbers: a step of 1 takes them as they are.
        product = add_product(self._b, "projected_unscaled", x, factor, 1)
        return self._b.op("Mul", product, "embedded_scale_column", to="projected_0")

    def project(self, hidden: str) -> str:
        """Hidden [N, H] -> logits [N, V]."""
        matrix, scales = self._output
        bias = self._b.constant("output.bias", self._weights["output.bias"])
        # The runtime folds the Transpose when it loads; in the file a tied matrix stands once.
        transposed = self._b.op("Transpose", matrix, to="output_transposed", perm=[1, 0])
        return add_product(self._b, "logits", hidden, Factor(transposed, scales, bias), self._step)
