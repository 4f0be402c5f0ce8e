"""A check that a graph file holds only operators that export writes, and its own weights.

A graph is a program, and a model directory may come from anybody. ONNX also has endless loops, and
weights in other files, which older versions of ONNX Runtime read from any path. So the file is
checked before ONNX Runtime opens it. It is read as protobuf messages (a key, which is a field's
number and kind, then its value), without the onnx package, which the runtime does not need.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from lmscore.bundle import EXPORT_AGAIN
from lmscore.errors import ModelError
from lmscore.files import open_input_raw

OPERATORS = frozenset(
    """
    Abs Add And Cast Concat ConstantOfShape Div DynamicQuantizeMatMul Exp Flatten GRU Gather
    GatherElements GatherND Gemm GreaterOrEqual Identity LSTM Less LogSoftmax MatMul
    MatMulIntegerToFloat Max Mul Neg NonZero Or QuantizeLinear RNN Range ReduceMax ReduceSum Relu
    Reshape Scan ScatterND Shape Sigmoid Size Slice Split Squeeze Sub Tanh TopK Transpose Unsqueeze
    Where
    """.split()
)
"""All operators that export uses; add the ones that it starts to use."""

_Message = Literal["model", "graph", "node", "attribute", "tensor"]

# By field number, as onnx.proto has them.
_PARTS: dict[_Message, dict[int, _Message]] = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
    "tensor": {},
}
_REFUSED: dict[_Message, dict[int, str]] = {
    "model": {20: "training steps", 25: "functions"},
    "graph": {15: "sparse weights"},
    "node": {},
    "attribute": {22: "sparse weights", 23: "sparse weights"},
    "tensor": {13: "weights in another file", 14: "weights in another file"},
}
_OPERATOR_FIELD = 4  # of a node

_SIZES = {1: 8, 5: 4}  # bytes of a value, by the kind of its field
_VARINT, _BYTES = 0, 2


def check_operators(path: str | Path) -> None:
    """Check the contents of a graph file.

    Raises:
        InputFileError: it cannot be opened.
        ModelError: it is not an ONNX graph, or holds something that lmscore export never writes.
    """
    with open_input_raw(path) as file:
        try:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                unknown = next(_unknown(data), None)
        except ValueError as error:  # damaged, or empty
            raise ModelError(f"{path}: not an ONNX graph: {error}; {EXPORT_AGAIN}") from error
    if unknown is not None:
        raise ModelError(f"{path}: holds {unknown}, which lmscore does not use; {EXPORT_AGAIN}")


def _unknown(data: mmap.mmap) -> Iterator[str]:
    """Name everything in the file that should not be there."""
    messages: list[tuple[_Message, int, int]] = [("model", 0, len(data))]
    while messages:  # no recursion: a file may nest them too deep for that
        message, start, end = messages.pop()
        for number, start_of_value, end_of_value in _fields(data, start, end):
            if refused := _REFUSED[message].get(number):
                yield refused
            elif part := _PARTS[message].get(number):
                messages.append((part, start_of_value, end_of_value))
            elif (message, number) == ("node", _OPERATOR_FIELD):
                name = data[start_of_value:end_of_value].decode("utf-8", "replace")
                if name not in OPERATORS:
                    yield f"the operator {name[:100]!r}"


def _fields(data: mmap.mmap, position: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, start and end of the value of each field of the message up to `end`."""
    while position < end:
        key, position = _varint(data, position, end)
        kind, start = key & 7, position
        if kind == _VARINT:
            _, position = _varint(data, position, end)
        elif kind == _BYTES:
            size, start = _varint(data, position, end)
            position = start + size
        elif kind in _SIZES:
            position += _SIZES[kind]
        else:
            raise ValueError(f"a field of kind {kind}")
        if position > end or key >> 32:
            raise ValueError("truncated or damaged")
        yield key >> 3, start, position


def _varint(data: mmap.mmap, position: int, end: int) -> tuple[int, int]:
    """Read a number in groups of seven bits, lowest first; return it and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= end:
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("truncated or damaged")
