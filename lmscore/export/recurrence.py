"""A recurrent layer as a Scan over time, around a recurrent product of the caller's choice.

A Scan's body sees the values outside it, so ONNX wants their names to differ: hence the layer's
number on each. The gates stand in ONNX's order, which has those with a sigmoid side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from lmscore.bundle import Cell, Config
from lmscore.errors import needs_extra
from lmscore.export.builder import GraphBuilder
from lmscore.export.cells import ONNX_GATES

with needs_extra("export"):
    from onnx import GraphProto, TensorProto, ValueInfoProto, helper

_RUNNING = "running"


def add_running(b: GraphBuilder) -> None:
    """Add bool [T, B, 1], for all layers: whether a row's sequence still goes on at that time."""
    zero, one = (b.constant(str(n), np.array(n, dtype=np.int64)) for n in (0, 1))
    end = b.op("Squeeze", b.op("Shape", "tokens", to="T_shape", start=1), to="T")
    times = b.op("Range", zero, end, one, to="times")
    times_by_row = b.op("Unsqueeze", times, b.integers("row_axes", 1, 2), to="times_by_row")
    b.node("Cast", ["lengths"], ["lengths_int64"], to=TensorProto.INT64)
    column = b.op("Unsqueeze", "lengths_int64", b.integers("column_axis", 1), to="lengths_column")
    b.op("Less", times_by_row, column, to=_RUNNING)


def add_recurrence(
    b: GraphBuilder,
    body: GraphBuilder,
    config: Config,
    layer: int,
    x: str,
    product: str,
    state: list[str],
) -> tuple[str, list[str]]:
    """Add one layer: x [T, B, G*H], state [1, B, H] each -> hidden [T, B, H], next state.

    x is the projected input with its bias; `product` [B, G*H] is the recurrent product, which
    `body` already computes from `previous_h_<layer>` [B, H]. `state` names h_<layer>, c_<layer>.
    """
    step = _STEPS[config.cell](body, config, layer, product)
    for name, value in zip(state, step, strict=True):
        # A row that is finished keeps its state, as an ONNX cell's does with sequence_lens.
        body.op("Where", f"runs_{layer}", value, f"previous_{name}", to=f"following_{name}")
    body.op("Identity", f"following_{state[0]}", to=f"emitted_{layer}")
    axis = b.integers(f"directions_{layer}", 0)
    rows = [b.op("Squeeze", name, axis, to=f"{name}_rows") for name in state]
    b.node(
        "Scan",
        [*rows, x, _RUNNING],
        [*(f"next_{name}" for name in rows), f"hidden_{layer}"],
        body=_body_graph(body, config, layer, state),
        num_scan_inputs=2,
    )
    following = [b.op("Unsqueeze", f"next_{name}_rows", axis, to=f"next_{name}") for name in state]
    return f"hidden_{layer}", following


def _rnn_step(body: GraphBuilder, config: Config, layer: int, product: str) -> list[str]:
    total = body.op("Add", f"x_{layer}", product, to=f"total_{layer}")
    return [body.op(_ACTIVATIONS[config.cell], total, to=f"new_h_{layer}")]


def _gru_step(body: GraphBuilder, config: Config, layer: int, product: str) -> list[str]:
    """H' = n + z (h - n), where n = tanh(x_n + r (R h + bias)_n)."""
    H = config.hidden_size
    sizes = body.integers(f"gates_{layer}", 2 * H, H)
    for name in (f"x_{layer}", product):
        body.node("Split", [name, sizes], [f"{name}_zr", f"{name}_n"], axis=1)
    zr_sum = body.op("Add", f"x_{layer}_zr", f"{product}_zr", to=f"zr_sum_{layer}")
    z, r = f"z_{layer}", f"r_{layer}"
    body.node("Split", [body.op("Sigmoid", zr_sum, to=f"zr_{layer}")], [z, r], axis=1)
    reset = body.op("Mul", r, f"{product}_n", to=f"reset_{layer}")
    n_sum = body.op("Add", f"x_{layer}_n", reset, to=f"n_sum_{layer}")
    n = body.op("Tanh", n_sum, to=f"n_{layer}")
    change = body.op("Sub", f"previous_h_{layer}", n, to=f"change_{layer}")
    kept = body.op("Mul", z, change, to=f"kept_{layer}")
    return [body.op("Add", n, kept, to=f"new_h_{layer}")]


def _lstm_step(body: GraphBuilder, config: Config, layer: int, product: str) -> list[str]:
    """C' = f c + i g, H' = o tanh(C')."""
    H = config.hidden_size
    total = body.op("Add", f"x_{layer}", product, to=f"total_{layer}")
    sizes = body.integers(f"gates_{layer}", 3 * H, H)
    body.node("Split", [total, sizes], [f"iof_sum_{layer}", f"g_sum_{layer}"], axis=1)
    i, o, f = (f"{gate}_{layer}" for gate in "iof")
    sigmoid = body.op("Sigmoid", f"iof_sum_{layer}", to=f"iof_{layer}")
    body.node("Split", [sigmoid], [i, o, f], axis=1)
    g = body.op("Tanh", f"g_sum_{layer}", to=f"g_{layer}")
    kept = body.op("Mul", f, f"previous_c_{layer}", to=f"kept_{layer}")
    added = body.op("Mul", i, g, to=f"added_{layer}")
    c = body.op("Add", kept, added, to=f"new_c_{layer}")
    bounded = body.op("Tanh", c, to=f"bounded_c_{layer}")
    return [body.op("Mul", o, bounded, to=f"new_h_{layer}"), c]


_ACTIVATIONS: Mapping[Cell, str] = {
    "rnn-tanh": "Tanh",
    "rnn-relu": "Relu",
    "rnn-sigmoid": "Sigmoid",
}

_Step = Callable[[GraphBuilder, Config, int, str], list[str]]
_STEPS: Mapping[Cell, _Step] = {
    "lstm": _lstm_step,
    "gru": _gru_step,
    "rnn-tanh": _rnn_step,
    "rnn-relu": _rnn_step,
    "rnn-sigmoid": _rnn_step,
    "lstm-coupled": _lstm_step,
}


def _body_graph(body: GraphBuilder, config: Config, layer: int, state: list[str]) -> GraphProto:
    def info(name: str, size: int, dtype: int = TensorProto.FLOAT) -> ValueInfoProto:
        return helper.make_tensor_value_info(name, dtype, ["B", size])

    H = config.hidden_size
    inputs = [
        *(info(f"previous_{name}", H) for name in state),
        info(f"x_{layer}", len(ONNX_GATES[config.cell]) * H),
        info(f"runs_{layer}", 1, TensorProto.BOOL),
    ]
    outputs = [*(info(f"following_{name}", H) for name in state), info(f"emitted_{layer}", H)]
    return body.graph(f"step_{layer}", inputs, outputs)
