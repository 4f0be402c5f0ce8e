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
        self._arrays: dict[str, NDArray[Any]] = {}  # of the initializers

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Store an array as the initializer `name`; the same again is stored once.

        Raises:
            ValueError: another array has that name.
        """
        array = np.ascontiguousarray(value)
        if name not in self._arrays:
            self._arrays[name] = array
            self.initializers.append(numpy_helper.from_array(array, name))
        elif not np.array_equal(self._arrays[name], array):
            raise ValueError(f"{name} names two arrays")
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

    def cast(self, value: str, kind: int, *, to: str) -> str:
        """Add a Cast to a type of ONNX's, and return its output's name."""
        self.node("Cast", [value], [to], to=kind)
        return to

    def split(self, value: str, names: Sequence[str], *, axis: int, sizes: str = "") -> list[str]:
        """Cut a value along an axis into parts of these sizes, or of the same size each."""
        self.node("Split", [value, *filter(None, [sizes])], names, axis=axis)
        return list(names)

    def graph(
        self, name: str, inputs: list[ValueInfoProto], outputs: list[ValueInfoProto]
    ) -> GraphProto:
        """What was collected, as one graph."""
        return helper.make_graph(self.nodes, name, inputs, outputs, self.initializers)
