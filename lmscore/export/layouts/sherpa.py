"""sherpa-onnx: shallow fusion step by step (online), and n-best rescoring (offline)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmscore.bundle import Config, Value
from lmscore.errors import ExportError, needs_extra
from lmscore.export.builder import GraphBuilder
from lmscore.export.layouts.layout import Layout, add_constant_inputs, add_count

with needs_extra("export"):
    from onnx import TensorProto

_STATES = 2  # tensors that sherpa-onnx keeps
_SECOND = "passed"  # a state that a cell with one of its own passes on; sherpa-onnx wants two


def _online_states(config: Config) -> list[tuple[str, str, tuple[int, ...]]]:
    """Input, output and shape of the two states; raises ExportError if the model's do not fit."""
    if config.cell_spec.has_heads:
        raise ExportError(
            f"sherpa-online makes two states of one size, and the cell {config.cell} has others"
        )
    if len(config.state) > _STATES:
        names = ", ".join(each.name for each in config.state)
        raise ExportError(f"sherpa-online has two state tensors, and the model more: {names}")
    states: list[tuple[str, str, tuple[int, ...]]] = [
        (each.name, each.next, each.shape(1)) for each in config.state
    ]
    return [*states, (_SECOND, f"next_{_SECOND}", states[0][2])][:_STATES]


def _online_inputs(config: Config) -> Sequence[Value]:
    states = [Value(name, shape) for name, _, shape in _online_states(config)]
    # It is always [1, 1], but ONNX Runtime 1.32 refuses the int8 recurrence of a known length.
    return [Value("x", ("B", "T"), "int64"), *states]


def _online_outputs(config: Config) -> Sequence[Value]:
    states = [Value(name, shape) for _, name, shape in _online_states(config)]
    return [Value("log_probs", ("B", "T", config.vocab_size)), *states]


def _before_online(b: GraphBuilder, config: Config) -> None:
    add_constant_inputs(b, config, b.op("Identity", "x", to="tokens"), targets=False)


def _after_online(b: GraphBuilder, config: Config) -> None:
    if len(config.state) == 1:
        b.op("Identity", _SECOND, to=f"next_{_SECOND}")


def _online_metadata(config: Config) -> dict[str, str]:
    state = config.state[0]
    sizes = {"num_layers": state.layers, "hidden_size": state.size, "sos_id": config.bos_token_id}
    return {name: str(size) for name, size in sizes.items()}


def _offline_inputs(_: Config) -> Sequence[Value]:
    return [Value("x", ("B", "T"), "int64"), Value("x_lens", ("B",), "int64")]


def _before_offline(b: GraphBuilder, config: Config) -> None:
    """Make tokens [B, T + 1], `<s>` first, and targets [B, T + 1, 1], `</s>` after each row."""
    bos, eos = (
        b.constant(f"layout_{name}", np.array([[token]], np.int64))
        for name, token in (("bos", config.bos_token_id), ("eos", config.eos_token_id))
    )
    rows = b.op("Shape", "x", to="layout_x_rows", start=0, end=1)
    one = b.integers("layout_one", 1)
    column = b.op("Concat", rows, one, to="layout_column_shape", axis=0)
    tokens = b.op(
        "Concat", b.op("Expand", bos, column, to="layout_bos_column"), "x", to="tokens", axis=1
    )
    ends = b.op("Expand", eos, column, to="layout_eos_column")
    shifted = b.op("Concat", "x", ends, to="layout_x_and_end", axis=1)
    width = b.op("Shape", tokens, to="layout_width", start=1, end=2)
    places = add_count(b, width, to="layout_places")
    axis = b.integers("layout_axis", 1)
    lengths = b.op("Unsqueeze", "x_lens", axis, to="layout_x_lens_column")
    inside = b.op("Less", places, lengths, to="layout_inside")
    after = b.op("Less", lengths, places, to="layout_behind_end")
    following = b.op("Where", inside, shifted, eos, to="layout_following")
    b.op("Unsqueeze", following, b.integers("layout_last", 2), to="targets")
    b.op(
        "Where",
        after,
        b.constant("layout_0.0", np.array(0, np.float32)),
        b.constant("layout_minus", np.array(-1, np.float32)),
        to="layout_signs",
    )
    longer = b.op("Add", "x_lens", one, to="layout_x_lens_with_end")
    b.cast(longer, TensorProto.INT32, to="lengths")
    add_constant_inputs(b, config, tokens, targets=True)
    for tensor in config.state:
        shape = [b.integers(f"layout_{tensor.name}_before", tensor.layers), rows]
        shape.append(b.integers(f"layout_{tensor.name}_after", tensor.size))
        b.op(
            "ConstantOfShape",
            b.op("Concat", *shape, to=f"layout_{tensor.name}_shape", axis=0),
            to=tensor.name,
        )


def _after_offline(b: GraphBuilder, _: Config) -> None:
    scores = b.op("Squeeze", "target_log_probs", b.integers("layout_last", 2), to="layout_scores")
    costs = b.op("Mul", scores, "layout_signs", to="layout_costs")
    b.op("ReduceSum", costs, b.integers("layout_axis", 1), to="nll", keepdims=0)


ONLINE = Layout(
    "sherpa-online",
    _online_inputs,
    _online_outputs,
    _before_online,
    _after_online,
    _online_metadata,
)
OFFLINE = Layout(
    "sherpa-offline",
    _offline_inputs,
    lambda _: [Value("nll", ("B",))],
    _before_offline,
    _after_offline,
)
