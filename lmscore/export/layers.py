"""The layers between embedding and output, and the incoming and outgoing state.

Letters in shapes: B batch, T time (tokens), S rows of the incoming state, L layers, H hidden,
E embedding, W tokens of a window.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lmscore.bundle import Config
from lmscore.errors import needs_extra
from lmscore.export.builder import GraphBuilder
from lmscore.export.connections import connect
from lmscore.export.gated_delta import add_gated_delta
from lmscore.export.incoming_state import add_incoming_state, add_writing_phase
from lmscore.export.mogrifier import add_mogrifier
from lmscore.export.operators import Operators

with needs_extra("export"):
    from onnx import TensorProto


_LAYERS = {"lstm-mogrifier": add_mogrifier, "gated-delta": add_gated_delta}
"""The layers that are made of the same operators in all variants."""


def add_layers(b: GraphBuilder, config: Config, operators: Operators, x: str) -> str:
    """Add all layers: embedded tokens [T, B, E] -> what they yield [T, B, D], the next state."""
    state = add_incoming_state(b, config, operators.weights)
    if config.has_phase:
        add_writing_phase(b, state["phase"])
    if not config.cell_spec.is_recurrent:
        return _add_window_layers(b, config, operators, x, state)
    return _add_recurrent_layers(b, config, operators, x, state)


def _add_recurrent_layers(
    b: GraphBuilder, config: Config, operators: Operators, x: str, before: Mapping[str, str]
) -> str:
    following = []
    for layer, state in enumerate(_by_layer(b, config, before)):
        if config.cell in _LAYERS:
            hidden, next_state = _LAYERS[config.cell](b, config, operators, layer, x, state)
        else:
            hidden, next_state = operators.recur(layer, x, state)
        following.append(next_state)
        x = connect(b, config, operators, layer, hidden, x)
    for index, tensor in enumerate(config.cell_state):
        b.op("Concat", *(layer[index] for layer in following), to=tensor.next, axis=0)
    return x


def _by_layer(b: GraphBuilder, config: Config, state: Mapping[str, str]) -> list[list[str]]:
    """The tensors of a state by layer: [1, B, H] each."""
    by_tensor = []
    for tensor in config.cell_state:
        names = [f"{tensor.name}_{layer}" for layer in range(tensor.layers)]
        by_tensor.append(b.split(state[tensor.name], names, axis=0))
    return [list(layer) for layer in zip(*by_tensor, strict=True)]


def _add_window_layers(
    b: GraphBuilder, config: Config, operators: Operators, x: str, state: Mapping[str, str]
) -> str:
    (tensor,) = config.cell_state
    before = operators.as_input(state[tensor.name])
    seen = b.op("Concat", before, x, to="seen", axis=0)  # [W - 1 + T, B, E]
    operators.as_state(_last(b, seen, tensor.layers), tensor.next)
    for layer in range(config.num_hidden_layers):
        read = _windows(b, seen, tensor.layers + 1) if layer == 0 else x
        x = connect(b, config, operators, layer, operators.read(layer, read), x)
    return x


def _windows(b: GraphBuilder, seen: str, W: int) -> str:
    """Concatenate the W vectors up to each time: [W - 1 + T, B, E] -> [T, B, W*E]."""
    axis, T = b.integers("time_axis", 0), b.op("Shape", "tokens", to="window_time", start=1)
    slices = []
    for place in range(W):
        start = b.integers(f"place_{place}", place)
        end = b.op("Add", T, start, to=f"end_{place}")
        slices.append(b.op("Slice", seen, start, end, axis, to=f"seen_{place}"))
    return b.op("Concat", *slices, to="windows", axis=2)


def _last(b: GraphBuilder, seen: str, places: int) -> str:
    """Select each row's last `places` vectors, [places, B, E]: the ones from index `lengths` on."""
    by_row = b.op("Transpose", seen, to="seen_by_row", perm=[1, 0, 2])
    ends = b.cast("lengths", TensorProto.INT64, to="ends")
    column = b.op("Unsqueeze", ends, b.integers("place_axes", 1, 2), to="ends_column")
    steps = b.constant("places", np.arange(places, dtype=np.int64)[None, :, None])
    index = b.op("Add", column, steps, to="last_places")  # [B, places, 1]
    last = b.op("GatherND", by_row, index, to="last_by_row", batch_dims=1)
    return b.op("Transpose", last, to="last_by_time", perm=[1, 0, 2])
