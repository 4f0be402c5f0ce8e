"""The int8 operators.

ONNX Runtime has a quantised LSTM, but takes its activations' step size from the whole batch, so
that a token's score would depend on its batch and on the number of threads. Here cells are spelled
out instead: the input is projected for all times at once, the recurrence is a Scan over time, and
step sizes are fixed, or of each row where the range is not known. Only for cells with a ReLU, whose
output is unbounded, they follow the batch.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import ENCODER, Config, Weights
from lmscore.errors import needs_extra
from lmscore.export.builder import GraphBuilder
from lmscore.export.cells import CELL_NODES, peepholes, step_weights
from lmscore.export.operators import (
    CLASS_ROWS,
    Matrix,
    Operators,
    matrices,
    output_matrix,
    target_product,
)
from lmscore.export.quantize import (
    STEP_OF_UNIT_RANGE,
    Factor,
    Quantized,
    add_fixed_product,
    add_product,
    add_product_by_rows,
    quantize,
    quantize_rows,
    scale_rows,
    store_factor,
)
from lmscore.export.recurrence import add_recurrence

with needs_extra("export"):
    from onnx import TensorProto


_PART = 640  # tokens of the vocabulary whose logits stay in a core's cache, for some 300 rows
_FEW_PARTS = 4  # a smaller vocabulary is as fast in one
_MOST_PARTS = 48  # for a large vocabulary more of them cost as much as they save


class Int8Operators(Operators):
    """The int8 operators of a graph."""

    def __init__(
        self, b: GraphBuilder, config: Config, weights: Weights, in_fp32: Collection[str] = ()
    ) -> None:
        super().__init__(b, config, weights, in_fp32)
        self._step = STEP_OF_UNIT_RANGE if config.cell_spec.is_bounded else None
        self._made: set[str] = set()

    @staticmethod
    def stored_in_8_bits(config: Config, in_fp32: Collection[str] = ()) -> tuple[str, ...]:
        """The parts of the model that have a matrix whose weights are int8."""
        names = [name.removeprefix(ENCODER) for name in matrices(config) if name not in in_fp32]
        parts = {
            "embedding": "embedding.weight",
            "output": output_matrix(config),
            "input projection": "rnn.weight_ih_",
            "recurrence": "rnn.weight_hh_",
            "mogrifier": "rnn.mogrifier_",
            "heads": "rnn.weight_ho_",
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
        scaled = f"{embedded}_scaled"
        if scaled not in self._made:
            self._b.op("Mul", embedded, self._scale, to=scaled)
            self._made.add(scaled)
        return scaled

    def read(self, layer: int, x: str) -> str:
        factor = self._factor(f"rnn.weight_ih_l{layer}", f"W_{layer}", f"rnn.bias_ih_l{layer}")
        total = f"total_{layer}"
        if layer == 0:
            add_product_by_rows(self._b, total, x, factor)
        else:
            self._product_of_layers(total, x, factor, layer)
        return self._b.op(self._config.cell_spec.activation, total, to=f"hidden_{layer}")

    def linear(
        self,
        b: GraphBuilder,
        x: str,
        name: str,
        *,
        weight: NDArray[np.float32] | None = None,
        bias: NDArray[np.float32] | None = None,
        to: str,
    ) -> str:
        stored = self.weights[name] if weight is None else weight
        factor = store_factor(b, f"{to}_W", stored, bias, in_fp32=self._is_in_fp32(name))
        return add_product_by_rows(b, to, x, factor)

    def recur(self, layer: int, x: str, state: list[str]) -> tuple[str, list[str]]:
        W, R, W_bias, R_bias = step_weights(self.weights, self._config, layer)

        of_input, of_state = (
            self._is_in_fp32(f"rnn.{name}_l{layer}") for name in ("weight_ih", "weight_hh")
        )

        factor = store_factor(self._b, f"W_{layer}", W, in_fp32=of_input)
        projected = self._project_input(layer, x, factor)
        if CELL_NODES[self._config.cell].adds_products:
            R_bias = W_bias + R_bias  # added with the product, in the cache
        else:
            bias = self._b.constant(f"W_{layer}_bias", W_bias)
            projected = self._b.op("Add", projected, bias, to=f"input_{layer}")

        def recurrent(body: GraphBuilder, h: str) -> str:
            factor = store_factor(body, f"R_{layer}", R, R_bias, in_fp32=of_state)
            return add_product(body, f"recurrent_{layer}", h, factor, self._step)

        return add_recurrence(
            self._b,
            self._config,
            layer,
            projected,
            state,
            operators=self,
            peepholes=peepholes(self.weights, self._config, layer),
            x_size=len(W),
            sums=lambda body, x, h: (x, recurrent(body, h)),
        )

    def _product_of_layers(self, name: str, x: str, factor: Factor, layers: int) -> str:
        """Multiply what so many layers yield, [..., any size].

        With dense connections the embedding is part of it, whose range is not known either.
        """
        if self._has_row_steps:
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
        total = self._product_of_layers(f"highway_sum_{layer}", x, factor, layer)
        return self._b.op("Sigmoid", total, to=f"gate_{layer}")

    def narrow(self, hidden: str) -> str:
        P = self._factor("projection.weight", "projection.weight")
        return self._product_of_layers("narrowed", hidden, P, self._config.num_hidden_layers)

    def product(self, features: str, matrix: Matrix, bias: str, *, to: str) -> str:
        stored, *scales = matrix
        if not scales:
            return self._b.op("Gemm", features, stored, bias, to=to, transB=1)
        factor = Factor(self._transposed(stored), scales[0], bias)
        if self._config.is_projected:
            return add_product_by_rows(self._b, to, features, factor)
        return self._product_of_layers(to, features, factor, self._config.num_hidden_layers)

    def _transposed(self, stored: str) -> str:
        """A stored matrix [D, rows]; the runtime makes it when it loads, the file has it once."""
        name = f"{stored}_transposed"
        if name not in self._made:
            self._b.op("Transpose", stored, to=name, perm=[1, 0])
            self._made.add(name)
        return name

    @property
    def scores_apart(self) -> bool:
        is_int8 = len(self.output) == 2
        return (
            is_int8 and (self._reads_by_rows or self._step is not None) and self._parts > _FEW_PARTS
        )

    @property
    def _reads_by_rows(self) -> bool:
        """Whether the output layer reads features of unknown range."""
        return self._config.is_projected or self._has_row_steps

    @property
    def _has_row_steps(self) -> bool:
        """Whether each row of what the layers yield has a step of its own."""
        return self._config.connections == "dense" or self._config.cell_spec.has_row_steps

    @property
    def _parts(self) -> int:
        """How many parts of the vocabulary are scored after one another."""
        return min(-(-self._config.vocab_size // _PART), _MOST_PARTS)

    def score_apart(
        self, b: GraphBuilder, features: str, targets: str, bias: str, *, to: str
    ) -> str:
        """Score the vocabulary in parts whose logits stay in the cache.

        LogSoftmax is the one operator that sums exponentials without writing them down. What it
        takes from a logit of a part is the logarithm of the part's sum. The token with the largest
        bias is that one: of a token with no chance, little would be left of the difference.
        """
        shape = b.integers("apart_row_size", -1, self._config.output_dim)
        rows, step = b.op("Reshape", features, shape, to="apart"), ""
        if self._reads_by_rows:
            rows, step = scale_rows(b, "apart_rows", rows)
        unit = None if step else self._step_of(self._config.num_hidden_layers)
        x = quantize(b, "apart", rows, unit or 1)

        chosen, of_chosen, parts = self._output_parts(bias)
        some = _logits(b, "apart_some", x, step, of_chosen)
        lowered = []
        for number, (part, place) in enumerate(zip(parts, chosen, strict=True)):
            logits = _logits(b, f"apart_{number}", x, step, part)
            lowered.append(_log_prob(b, logits, f"apart_{number}", place))
        sums = b.op("Sub", some, b.op("Concat", *lowered, to="apart_all", axis=1), to="apart_sums")
        of_sums = (
            b.op("Slice", sums, *_column(b, 0), to="apart_first_sum"),
            _log_prob(b, sums, "apart_sum", 0),
        )
        total = b.op("Sub", *of_sums, to="apart_log_sum")

        flat = b.op("Flatten", targets, to="apart_targets", axis=2)
        found = b.op("Sub", self._target_logits(b, x, step, flat, bias), total, to="apart_found")
        shape = b.op("Shape", targets, to="apart_shape")
        return b.op("Reshape", found, shape, to=to, allowzero=1)

    def _output_parts(self, bias: str) -> tuple[list[int], Factor, list[Factor]]:
        """The places of chosen tokens in parts of the vocabulary, and the output matrix of both.

        The runtime cuts it when it loads the graph.
        """
        b, (stored, scales) = self._b, self.output
        pieces = np.array_split(np.arange(self._config.vocab_size), self._parts)
        chosen = [int(self.weights[bias][piece].argmax()) for piece in pieces]
        sizes = b.integers("sizes_of_parts", *map(len, pieces))
        tokens = (int(piece[place]) for piece, place in zip(pieces, chosen, strict=True))
        chosen_tokens = b.integers("chosen_of_parts", *tokens)
        columns = []
        for name, axis in ((self._transposed(stored), 1), (scales, 0), (bias, 0)):
            names = [f"{name}_{part}" for part in range(self._parts)]
            some = b.op("Gather", name, chosen_tokens, to=f"{name}_chosen", axis=axis)
            columns.append([some, *b.split(name, names, axis=axis, sizes=sizes)])
        of_chosen, *parts = (Factor(*names) for names in zip(*columns, strict=True))
        return chosen, of_chosen, parts

    def _target_logits(
        self, b: GraphBuilder, x: Quantized, step: str, targets: str, bias: str
    ) -> str:
        """The logits [N, K] of targets, of the same whole numbers as those of the vocabulary."""
        stored, scales = self.output
        zero = b.cast(x.zero, TensorProto.FLOAT, to="apart_middle")
        units = b.op(
            "Sub", b.cast(x.x, TensorProto.FLOAT, to="apart_numbers"), zero, to="apart_whole"
        )
        rows = b.op("Gather", stored, targets, to="apart_int8")
        product = target_product(b, units, b.cast(rows, TensorProto.FLOAT, to="apart_of_targets"))
        scale = b.op("Gather", scales, targets, to="apart_scales")
        product = b.op(
            "Mul", product, b.op("Mul", scale, x.size, to="apart_scale"), to="apart_scaled"
        )
        if step:
            product = b.op("Mul", product, step, to="apart_rescaled")
        biases = b.op("Gather", bias, targets, to="apart_biases")
        return b.op("Add", product, biases, to="apart_logits")

    def score(self, features: str, targets: str, bias: str) -> str:
        matrix, *scales = self.output
        biases = self._b.op("Gather", bias, targets, to="target_biases")
        stored = self._b.op("Gather", matrix, targets, to="target_rows_stored")
        rows = self._b.cast(stored, TensorProto.FLOAT, to="target_rows")
        product = target_product(self._b, features, rows)
        if scales:
            scale = self._b.op("Gather", *scales, targets, to="target_scales")
            product = self._b.op("Mul", product, scale, to="target_scaled")
        return self._b.op("Add", product, biases, to="target_logits")


def _logits(b: GraphBuilder, name: str, x: Quantized, step: str, part: Factor) -> str:
    """The logits [N, part] of a part of the vocabulary; rows may have a step of their own."""
    if not step:
        return add_fixed_product(b, f"{name}_logits", x, part)
    product = add_fixed_product(b, f"{name}_unscaled", x, Factor(part.matrix, part.scales))
    scaled = b.op("Mul", product, step, to=f"{name}_rescaled")
    return b.op("Add", scaled, part.bias, to=f"{name}_logits")


def _log_prob(b: GraphBuilder, logits: str, name: str, place: int) -> str:
    """A column of a softmax over columns, its logarithm, [N, 1]."""
    log_probs = b.op("LogSoftmax", logits, to=f"{name}_log_probs", axis=1)
    return b.op("Slice", log_probs, *_column(b, place), to=f"{name}_lowered")


def _column(b: GraphBuilder, place: int) -> tuple[str, str, str]:
    """Where a column begins and ends, and the axis of columns."""
    begin, end = (b.integers(f"apart_column_{at}", at) for at in (place, place + 1))
    return begin, end, b.integers("apart_column_1", 1)
