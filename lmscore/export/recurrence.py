"""A recurrent layer as a Scan over time, with the recurrent product as a parameter.

A Scan's body sees the values outside it, so ONNX wants all names to differ: each name ends with
the layer's number. The gates are in ONNX's order, in which gates with a sigmoid are neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import Config
from lmscore.errors import needs_extra
from lmscore.export.builder import GraphBuilder
from lmscore.export.cells import CELL_NODES, Step

with needs_extra("export"):
    from onnx import TensorProto, ValueInfoProto, helper


def add_running(b: GraphBuilder) -> str:
    """Add the mask of times before each row's length, bool [T, B, 1], for all layers."""
    zero, one = (b.constant(str(n), np.array(n, dtype=np.int64)) for n in (0, 1))
    end = b.op("Squeeze", b.op("Shape", "tokens", to="T_shape", start=1), to="T")
    times = b.op("Range", zero, end, one, to="times")
    times_by_row = b.op("Unsqueeze", times, b.integers("row_axes", 1, 2), to="times_by_row")
    lengths = b.cast("lengths", TensorProto.INT64, to="lengths_int64")
    column = b.op("Unsqueeze", lengths, b.integers("column_axis", 1), to="lengths_column")
    return b.op("Less", times_by_row, column, to="running")


def add_recurrence(
    b: GraphBuilder,
    config: Config,
    layer: int,
    x: str,
    state: list[str],
    *,
    running: str,
    peepholes: Sequence[NDArray[np.float32]] = (),
    x_size: int,
    sums: Callable[[GraphBuilder, str, str], tuple[str, str]],
    dtype: int = TensorProto.FLOAT,
) -> tuple[str, list[str]]:
    """Add one layer: x [T, B, x_size], state [1, B, H] each -> hidden [T, B, H], next state.

    The names of the state end with the layer's number; `running` comes from `add_running`;
    `peepholes`, if there are some, are of the gates i o f. `sums` adds to the Scan's body what the
    gates add up: from x at one time and h [B, H], the projected input and the recurrent product,
    [B, G*H] each, both with their biases. `dtype` is that of x and the state.
    """
    body, H = GraphBuilder(), config.hidden_size
    x_now, runs, emitted = (f"{name}_{layer}" for name in ("x", "runs", "emitted"))
    before, after = ([f"{when}_{name}" for name in state] for when in ("previous", "following"))
    seen = [body.constant(f"peephole_{i}_{layer}", each) for i, each in enumerate(peepholes)]
    step = Step(body, layer, H, *sums(body, x_now, before[0]), before, seen)
    for old, new, to in zip(before, CELL_NODES[config.cell].step(step), after, strict=True):
        # A finished row keeps its state, as in an ONNX cell with sequence_lens.
        body.op("Where", runs, new, old, to=to)
    body.op("Identity", after[0], to=emitted)
    inputs = [
        *(_info(name, H, dtype) for name in before),
        _info(x_now, x_size, dtype),
        _info(runs, 1, TensorProto.BOOL),
    ]
    yielded = [_info(name, H, dtype) for name in (*after, emitted)]
    graph = body.graph(f"step_{layer}", inputs, yielded)
    axis = b.integers(f"directions_{layer}", 0)
    rows = [b.op("Squeeze", name, axis, to=f"{name}_rows") for name in state]
    following, hidden = [f"next_{name}" for name in rows], f"hidden_{layer}"
    b.node("Scan", [*rows, x, running], [*following, hidden], body=graph, num_scan_inputs=2)
    return hidden, [
        b.op("Unsqueeze", new, axis, to=f"next_{name}")
        for new, name in zip(following, state, strict=True)
    ]


def _info(name: str, size: int, dtype: int) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, ["B", size])
