"""The int8 operators.

ONNX Runtime has a quantised LSTM, but takes its activations' step size from the whole batch, so
that a token's score would depend on its batch and on the number of threads. Here every cell is
spelled out instead: the input is projected for all times at once, the recurrence is a Scan over
time, and step sizes are fixed. Only for cells with a ReLU, whose output is unbounded, they follow
the batch.
"""

from __future__ import annotations

from collections.abc import Collection

from lmscore.bundle import ENCODER, Config, Weights
from lmscore.errors import needs_extra
from lmscore.export.builder import GraphBuilder
from lmscore.export.cells import peepholes, step_weights
from lmscore.export.operators import CLASS_ROWS, Matrix, Operators, matrices, output_matrix
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


class Int8Operators(Operators):
    """The int8 operators of a graph."""

    def __init__(
        self, b: GraphBuilder, config: Config, weights: Weights, in_fp32: Collection[str] = ()
    ) -> None:
        super().__init__(b, config, weights, in_fp32)
        self._step = STEP_OF_UNIT_RANGE if config.cell_spec.is_bounded else None
        self._running = add_running(b) if config.cell_spec.is_recurrent else ""

    @staticmethod
    def stored_in_8_bits(config: Config, in_fp32: Collection[str] = ()) -> tuple[str, ...]:
        """The parts of the model that have a matrix whose weights are int8."""
        names = [name.removeprefix(ENCODER) for name in matrices(config) if name not in in_fp32]
        parts = {
            "embedding": "embedding.weight",
            "output": output_matrix(config),
            "input projection": "rnn.weight_ih_",
            "recurrence": "rnn.weight_hh_",
            "highway": "highway.weight_",
            "projection": "projection.weight",
        }
        return tuple(
            part for part, start in parts.items() if any(name.startswith(start) for name in names)
        )

    def store(self, name: str) -> Matrix:
        """Store a matrix of model.safetensors as int8 [rows, columns], and its scales [rows].

        One that stays in fp32 has no scales.
        """
        if self._is_in_fp32(name):
            return (self._b.constant(name, self.weights[name]),)
        quantized, scales = quantize_rows(self.weights[name])
        return self._b.constant(name, quantized), self._b.constant(f"{name}_scale", scales)

    def _factor(self, name: str, to: str, bias: str = "") -> Factor:
        """Store a weight [rows, columns] as a product's factor, with the bias of that name."""
        return store_factor(
            self._b,
            to,
            self.weights[name],
            self.weights[bias] if bias else None,
            in_fp32=self._is_in_fp32(name),
        )

    def _is_in_fp32(self, name: str) -> bool:
        """Whether a matrix of model.safetensors stays in float32."""
        if name == CLASS_ROWS:  # its rows stand beside rows of the output matrix
            name = output_matrix(self._config)
        return name in self._in_fp32

    def embed(self, tokens: str) -> str:
        """Embed tokens [T, B] as vectors [T, B, E] of whole numbers that are not yet scaled.

        For a cell without recurrence, which concatenates vectors, they are scaled here. Vectors of
        a float32 matrix need no scale.
        """
        matrix, *scales = self._embedding
        if not scales:
            return self._b.op("Gather", matrix, tokens, to="embedded")
        stored = self._b.op("Gather", matrix, tokens, to="embedded_int8")
        embedded = self._b.cast(stored, TensorProto.FLOAT, to="embedded")
        scale = self._b.op("Gather", *scales, tokens, to="embedded_scale")
        axis = self._b.integers("last_axis", -1)
        self._scale = self._b.op("Unsqueeze", scale, axis, to="embedded_scale_column")  # [T, B, 1]
        return embedded if self._config.cell_spec.is_recurrent else self._scaled(embedded)

    def vectors(self, embedded: str) -> str:
        is_scaled = len(self._embedding) == 1 or not self._config.cell_spec.is_recurrent
        return embedded if is_scaled else self._scaled(embedded)

    def _scaled(self, embedded: str) -> str:
        return self._b.op("Mul", embedded, self._scale, to="embedded_scaled")

    def read(self, layer: int, x: str) -> str:
        factor = self._factor(f"rnn.weight_ih_l{layer}", f"W_{layer}", f"rnn.bias_ih_l{layer}")
        total = f"total_{layer}"
        if layer == 0:
            add_product_by_rows(self._b, total, x, factor)
        else:
            self._product_of_layers(total, x, factor, layer)
        return self._b.op(self._config.cell_spec.activation, total, to=f"hidden_{layer}")

    def recur(self, layer: int, x: str, state: list[str]) -> tuple[str, list[str]]:
        W, R, W_bias, R_bias = step_weights(self.weights, self._config, layer)

        of_input, of_state = (
            self._is_in_fp32(f"rnn.{name}_l{layer}") for name in ("weight_ih", "weight_hh")
        )

        def recurrent(body: GraphBuilder, h: str) -> str:
            factor = store_factor(body, f"R_{layer}", R, R_bias, in_fp32=of_state)
            return add_product(body, f"recurrent_{layer}", h, factor, self._step)

        factor = store_factor(self._b, f"W_{layer}", W, in_fp32=of_input)
        projected = self._project_input(layer, x, factor)
        bias = self._b.constant(f"W_{layer}_bias", W_bias)
        biased = self._b.op("Add", projected, bias, to=f"input_{layer}")
        return add_recurrence(
            self._b,
            self._config,
            layer,
            biased,
            state,
            running=self._running,
            peepholes=peepholes(self.weights, self._config, layer),
            product=recurrent,
        )

    def _product_of_layers(self, name: str, x: str, factor: Factor, layers: int) -> str:
        """Multiply what so many layers yield, [..., any size].

        With dense connections the embedding is part of it, whose range is not known.
        """
        if self._config.connections == "dense":
            return add_product_by_rows(self._b, name, x, factor)
        return add_product(self._b, name, x, factor, self._step_of(layers))

    def _step_of(self, layer: int) -> float | None:
        """The step size of a layer's input; with residual connections it grows with each layer."""
        if self._step is None or self._config.connections != "residual":
            return self._step
        return self._step * layer

    def _project_input(self, layer: int, x: str, factor: Factor) -> str:
        if layer > 0:
            return self._product_of_layers(f"projected_{layer}", x, factor, layer)
        if len(self._embedding) == 1:  # in float32
            return add_product_by_rows(self._b, "projected_0", x, factor)
        # The embedding is stored in whole numbers, so its step is 1.
        product = add_product(self._b, "projected_unscaled", x, factor, 1)
        return self._b.op("Mul", product, self._scale, to="projected_0")

    def gate(self, layer: int, x: str) -> str:
        name = f"highway_{layer}_W"
        factor = self._factor(f"highway.weight_l{layer}", name, f"highway.bias_l{layer}")
        total = add_product(self._b, f"highway_sum_{layer}", x, factor, self._step_of(layer))
        return self._b.op("Sigmoid", total, to=f"gate_{layer}")

    def narrow(self, hidden: str) -> str:
        P = self._factor("projection.weight", "projection.weight")
        return self._product_of_layers("narrowed", hidden, P, self._config.num_hidden_layers)

    def product(self, features: str, matrix: Matrix, bias: str, *, to: str) -> str:
        stored, *scales = matrix
        if not scales:
            return self._b.op("Gemm", features, stored, bias, to=to, transB=1)
        # The runtime folds the Transpose when it loads; the file holds a tied matrix once.
        transposed = self._b.op("Transpose", stored, to=f"{stored}_transposed", perm=[1, 0])
        factor = Factor(transposed, scales[0], bias)
        if self._config.is_projected:
            return add_product_by_rows(self._b, to, features, factor)
        return self._product_of_layers(to, features, factor, self._config.num_hidden_layers)

    def score(self, features: str, targets: str, bias: str) -> str:
        matrix, *scales = self.output
        biases = self._b.op("Gather", bias, targets, to="target_biases")
        stored = self._b.op("Gather", matrix, targets, to="target_rows_stored")
        rows = self._b.cast(stored, TensorProto.FLOAT, to="target_rows")
        product = self._target_product(features, rows)
        if scales:
            scale = self._b.op("Gather", *scales, targets, to="target_scales")
            product = self._b.op("Mul", product, scale, to="target_scaled")
        return self._b.op("Add", product, biases, to="target_logits")
