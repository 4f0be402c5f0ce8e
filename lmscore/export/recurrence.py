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
from lmscore.export.operators import Operators

with needs_extra("export"):
    from onnx import TensorProto, ValueInfoProto, helper


def add_recurrence(
    b: GraphBuilder,
    config: Config,
    layer: int,
    x: str,
    state: list[str],
    *,
    operators: Operators,
    peepholes: Sequence[NDArray[np.float32]] = (),
    x_size: int,
    sums: Callable[[GraphBuilder, str, str], tuple[str, str]],
    dtype: int = TensorProto.FLOAT,
) -> tuple[str, list[str]]:
    """Add one layer: x [T, B, x_size], state [1, B, H] each -> hidden [T, B, H], next state.

    The names of the state end with the layer's number; `operators` know where rows end;
    `peepholes`, if there are some, are of the gates i o f. `sums` adds to the Scan's body what the
    gates add up: from x at one time and h [B, H], the projected input and the recurrent product,
    [B, G*H] each; their sum has the biases of both. `dtype` is that of x and the state.
    """
    body, H = GraphBuilder(), config.hidden_size
    x_now, runs = (f"{name}_{layer}" for name in ("x", "runs"))
    before, after = ([f"{when}_{name}" for name in state] for when in ("previous", "following"))
    seen = [body.constant(f"peephole_{i}_{layer}", each) for i, each in enumerate(peepholes)]
    step = Step(body, layer, H, *sums(body, x_now, before[0]), before, seen)
    following = CELL_NODES[config.cell].step(step)
    inputs = [*(_info(name, H, dtype) for name in before), _info(x_now, x_size, dtype)]
    scanned = [x]
    if config.cell_spec.is_bounded:
        # A finished row reads on, and its state is taken from where its last token was: that is
        # less work than to keep it, and no other row notices.
        emitted = [body.op("Identity", name, to=f"emitted_{name}") for name in following]
    else:
        # Numbers that grow would change the step size of all rows: a finished row keeps its state.
        for old, new, to in zip(before, following, after, strict=True):
            body.op("Where", runs, new, old, to=to)
        following, emitted = after, [body.op("Identity", after[0], to=f"emitted_{layer}")]
        inputs.append(_info(runs, 1, TensorProto.BOOL))
        scanned.append(operators.running)
    yielded = [_info(name, H, dtype) for name in (*following, *emitted)]
    graph = body.graph(f"step_{layer}", inputs, yielded)
    axis = b.integers(f"directions_{layer}", 0)
    rows = [b.op("Squeeze", name, axis, to=f"{name}_rows") for name in state]
    last = [f"last_{name}" for name in rows]
    at_all_times = [f"hidden_{layer}", *(f"all_{name}" for name in state[1:])][: len(emitted)]
    b.node(
        "Scan",
        [*rows, *scanned],
        [*last, *at_all_times],
        body=graph,
        num_scan_inputs=len(scanned),
    )
    if config.cell_spec.is_bounded:
        last = [
            b.op("GatherND", values, operators.last_places, to=f"next_{name}")
            for values, name in zip(at_all_times, rows, strict=True)
        ]
    return at_all_times[0], [
        b.op("Unsqueeze", new, axis, to=f"next_{name}")
        for new, name in zip(last, state, strict=True)
    ]


def _info(name: str, size: int, dtype: int) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, ["B", size])
