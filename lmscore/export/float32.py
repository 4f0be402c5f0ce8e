"""The float32 operators: embedding, most recurrent layers and output as in the ONNX standard."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import Config
from lmscore.export.builder import GraphBuilder
from lmscore.export.cells import CELL_NODES, cell_weights, peepholes
from lmscore.export.operators import Matrix, Operators, target_product


class Float32Operators(Operators):
    """The float32 operators of a graph."""

    @staticmethod
    def stored_in_8_bits(
        config: Config,  # noqa: ARG004  # as in int8
        in_fp32: Collection[str] = (),  # noqa: ARG004
    ) -> tuple[str, ...]:
        return ()

    def store(self, name: str) -> Matrix:
        return (self._b.constant(name, self.weights[name]),)

    def embed(self, tokens: str) -> str:
        """Embed tokens [T, B] as vectors [T, B, E]."""
        return self._b.op("Gather", *self._embedding, tokens, to="embedded")

    def read(self, layer: int, x: str) -> str:
        b, weights = self._b, self.weights
        W = b.constant(f"W_{layer}", weights[f"rnn.weight_ih_l{layer}"].T)
        bias = b.constant(f"bias_{layer}", weights[f"rnn.bias_ih_l{layer}"])
        total = b.op("Add", b.op("MatMul", x, W, to=f"read_{layer}"), bias, to=f"total_{layer}")
        return b.op(self._config.cell_spec.activation, total, to=f"hidden_{layer}")

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
        stored = b.constant(f"{to}_W", (self.weights[name] if weight is None else weight).T)
        if bias is None:
            return b.op("MatMul", x, stored, to=to)
        product = b.op("MatMul", x, stored, to=f"{to}_unbiased")
        return b.op("Add", product, b.constant(f"{to}_bias", bias), to=to)

    def recur(self, layer: int, x: str, state: list[str]) -> tuple[str, list[str]]:
        b, config = self._b, self._config
        nodes = CELL_NODES[config.cell]
        if nodes.operator is None:
            raise ValueError(f"no operator of ONNX is the cell {config.cell}")
        arrays = cell_weights(self.weights, config, layer)
        W, R, bias = (
            b.constant(f"{name}_{layer}", array[None])
            for name, array in zip(("W", "R", "bias"), arrays, strict=True)
        )
        own = peepholes(self.weights, config, layer)
        seen = [b.constant(f"peepholes_{layer}", np.concatenate(own)[None])] if own else []
        hidden, following = f"hidden_4d_{layer}", [f"next_{name}" for name in state]
        b.node(
            nodes.operator,
            [x, W, R, bias, "lengths", *state, *seen],
            [hidden, *following],
            hidden_size=config.hidden_size,
            **nodes.attributes,
        )
        axis = b.integers(f"directions_{layer}", 1)
        return b.op("Squeeze", hidden, axis, to=f"hidden_{layer}"), following

    def gate(self, layer: int, x: str) -> str:
        b, weights = self._b, self.weights
        W = b.constant(f"highway_W_{layer}", weights[f"highway.weight_l{layer}"].T)
        bias = b.constant(f"highway_bias_{layer}", weights[f"highway.bias_l{layer}"])
        product = b.op("MatMul", x, W, to=f"highway_read_{layer}")
        return b.op(
            "Sigmoid", b.op("Add", product, bias, to=f"highway_sum_{layer}"), to=f"gate_{layer}"
        )

    def narrow(self, hidden: str) -> str:
        P = self._b.constant("projection.weight", self.weights["projection.weight"].T)
        return self._b.op("MatMul", hidden, P, to="narrowed")

    def product(self, features: str, matrix: Matrix, bias: str, *, to: str) -> str:
        return self.as_wide(self._b.op("Gemm", features, *matrix, bias, to=to, transB=1))

    def score(self, features: str, targets: str, bias: str) -> str:
        rows = self._b.op("Gather", *self.output, targets, to="target_rows")
        biases = self.as_wide(self._b.op("Gather", bias, targets, to="target_biases"))
        product = target_product(self._b, self.as_wide(features), self.as_wide(rows))
        return self._b.op("Add", product, biases, to="target_logits")
