"""What a layout is: other inputs, from which nodes make those of the model's graph, and outputs.

Letters in shapes: B batch, T time (tokens), V vocabulary, L layers, H hidden, S one state in a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lmscore.bundle import Config, Value
from lmscore.errors import needs_extra
from lmscore.export.builder import GraphBuilder

with needs_extra("export"):
    from onnx import TensorProto, numpy_helper


@dataclass(frozen=True)
class Layout:
    """The contract of another program."""

    name: str
    inputs: Callable[[Config], Sequence[Value]]
    outputs: Callable[[Config], Sequence[Value]]
    before: Callable[[GraphBuilder, Config], None]  # nodes that make the inputs of the model
    after: Callable[[GraphBuilder, Config], None]  # nodes that make the outputs of the layout
    metadata: Callable[[Config], Mapping[str, str]] = field(default=lambda _: {})


def add_constant_inputs(b: GraphBuilder, config: Config, tokens: str, *, targets: bool) -> None:
    """Make what one run over whole rows needs beside `tokens` int64 [B, T] and the state.

    No best tokens, no measures, row b continues row b, and whole distributions in every row.

    Args:
        targets: whether there are targets; without, their input [B, T, 0] is made, too, and all
            T tokens of every row count.
    """
    rows = b.op("Shape", tokens, to="layout_rows", start=0, end=1)
    none = b.integers("layout_none", 0)
    b.op("Identity", none, to="k")
    b.op("Identity", none, to="measured")
    if config.head_spec.name != "softmax":  # which has them in every row by default
        b.op("Identity", rows, to="distributions")
    add_count(b, rows, to="parents")
    if targets:
        return
    shape = b.op(
        "Concat", b.op("Shape", tokens, to="layout_shape"), none, to="layout_no_shape", axis=0
    )
    nothing = numpy_helper.from_array(np.zeros(1, np.int64))
    b.op("ConstantOfShape", shape, to="targets", value=nothing)
    length = b.op("Shape", tokens, to="layout_length", start=1, end=2)
    b.cast(b.op("Expand", length, rows, to="layout_lengths"), TensorProto.INT32, to="lengths")


def add_count(b: GraphBuilder, number: str, *, to: str) -> str:
    """Make 0, 1, ..., n - 1, int64 [n], of n, int64 [1]."""
    # Not by Range: ONNX Runtime 1.32 fuses it with a Gather into a Slice that cannot run.
    one = numpy_helper.from_array(np.ones(1, np.int64))
    ones = b.op("ConstantOfShape", number, to=f"{to}_ones", value=one)
    counted = b.op("NonZero", ones, to=f"{to}_row")
    return b.op("Squeeze", counted, b.integers("layout_first", 0), to=to)


def add_split_state(b: GraphBuilder, config: Config, state: str) -> None:
    """Make the state's tensors [L, B, H] of one float32 [B, S]."""
    tensors = config.state
    sizes = b.integers("layout_sizes", *(tensor.layers * tensor.size for tensor in tensors))
    flat = [f"layout_flat_{tensor.name}" for tensor in tensors]
    parts = b.split(state, flat, axis=1, sizes=sizes)
    for part, tensor in zip(parts, tensors, strict=True):
        shape = b.integers(f"layout_{tensor.name}_shape", -1, tensor.layers, tensor.size)
        rows = b.op("Reshape", part, shape, to=f"layout_rows_of_{tensor.name}")
        b.op("Transpose", rows, to=tensor.name, perm=[1, 0, 2])


def add_joined_state(b: GraphBuilder, config: Config, to: str) -> None:
    """Make one float32 [B, S] of the state's following tensors [L, B, H]."""
    parts = []
    for tensor in config.state:
        rows = b.op("Transpose", tensor.next, to=f"layout_rows_of_{tensor.next}", perm=[1, 0, 2])
        shape = b.integers(f"layout_{tensor.name}_flat", -1, tensor.layers * tensor.size)
        parts.append(b.op("Reshape", rows, shape, to=f"layout_flat_{tensor.next}"))
    b.op("Concat", *parts, to=to, axis=1)
