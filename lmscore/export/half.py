"""The float16 operators: half the bytes, and what a GPU multiplies fastest.

Weights, embeddings and the recurrence are float16. The state comes and goes in float32, as in every
variant, and the logits are widened before the softmax, whose sum over a vocabulary float16 could
not hold. Where a device has no float16 kernel for a node, as the CPU has few, ONNX Runtime computes
it in float32 and rounds what comes of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import Config
from lmscore.bundle.weights import Weights
from lmscore.errors import ExportError, needs_extra
from lmscore.export.builder import GraphBuilder
from lmscore.export.cells import Float32Operators

with needs_extra("export"):
    from onnx import TensorProto

_LARGEST = float(np.finfo(np.float16).max)


class Float16Operators(Float32Operators):
    """Adds a model's float16 operators to a graph."""

    def __init__(self, builder: GraphBuilder, config: Config, weights: Weights) -> None:
        """Store the embedding, and the output matrix where it is another one.

        Raises:
            ExportError: a weight is larger than any float16.
        """
        super().__init__(builder, config, {name: _half(name, weights[name]) for name in weights})

    def recur(self, layer: int, x: str, state: list[str]) -> tuple[str, list[str]]:
        """One layer: x [T, B, H], state [1, B, H] each -> hidden [T, B, H], next state."""
        halves = [self._cast(name, f"{name}_half", TensorProto.FLOAT16) for name in state]
        hidden, following = super().recur(layer, x, halves)
        names = [f"next_{name}" for name in state]
        return hidden, [
            self._cast(half, name, TensorProto.FLOAT)
            for half, name in zip(following, names, strict=True)
        ]

    def as_input(self, state: str) -> str:
        """A state in float16."""
        return self._cast(state, f"{state}_half", TensorProto.FLOAT16)

    def as_state(self, value: str, name: str) -> str:
        """What the operators give as the state `name`, in float32."""
        return self._cast(value, name, TensorProto.FLOAT)

    def project(self, hidden: str) -> str:
        """Hidden [N, H] -> logits [N, V], in float32."""
        return self._wide(super().project(hidden))

    def _wide(self, value: str) -> str:
        return self._cast(value, f"{value}_wide", TensorProto.FLOAT)

    def _cast(self, value: str, name: str, kind: int) -> str:
        self._b.node("Cast", [value], [name], to=kind)
        return name


def _half(name: str, weight: NDArray[np.float32]) -> NDArray[Any]:
    largest = float(np.abs(weight).max(initial=0))
    if largest > _LARGEST:
        raise ExportError(
            f"tensor {name!r} has the weight {largest:.3g}, and fp16 ends at {_LARGEST:.0f}; "
            "export fp32"
        )
    return weight.astype(np.float16)
