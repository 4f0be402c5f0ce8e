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
from lmscore.export.class_heads import part_biases, split_by_class
from lmscore.export.heads import add_target_product
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
        if config.output_layer == "softmax":
            self._bias = builder.constant("output.bias", weights["output.bias"])
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
        # The runtime folds the Transpose when it loads; in the file a tied matrix stands once.
        transposed = self._b.op("Transpose", matrix, to="output_transposed", perm=[1, 0])
        factor = Factor(transposed, scales, self._bias)
        return add_product(self._b, "logits", hidden, factor, self._step)

    def score(self, hidden: str, targets: str) -> str:
        """Hidden [B, T, H], targets [B, T, K] -> the targets' logits alone [B, T, K]."""
        matrix, scales = self._output
        stored = self._b.op("Gather", matrix, targets, to="target_rows_int8")
        self._b.node("Cast", [stored], ["target_rows"], to=TensorProto.FLOAT)
        product = add_target_product(self._b, hidden, "target_rows")
        scale = self._b.op("Gather", scales, targets, to="target_scales")
        scaled = self._b.op("Mul", product, scale, to="target_scaled")
        biases = self._b.op("Gather", self._bias, targets, to="target_biases")
        return self._b.op("Add", scaled, biases, to="target_logits")

    def split_output(self) -> None:
        """Cut the output matrix into its parts: the head with the classes' rows, each class."""
        b, config = self._b, self._config
        matrices, scales = (
            split_by_class(b, config, name, to)
            for name, to in zip(self._output, ("matrix", "scales"), strict=True)
        )
        of_classes = self._store("output.classes.weight")
        matrices[0] = b.op("Concat", matrices[0], of_classes[0], to="head_matrix", axis=0)
        scales[0] = b.op("Concat", scales[0], of_classes[1], to="head_scales", axis=0)
        biases = part_biases(config, self._weights)
        self._parts = list(zip(matrices, scales, biases, strict=True))

    def project_part(self, number: int, hidden: str) -> str:
        """Hidden [n, H] -> logits of a part, [n, words]; of part 0 [n, words + classes]."""
        matrix, scales, bias = self._parts[number]
        transposed = self._b.op("Transpose", matrix, to=f"{matrix}_transposed", perm=[1, 0])
        stored = self._b.constant(f"output_bias_{number}", bias)
        factor = Factor(transposed, scales, stored)
        return add_product(self._b, f"logits_of_part_{number}", hidden, factor, self._step)
