"""The int8 operators.

ONNX Runtime has a quantised LSTM, but it takes the step of its activations from the whole batch:
a token's score would move with its batch mates and with the number of threads. So every cell is
spelled out: the input is projected for all times at once, the recurrence is a Scan over time, and
the steps are fixed. Only rnn-relu, whose state has no bound, is left with steps of the batch.
"""

from __future__ import annotations

import numpy as np

from lmscore.bundle import Config
from lmscore.bundle.weights import Weights
from lmscore.errors import needs_extra
from lmscore.export.builder import GraphBuilder
from lmscore.export.cells import cell_weights
from lmscore.export.class_heads import part_biases, split_by_class
from lmscore.export.heads import add_target_product
from lmscore.export.quantize import (
    STEP_OF_UNIT_RANGE,
    Factor,
    add_product,
    add_product_by_rows,
    quantize_rows,
    store_factor,
)
from lmscore.export.recurrence import add_recurrence, add_running

with needs_extra("export"):
    from onnx import TensorProto


class Int8Operators:
    """Adds a model's int8 operators to a graph."""

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
        if config.window_size is None:
            add_running(builder)

    @staticmethod
    def stored_in_8_bits(config: Config) -> tuple[str, ...]:
        """The parts of the model whose weights are int8: all that have a matrix."""
        parts = ["embedding", "output", "input projection"]
        parts += ["recurrence"] if config.window_size is None else []
        return (*parts, *(["projection"] if config.is_projected else []))

    def _store(self, name: str) -> tuple[str, str]:
        """Store a matrix [V, H] and its scales, one per word."""
        quantized, scales = quantize_rows(self._weights[name])
        return self._b.constant(name, quantized), self._b.constant(f"{name}_scale", scales)

    def embed(self, tokens: str) -> str:
        """Tokens [T, B] -> vectors [T, B, E] as whole numbers, each yet to be scaled.

        Those of the cell `window` are scaled at once: it puts several side by side.
        """
        matrix, scales = self._embedding
        stored = self._b.op("Gather", matrix, tokens, to="embedded_int8")
        self._b.node("Cast", [stored], ["embedded"], to=TensorProto.FLOAT)
        scale = self._b.op("Gather", scales, tokens, to="embedded_scale")
        axis = self._b.integers("last_axis", -1)
        column = self._b.op("Unsqueeze", scale, axis, to="embedded_scale_column")
        if self._config.window_size is not None:
            return self._b.op("Mul", "embedded", column, to="embedded_scaled")
        return "embedded"

    def read(self, layer: int, x: str) -> str:
        """A tanh layer without recurrence: x [T, B, D] -> hidden [T, B, H]."""
        W = self._weights[f"rnn.weight_ih_l{layer}"]
        bias = self._weights[f"rnn.bias_ih_l{layer}"]
        if layer == 0:
            total = add_product_by_rows(
                self._b, "total_0", x, store_factor(self._b, "W_0", W, bias)
            )
        else:
            factor = store_factor(self._b, f"W_{layer}", W, bias)
            total = add_product(self._b, f"total_{layer}", x, factor, self._step_of(layer))
        return self._b.op("Tanh", total, to=f"hidden_{layer}")

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

    def _step_of(self, layer: int) -> float | None:
        """The step of what a layer is given; with residual connections it grows by the layer."""
        if self._step is None or not self._config.residual:
            return self._step
        return self._step * layer

    def _project_input(self, layer: int, x: str, factor: Factor) -> str:
        if layer > 0:
            return add_product(self._b, f"projected_{layer}", x, factor, self._step_of(layer))
        # The embedding is stored in whole numbers: a step of 1 takes them as they are.
        product = add_product(self._b, "projected_unscaled", x, factor, 1)
        return self._b.op("Mul", product, "embedded_scale_column", to="projected_0")

    def narrow(self, hidden: str) -> str:
        """Hidden [T, B, H] -> [T, B, E], which the tied matrix takes."""
        P = store_factor(self._b, "projection.weight", self._weights["projection.weight"])
        step = self._step_of(self._config.num_hidden_layers)
        return add_product(self._b, "narrowed", hidden, P, step)

    def as_input(self, state: str) -> str:
        """A state as the operators take it."""
        return state

    def as_state(self, value: str, name: str) -> str:
        """What the operators give as the state `name`, float32."""
        return self._b.op("Identity", value, to=name)

    def project(self, hidden: str) -> str:
        """Features [N, E] (H if untied) -> logits [N, V]."""
        matrix, scales = self._output
        # The runtime folds the Transpose when it loads; in the file a tied matrix stands once.
        transposed = self._b.op("Transpose", matrix, to="output_transposed", perm=[1, 0])
        factor = Factor(transposed, scales, self._bias)
        return self._output_product("logits", hidden, factor)

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
        return self._output_product(f"logits_of_part_{number}", hidden, factor)

    def _output_product(self, name: str, features: str, factor: Factor) -> str:
        if self._config.is_projected:
            return add_product_by_rows(self._b, name, features, factor)
        step = self._step_of(self._config.num_hidden_layers)
        return add_product(self._b, name, features, factor, step)
