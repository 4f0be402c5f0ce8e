"""The structure of an ONNX file: nodes, shapes of weights, opsets, read without the onnx package.

The file is a protobuf message.
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto has the numbers. Weights are not copied.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from lmscore.protobuf import Place, Reader, Refused, RefusedError

AttributeValue: TypeAlias = "int | str | tuple[int, ...] | tuple[str, ...] | GraphMessage"

_ELEMENT_BYTES = {1: 4, 2: 1, 3: 1, 6: 4, 7: 8, 9: 1, 10: 2}
"""float32, uint8, int8, int32, int64, bool, float16: bytes, by the number of the data type."""

_INT64 = 7
_MOST_NUMBERS = 4096  # of an integer tensor whose values are read: axes, shapes, sizes of parts
_LONGEST_NUMBER = 64  # bytes of a tensor of one number
_REFUSED: Refused = {
    "model": {20: "training steps", 25: "functions"},
    "graph": {15: "sparse weights"},
    "attribute": dict.fromkeys((22, 23), "sparse weights")
    | dict.fromkeys((2, 7, 10, 11, 14, 15, 21), "an attribute of an unknown kind"),
    "number": dict.fromkeys((13, 14), "weights in another file"),
    "tensor": dict.fromkeys((13, 14), "weights in another file")
    | dict.fromkeys((3, 4, 5, 6, 7, 10, 11), "weights that are not stored as raw bytes"),
}
"""What lmscore export never writes, by message and number of the field."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in the file."""

    name: str
    shape: tuple[int, ...]
    num_bytes: int
    numbers: tuple[int, ...] | None  # the values of a short int64 tensor, flat

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Node:
    """An operator with the names of its inputs and outputs."""

    operator: str
    domain: str
    inputs: tuple[str, ...]  # the empty string: omitted
    outputs: tuple[str, ...]
    attributes: Mapping[str, AttributeValue]


@dataclass(frozen=True)
class GraphMessage:
    """A graph: of a model, or the body of a loop."""

    nodes: tuple[Node, ...]
    tensors: tuple[StoredTensor, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class ModelMessage:
    """A file: its graph, and the versions of each set of operators and of the format."""

    graph: GraphMessage
    opsets: Mapping[str, int]
    ir_version: int


def read_model(data: mmap.mmap) -> ModelMessage:
    """Read a file's structure.

    Raises:
        RefusedError: it holds what export never writes.
        ValueError: it is not an ONNX file.
    """
    model = Reader(data, _REFUSED).fields("model", 0, len(data))
    graphs = model.messages(7)
    if len(graphs) != 1:  # protobuf would merge several
        raise ValueError(f"{len(graphs)} graphs")
    opsets = [model.reader.fields("opset", *place) for place in model.messages(8)]
    versions = {opset.text(1): opset.number(2) for opset in opsets}
    return ModelMessage(_graph(model.reader, graphs[0], depth=0), versions, model.number(1))


def _graph(reader: Reader, place: Place, *, depth: int) -> GraphMessage:
    if depth > 1:
        raise RefusedError("a loop inside a loop")
    fields = reader.fields("graph", *place)
    return GraphMessage(
        nodes=tuple(_node(reader, node, depth) for node in fields.messages(1)),
        tensors=tuple(_tensor(reader, tensor) for tensor in fields.messages(5)),
        inputs=tuple(reader.fields("value", *value).text(1) for value in fields.messages(11)),
        outputs=tuple(reader.fields("value", *value).text(1) for value in fields.messages(12)),
    )


def _node(reader: Reader, place: Place, depth: int) -> Node:
    fields = reader.fields("node", *place)
    attributes = dict(_attribute(reader, each, depth) for each in fields.messages(5))
    if len(attributes) < len(fields.messages(5)):
        raise RefusedError("an attribute that is there twice")
    return Node(fields.text(4), fields.text(7), fields.texts(1), fields.texts(2), attributes)


def _attribute(reader: Reader, place: Place, depth: int) -> tuple[str, AttributeValue]:
    fields = reader.fields("attribute", *place)
    value: AttributeValue
    if bodies := fields.messages(6):
        if len(bodies) > 1:
            raise RefusedError("an attribute that is there twice")
        value = _graph(reader, bodies[0], depth=depth + 1)
    elif tensors := fields.messages(5):
        value = _one_number(reader, tensors[-1])
    elif integers := fields.numbers(8):
        value = integers
    elif texts := fields.texts(9):
        value = texts
    elif text := fields.text(4):
        value = text
    else:
        value = fields.number(3)
    return fields.text(1), value


def _one_number(reader: Reader, place: Place) -> str:
    """Check that an attribute that is a tensor is as short as one number; its value is not read."""
    reader.fields("number", *place)
    if place[1] - place[0] > _LONGEST_NUMBER:
        raise RefusedError("a tensor in an attribute")
    return "a number"


def _tensor(reader: Reader, place: Place) -> StoredTensor:
    fields = reader.fields("tensor", *place)
    name, shape, kind = fields.text(8), fields.numbers(1), fields.number(2)
    if kind not in _ELEMENT_BYTES:
        raise RefusedError(f"weights of data type {kind}")
    stored = fields.messages(9)
    start, end = stored[0] if len(stored) == 1 else (0, 0)
    size = math.prod(shape)
    if min(shape, default=0) < 0 or end - start != size * _ELEMENT_BYTES[kind]:
        raise ValueError(f"the tensor {name[:100]!r} is not of the size that it says")
    numbers = None
    if kind == _INT64 and size <= _MOST_NUMBERS:
        numbers = tuple(memoryview(reader.data[start:end]).cast("q"))
    return StoredTensor(name, shape, end - start, numbers)
