"""The layers of a model whose prefix is read by an encoder, layers of its own.

A row is cut where its first text ends (`lmscore.train.halves` says where): the encoder runs over
the tokens before, the other layers over the rest, moved to the beginning of the row. Both are made
as the layers of any model, in a graph of their own, and put into this one under other names.

Letters in shapes: B batch, T time (tokens), L layers, H hidden, D columns of the output matrix.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from lmscore.bundle import ENCODER, READING, WRITING, Config, Weights
from lmscore.errors import needs_extra
from lmscore.export.builder import GraphBuilder
from lmscore.export.incoming_state import add_incoming_state, just_before, phase_constant
from lmscore.export.layers import add_layers
from lmscore.export.operators import Operators

with needs_extra("export"):
    from onnx import GraphProto, NodeProto, TensorProto, numpy_helper

_SHARED = ("embedding.", "output.")  # stored arrays that all parts of the graph have


@dataclass(frozen=True)
class Halves:
    """The rows of a batch, each cut where its first text ends."""

    reading: str  # bool [B, T], the tokens that the encoder reads
    first: str  # int64 [B], how many there are
    second: str  # int64 [B], how many others
    places: str  # int64 [B, T], the place of each token in what the other layers read


def add_separate_layers(
    b: GraphBuilder,
    config: Config,
    weights: Weights,
    make_operators: type[Operators],
    in_fp32: Collection[str] = (),
) -> str:
    """Add the encoder and the other layers: the hidden vectors [T, B, H] of second texts.

    They begin at time 0 of each row: `placed_features` puts them where their tokens are.
    """
    before = add_incoming_state(b, config, weights)
    phase = before.pop("phase")
    cut = _cut_rows(b, config, phase)
    encoded = _add_half(
        b,
        config,
        _of_encoder(weights),
        make_operators,
        _in_fp32_of_encoder(in_fp32),
        label="encoder",
        lengths=_at_least_one(b, cut.first, "first"),
        state=before,
    )[1]
    begun = {
        tensor.name: _chosen(b, cut.first, encoded[tensor.name], before[tensor.name], tensor.name)
        for tensor in config.cell_state
    }
    hidden, after = _add_half(
        b,
        config,
        weights,
        make_operators,
        in_fp32,
        label="decoder",
        tokens=_moved_tokens(b, cut),
        lengths=_at_least_one(b, cut.second, "second"),
        state=begun,
    )
    for tensor in config.cell_state:
        _chosen(b, cut.second, after[tensor.name], begun[tensor.name], "", to=tensor.next)
    return hidden


def placed_features(b: GraphBuilder, operators: Operators, features: str) -> str:
    """Put the features [B, T, D] of second texts to their tokens; zeros where a prefix is read."""
    axis = b.integers("feature_axis", 2)
    index = b.op("Unsqueeze", "second_places", axis, to="feature_places")
    moved = b.op("GatherND", features, index, to="moved_features", batch_dims=1)
    reading = b.op("Unsqueeze", "reading", axis, to="reading_column")
    nothing = operators.as_input(b.constant("no_feature", np.zeros(1, np.float32)))
    return b.op("Where", reading, nothing, moved, to="features")


def _cut_rows(b: GraphBuilder, config: Config, phase: str) -> Halves:
    begins = _begins_with_first_text(b, config, phase)
    axis, zero = b.integers("column_axes", 1), b.constant("from_0", np.array(0))
    end = b.op("Squeeze", b.op("Shape", "tokens", to="row_time_shape", start=1), to="row_time")
    times = b.op("Range", zero, end, b.constant("by_1", np.array(1)), to="row_times")
    lengths = b.cast("lengths", TensorProto.INT64, to="row_lengths")
    reading = _first_texts(b, config, begins, times, lengths)
    counts = b.cast(reading, TensorProto.INT64, to="read_first")
    first = b.op("ReduceSum", counts, axis, to="first_lengths", keepdims=0)
    second = b.op("Sub", lengths, first, to="second_lengths")
    _add_next_phase(b, begins, second)
    first_column = b.op("Unsqueeze", first, axis, to="first_column")
    place = b.op("Sub", times, first_column, to="place_in_second")
    b.op("Where", reading, zero, place, to="second_places")
    return Halves(reading, first, second, b.op("Add", times, first_column, to="later_places"))


def _begins_with_first_text(b: GraphBuilder, config: Config, phase: str) -> str:
    """Whether the encoder reads the first token of each row, bool [B], but for a <s>.

    `phase` is the rows', [1, B, 1].
    """
    phase = b.op("Squeeze", phase, b.integers("phase_axes", 0, 2), to="phase_of_rows")
    is_late = b.op("Less", just_before(b, READING), phase, to="is_late")
    is_early = b.op("Less", phase, just_before(b, WRITING), to="is_early")
    place, axis = b.integers("first_place", 0), b.integers("column_axes", 1)
    column = b.op("Gather", "tokens", place, to="first_token_column", axis=1)
    first_token = b.op("Squeeze", column, axis, to="first_token")
    mark = b.constant("prefix_id", np.array(config.prefix_token_id))
    is_marked = b.op("Equal", first_token, mark, to="is_marked")
    return b.op("And", is_early, b.op("Or", is_late, is_marked, to="may_read"), to="begins_first")


def _first_texts(b: GraphBuilder, config: Config, begins: str, times: str, lengths: str) -> str:
    """The tokens of first texts, bool [B, T]: those before the first <s> of the row."""
    axis = b.integers("column_axes", 1)
    is_bos = b.op(
        "Equal", "tokens", b.constant("bos_id", np.array(config.bos_token_id)), to="is_bos"
    )
    marks = b.op("CumSum", b.cast(is_bos, TensorProto.INT64, to="bos_marks"), axis, to="num_marks")
    before = b.op("Less", marks, b.constant("first_mark", np.array(1)), to="before_mark")
    column = b.op("Unsqueeze", begins, axis, to="begins_column")
    running = b.op("Less", times, b.op("Unsqueeze", lengths, axis, to="ends"), to="row_running")
    return b.op("And", b.op("And", before, column, to="read_by_any"), running, to="reading")


def _add_next_phase(b: GraphBuilder, begins: str, second: str) -> None:
    """Add the phase after each row: the encoder goes on where it has read all tokens."""
    is_all_read = b.op("Less", second, b.constant("by_1", np.array(1)), to="is_all_read")
    goes_on = b.op("And", begins, is_all_read, to="goes_on")
    after = b.op(
        "Where", goes_on, phase_constant(b, READING), phase_constant(b, WRITING), to="phase_after"
    )
    b.op("Unsqueeze", after, b.integers("phase_axes", 0, 2), to="next_phase")


def _at_least_one(b: GraphBuilder, lengths: str, name: str) -> str:
    """Lengths int32 for layers that want a token in every row."""
    most = b.op("Max", lengths, b.constant("one_token", np.array(1)), to=f"{name}_or_one")
    return b.cast(most, TensorProto.INT32, to=f"{name}_or_one_int32")


def _chosen(b: GraphBuilder, lengths: str, new: str, old: str, name: str, to: str = "") -> str:
    """The new state [L, B, H] of rows that have a token, the old one of the others."""
    to = to or f"begun_{name}"
    column = b.op("Unsqueeze", lengths, b.integers("state_axes", 1), to=f"{to}_lengths")
    has_token = b.op("Less", b.constant("no_token", np.array(0)), column, to=f"{to}_has_token")
    return b.op("Where", has_token, new, old, to=to)


def _moved_tokens(b: GraphBuilder, cut: Halves) -> str:
    """The tokens [B, T] of second texts from time 0 on; what follows them is not read."""
    twice = b.op("Concat", "tokens", "tokens", to="tokens_twice", axis=1)
    return b.op("GatherElements", twice, cut.places, to="second_tokens", axis=1)


def _of_encoder(weights: Weights) -> Weights:
    """The weights with those of the encoder in the places of the other layers'."""
    own = {
        name.removeprefix(ENCODER): weight
        for name, weight in weights.items()
        if name.startswith(ENCODER)
    }
    return {**weights, **own}


def _in_fp32_of_encoder(names: Collection[str]) -> list[str]:
    """The matrices that int8 leaves in float32 in the encoder, by their names in `_of_encoder`."""
    embedding = [name for name in names if name == "embedding.weight"]
    return embedding + [name.removeprefix(ENCODER) for name in names if name.startswith(ENCODER)]


def _add_half(
    b: GraphBuilder,
    config: Config,
    weights: Weights,
    make_operators: type[Operators],
    in_fp32: Collection[str],
    *,
    label: str,
    lengths: str,
    state: Mapping[str, str],
    tokens: str = "tokens",
) -> tuple[str, dict[str, str]]:
    """Add layers that read tokens [B, T] up to lengths [B] -> hidden [T, B, H], the next state."""
    part = GraphBuilder()
    plain = dataclasses.replace(config, separate=False, learned_initial_state=False)
    operators = make_operators(part, plain, weights, in_fp32)
    x = operators.embed(part.op("Transpose", "tokens", to="tokens_by_time", perm=[1, 0]))
    hidden = add_layers(part, plain, operators, x)
    names = {"tokens": tokens, "lengths": lengths, "parents": _own_rows(b), **state}
    _put_into(b, part, label, names)
    return names[hidden], {tensor.name: names[tensor.next] for tensor in config.cell_state}


def _own_rows(b: GraphBuilder) -> str:
    """The numbers of the rows, int64 [B]: each goes on from its own state."""
    if all(node.output[0] != "own_rows" for node in b.nodes):
        size = b.op(
            "Squeeze", b.op("Shape", "tokens", to="half_rows_shape", end=1), to="half_rows_size"
        )
        zero, step = b.constant("from_0", np.array(0)), b.constant("by_1", np.array(1))
        b.op("Range", zero, size, step, to="own_rows")
    return "own_rows"


def _put_into(b: GraphBuilder, part: GraphBuilder, label: str, names: dict[str, str]) -> None:
    """Add the nodes and arrays of a graph, under names that begin with a label.

    `names` are the names of what it reads; those of all that it makes are added.
    """
    for tensor in part.initializers:
        new = tensor.name if tensor.name.startswith(_SHARED) else f"{label}_{tensor.name}"
        names[tensor.name] = b.constant(new, numpy_helper.to_array(tensor))
    for node in part.nodes:
        b.nodes.append(_renamed(node, label, names))


def _renamed(node: NodeProto, label: str, names: dict[str, str]) -> NodeProto:
    copy = NodeProto()
    copy.CopyFrom(node)
    for values in (copy.output, copy.input):
        for index, name in enumerate(values):
            if name:
                values[index] = names.setdefault(name, f"{label}_{name}")
    copy.name = copy.output[-1]
    for attribute in copy.attribute:
        if attribute.HasField("g"):
            _rename_graph(attribute.g, label, names)
    return copy


def _rename_graph(graph: GraphProto, label: str, names: dict[str, str]) -> None:
    """Rename what the body of a loop has, and what it reads from outside."""
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = names.setdefault(value.name, f"{label}_{value.name}")
    nodes = [_renamed(node, label, names) for node in graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
