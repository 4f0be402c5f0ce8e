"""Write small ONNX files, a few nodes and their weights, without the onnx package.

A file is a protobuf message, ModelProto; the numbers of the fields are onnx.proto's:
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. `engine/operators.py` reads such files.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_IR_VERSION, _OPSET = 8, 17  # as export writes them
_VARINT, _BYTES = 0, 2  # kinds of fields
_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "float16": 10}  # TensorProto.DataType


@dataclass(frozen=True)
class Node:
    """One operation of ONNX's own, without attributes."""

    operator: str
    inputs: Sequence[str]
    output: str


@dataclass(frozen=True)
class Value:
    """An input or output of the graph."""

    name: str
    dtype: DTypeLike
    shape: Sequence[int | str]  # a name for a free size


def onnx_file(
    nodes: Iterable[Node],
    weights: Iterable[tuple[str, NDArray[Any]]],
    inputs: Iterable[Value],
    outputs: Iterable[Value],
) -> bytes:
    """The bytes of a graph file; `inputs` and `outputs` declare its inputs and outputs."""
    graph = (
        *(_field(1, _node(node)) for node in nodes),
        _field(2, b"lmscore"),
        *(_field(5, _tensor(name, array)) for name, array in weights),
        *(_field(11, _value(value)) for value in inputs),
        *(_field(12, _value(value)) for value in outputs),
    )
    return _number(1, _IR_VERSION) + _field(8, _number(2, _OPSET)) + _field(7, b"".join(graph))


def _node(node: Node) -> bytes:
    inputs = b"".join(_field(1, name.encode()) for name in node.inputs)
    return inputs + _field(2, node.output.encode()) + _field(4, node.operator.encode())


def _tensor(name: str, array: NDArray[Any]) -> bytes:
    sizes = b"".join(_number(1, size) for size in array.shape)
    data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    kind = _number(2, _TYPES[array.dtype.name])
    return sizes + kind + _field(8, name.encode()) + _field(9, data)


def _value(value: Value) -> bytes:
    sizes = (_field(1, _size(size)) for size in value.shape)
    tensor = _number(1, _TYPES[np.dtype(value.dtype).name]) + _field(2, b"".join(sizes))
    return _field(1, value.name.encode()) + _field(2, _field(1, tensor))


def _size(size: int | str) -> bytes:
    return _number(1, size) if isinstance(size, int) else _field(2, size.encode())


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _varint(value: int) -> bytes:
    """Encode a number in groups of seven bits, lowest first; all but the last set the top bit."""
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])
