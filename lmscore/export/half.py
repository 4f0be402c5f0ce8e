"""The float16 operators: half the bytes, and the fastest products on a GPU.

Weights, embeddings and the recurrence are float16, but for the memory of linear attention. The
incoming and outgoing state is float32, as
in every variant. The logits are widened before the softmax, since float16 could not hold a sum over
a vocabulary. For a node without a float16 kernel (the CPU has few), ONNX Runtime computes in
float32 and rounds the result.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import Config, Weights
from lmscore.errors import ExportError, needs_extra
from lmscore.export.builder import GraphBuilder
from lmscore.export.float32 import Float32Operators

with needs_extra("export"):
    from onnx import TensorProto

_LARGEST = float(np.finfo(np.float16).max)


class Float16Operators(Float32Operators):
    """The float16 operators of a graph."""

    def __init__(
        self, b: GraphBuilder, config: Config, weights: Weights, in_fp32: Collection[str] = ()
    ) -> None:
        """Store the weights; raises ExportError if one is larger than any float16."""
        super().__init__(b, config, {name: _half(name, weights[name]) for name in weights}, in_fp32)

    def recur(self, layer: int, x: str, state: list[str]) -> tuple[str, list[str]]:
        hidden, following = super().recur(layer, x, [self.as_input(name) for name in state])
        return hidden, [
            self.as_state(half, f"next_{name}") for half, name in zip(following, state, strict=True)
        ]

    def as_input(self, state: str) -> str:
        return self._b.cast(state, TensorProto.FLOAT16, to=f"{state}_half")

    def as_state(self, value: str, name: str) -> str:
        return self._b.cast(value, TensorProto.FLOAT, to=name)

    def as_wide(self, value: str) -> str:
        return self._b.cast(value, TensorProto.FLOAT, to=f"{value}_wide")


def _half(name: str, weight: NDArray[np.float32]) -> NDArray[Any]:
    largest = float(np.abs(weight).max(initial=0))
    if largest > _LARGEST:
        raise ExportError(
            f"tensor {name!r} has the weight {largest:.3g}, and fp16 ends at {_LARGEST:.0f}; "
            "export fp32"
        )
    return weight.astype(np.float16)
