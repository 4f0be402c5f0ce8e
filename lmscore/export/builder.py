"""A graph in the making: nodes and initializers in order, every value named by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmscore.errors import needs_extra

with needs_extra("export"):
    from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

CONTRIB = "com.microsoft"
"""The domain of the operators that only ONNX Runtime has."""


class GraphBuilder:
    """Collects nodes and initializers; the names chosen here are what a viewer shows."""

    def __init__(self) -> None:
        """Start empty."""
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Store an array as the initializer `name`."""
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def integers(self, name: str, *values: int) -> str:
        """Store a list of int64, as axes and shapes are given."""
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
        """Add a node; an input that is left out is the empty string."""
        self.nodes.append(
            helper.make_node(
                operator, inputs, outputs, name=outputs[-1], domain=domain, **attributes
            )
        )

    def op(self, operator: str, *inputs: str, to: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output, and return that output's name."""
        self.node(operator, inputs, [to], domain=domain, **attributes)
        return to

    def graph(
        self, name: str, inputs: list[ValueInfoProto], outputs: list[ValueInfoProto]
    ) -> GraphProto:
        """What was collected, as one graph."""
        return helper.make_graph(self.nodes, name, inputs, outputs, self.initializers)
