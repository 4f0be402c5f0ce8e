"""A builder of ONNX graphs: nodes and initializers in order, with explicit names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmscore.errors import needs_extra

with needs_extra("export"):
    from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

CONTRIB = "com.microsoft"
"""The domain of the operators that are defined by ONNX Runtime only."""


class GraphBuilder:
    """A collection of nodes and initializers; a graph viewer shows the names that callers give."""

    def __init__(self, *, chooses_rows: bool = True) -> None:
        """`chooses_rows`: whether a program says which rows get whole distributions, or all do."""
        self.chooses_rows = chooses_rows
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self._arrays: dict[str, NDArray[Any]] = {}  # of the initializers
        self.metadata: dict[str, str] = {}  # of the file, what the nodes add to it

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Store an array as an initializer; raises ValueError if another array has the name."""
        array = np.ascontiguousarray(value)
        if name not in self._arrays:
            self._arrays[name] = array
            self.initializers.append(numpy_helper.from_array(array, name))
        elif not np.array_equal(self._arrays[name], array):
            raise ValueError(f"{name} names two arrays")
        return name

    def integers(self, name: str, *values: int) -> str:
        """Store int64 values, such as axes and shapes, as an initializer."""
        return self.constant(name, np.array(values, dtype=np.int64))

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        *,
        domain: str = "",
        **attributes: Any,
    ) -> None:
        """Add a node; the empty string stands for an omitted input."""
        self.nodes.append(
            helper.make_node(
                operator, inputs, outputs, name=outputs[-1], domain=domain, **attributes
            )
        )

    def op(self, operator: str, *inputs: str, to: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output, and return that output's name."""
        self.node(operator, inputs, [to], domain=domain, **attributes)
        return to

    def cast(self, value: str, kind: int, *, to: str) -> str:
        """Add a Cast to an ONNX data type, and return its output's name."""
        self.node("Cast", [value], [to], to=kind)
        return to

    def split(self, value: str, names: Sequence[str], *, axis: int, sizes: str = "") -> list[str]:
        """Split a value along an axis into parts of the given sizes, or of equal size."""
        self.node("Split", [value, *filter(None, [sizes])], names, axis=axis)
        return list(names)

    def branch(
        self, condition: str, then: GraphBuilder, otherwise: GraphBuilder, *, to: str
    ) -> str:
        """Add what one of two bodies yields, as float32 named `to` inside both, and return it."""
        yielded = [
            helper.make_tensor_value_info(f"{to}_{name}", TensorProto.FLOAT, None)
            for name in ("then", "otherwise")
        ]
        bodies = [
            body.graph(value.name, [], [value])
            for body, value in zip((then, otherwise), yielded, strict=True)
        ]
        return self.op("If", condition, to=to, then_branch=bodies[0], else_branch=bodies[1])

    def graph(
        self, name: str, inputs: list[ValueInfoProto], outputs: list[ValueInfoProto]
    ) -> GraphProto:
        """Make one graph of the collected nodes and initializers."""
        return helper.make_graph(self.nodes, name, inputs, outputs, self.initializers)
