"""The layers between embedding and output, and the state that goes in and comes out.

Letters in shapes: B batch, T time (tokens), S rows of the incoming state, L layers, H hidden,
E embedding, W tokens of a window, D size of what a layer is given.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from lmscore.bundle import Config
from lmscore.errors import needs_extra
from lmscore.export.builder import GraphBuilder
from lmscore.export.class_heads import PartProjections
from lmscore.export.heads import Projections

with needs_extra("export"):
    from onnx import TensorProto


class Operators(Projections, PartProjections, Protocol):
    """What a variant computes in its own way; everything else is common."""

    @staticmethod
    def stored_in_8_bits(config: Config) -> tuple[str, ...]:
        """The parts of the model whose weights are int8."""

    def embed(self, tokens: str) -> str:
        """Tokens [T, B] -> vectors [T, B, E], as the first layer takes them."""

    def recur(self, layer: int, x: str, state: list[str]) -> tuple[str, list[str]]:
        """One layer: x [T, B, D], state [1, B, H] each -> hidden [T, B, H], next state."""

    def read(self, layer: int, x: str) -> str:
        """A tanh layer without recurrence: x [T, B, D] -> hidden [T, B, H]."""

    def narrow(self, hidden: str) -> str:
        """Hidden [T, B, H] -> [T, B, E], which the tied matrix takes."""

    def as_input(self, state: str) -> str:
        """A state as the operators take it."""

    def as_state(self, value: str, name: str) -> str:
        """What the operators give as the state `name`, float32."""


def add_layers(b: GraphBuilder, config: Config, operators: Operators, x: str) -> str:
    """Embedded tokens [T, B, E] -> the last layer's hidden [T, B, H]; adds the next state."""
    if config.window_size is not None:
        return _add_window_layers(b, config, operators, x)
    following = []
    for layer, state in enumerate(_incoming_state(b, config)):
        hidden, next_state = operators.recur(layer, x, state)
        following.append(next_state)
        x = _with_residual(b, config, layer, hidden, x)
    for index, tensor in enumerate(config.state):
        b.op("Concat", *(layer[index] for layer in following), to=tensor.next, axis=0)
    return x


def _with_residual(b: GraphBuilder, config: Config, layer: int, hidden: str, x: str) -> str:
    if not config.residual or layer == 0:
        return hidden
    return b.op("Add", hidden, x, to=f"residual_{layer}")


def _incoming_state(b: GraphBuilder, config: Config) -> list[list[str]]:
    """The parents' rows of each state tensor, by layer: [1, B, H] each."""
    by_tensor = []
    for tensor in config.state:
        chosen = b.op("Gather", tensor.name, "parents", to=f"{tensor.name}_of_parents", axis=1)
        names = [f"{tensor.name}_{layer}" for layer in range(tensor.layers)]
        b.node("Split", [chosen], names, axis=0)
        by_tensor.append(names)
    return [list(layer) for layer in zip(*by_tensor, strict=True)]


def _add_window_layers(b: GraphBuilder, config: Config, operators: Operators, x: str) -> str:
    (tensor,) = config.state
    before = b.op("Gather", tensor.name, "parents", to="window_of_parents", axis=1)
    seen = b.op("Concat", operators.as_input(before), x, to="seen", axis=0)  # [W - 1 + T, B, E]
    operators.as_state(_last(b, seen, tensor.layers), tensor.next)
    hidden = operators.read(0, _windows(b, seen, tensor.layers + 1))
    for layer in range(1, config.num_hidden_layers):
        hidden = _with_residual(b, config, layer, operators.read(layer, hidden), hidden)
    return hidden


def _windows(b: GraphBuilder, seen: str, W: int) -> str:
    """[W - 1 + T, B, E] -> the W vectors up to each time, side by side: [T, B, W*E]."""
    axis, T = b.integers("time_axis", 0), b.op("Shape", "tokens", to="window_time", start=1)
    slices = []
    for place in range(W):
        start = b.integers(f"place_{place}", place)
        end = b.op("Add", T, start, to=f"end_{place}")
        slices.append(b.op("Slice", seen, start, end, axis, to=f"seen_{place}"))
    return b.op("Concat", *slices, to="windows", axis=2)


def _last(b: GraphBuilder, seen: str, places: int) -> str:
    """What a row saw last, [places, B, E]: from `lengths` on, for these are counted from there."""
    by_row = b.op("Transpose", seen, to="seen_by_row", perm=[1, 0, 2])
    b.node("Cast", ["lengths"], ["ends"], to=TensorProto.INT64)
    column = b.op("Unsqueeze", "ends", b.integers("place_axes", 1, 2), to="ends_column")
    steps = b.constant("places", np.arange(places, dtype=np.int64)[None, :, None])
    index = b.op("Add", column, steps, to="last_places")  # [B, places, 1]
    last = b.op("GatherND", by_row, index, to="last_by_row", batch_dims=1)
    return b.op("Transpose", last, to="last_by_time", perm=[1, 0, 2])
