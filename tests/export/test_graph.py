"""The graph against torch, and against itself run in other ways."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lmscore.bundle import CELLS, HEADS, Cell
from lmscore.errors import ExportError
from lmscore.export.builder import GraphBuilder
from lmscore.export.cells import CELL_NODES
from lmscore.export.graph import HEADS as HEAD_NODES
from lmscore.export.graph import IR_VERSION, OPSET, build_model
from tests.export.conftest import OUTPUTS, SIZES, Pair, open_graph, random_state, tiny_config
from tests.models import TorchModel

Floats = NDArray[np.float32]

randoms = st.integers(0, 2**32 - 1).map(np.random.default_rng)
few = st.integers(1, 5)
quickly = settings(max_examples=15, deadline=None)  # of each of 30 graphs


def draw_tokens(pair: Pair, rows: int, time: int, random: np.random.Generator) -> NDArray[np.int64]:
    return random.integers(0, pair.graph.config.vocab_size, (rows, time))


def outputs(pair: Pair) -> list[str]:
    return ["log_probs", *(tensor.next for tensor in pair.graph.config.state)]


def assert_close(found: list[Floats], expected: list[Floats], tolerance: float) -> None:
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@quickly
@given(rows=few, time=few, random=randoms)
def test_a_batch_equals_torch(
    pair: Pair, rows: int, time: int, random: np.random.Generator
) -> None:
    tokens = draw_tokens(pair, rows, time, random)
    state = random_state(pair.graph.config, rows, random)
    log_probs, following = pair.torch.score(tokens, state)
    found = pair.graph.run(outputs(pair), tokens, state=state)
    assert_close(found, [log_probs, *following], pair.tolerance)


@quickly
@given(rows=few, time=few, random=randoms)
def test_a_padded_row_equals_the_row_alone(
    pair: Pair, rows: int, time: int, random: np.random.Generator
) -> None:
    tokens = draw_tokens(pair, rows, time, random)
    lengths = random.integers(1, time + 1, rows).astype(np.int32)
    state = random_state(pair.graph.config, rows, random)
    log_probs, *following = pair.graph.run(outputs(pair), tokens, state=state, lengths=lengths)
    for row, length in enumerate(lengths):
        own_state = tuple(tensor[:, [row]] for tensor in state)
        own_tokens = tokens[[row], :length]
        found = [log_probs[[row], :length], *(tensor[:, [row]] for tensor in following)]
        alone = pair.graph.run(outputs(pair), own_tokens, state=own_state)
        assert_close(found, alone, pair.own_tolerance)
        expected, end = pair.torch.score(own_tokens, own_state)
        assert_close(found, [expected, *end], pair.tolerance)


@quickly
@given(rows=few, time=st.integers(2, 7), size=st.integers(1, 3), random=randoms)
def test_chunks_with_the_state_carried_equal_the_whole(
    pair: Pair, rows: int, time: int, size: int, random: np.random.Generator
) -> None:
    tokens = draw_tokens(pair, rows, time, random)
    state = random_state(pair.graph.config, rows, random)
    whole = pair.graph.run(outputs(pair), tokens, state=state)
    pieces = []
    for start in range(0, time, size):
        piece, *following = pair.graph.run(
            outputs(pair), tokens[:, start : start + size], state=state
        )
        state = tuple(following)
        pieces.append(piece)
    assert_close([np.concatenate(pieces, axis=1), *state], whole, pair.own_tolerance)


@quickly
@given(rows=few, parents=st.lists(st.integers(0, 4), min_size=1, max_size=6), random=randoms)
def test_parents_choose_rows_of_the_state(
    pair: Pair, rows: int, parents: list[int], random: np.random.Generator
) -> None:
    chosen = np.array(parents) % rows
    tokens = draw_tokens(pair, len(parents), 2, random)
    state = random_state(pair.graph.config, rows, random)
    found = pair.graph.run(outputs(pair), tokens, state=state, parents=chosen)
    copied = tuple(tensor[:, chosen] for tensor in state)
    assert_close(found, pair.graph.run(outputs(pair), tokens, state=copied), 1e-6)


@quickly
@given(rows=few, time=few, targets=st.integers(0, 3), k=st.integers(0, 5), random=randoms)
def test_targets_and_best_tokens_are_picked_from_the_log_probs(
    pair: Pair, rows: int, time: int, targets: int, k: int, random: np.random.Generator
) -> None:
    tokens = draw_tokens(pair, rows, time, random)
    wanted = random.integers(0, pair.graph.config.vocab_size, (rows, time, targets))
    log_probs, of_targets, best, best_tokens = pair.graph.run(
        ["log_probs", "target_log_probs", "top_log_probs", "top_tokens"],
        tokens,
        state=pair.graph.initial_state(rows),
        targets=wanted,
        k=k,
    )
    np.testing.assert_array_equal(of_targets, np.take_along_axis(log_probs, wanted, 2))
    np.testing.assert_array_equal(best, -np.sort(-log_probs, axis=2)[..., :k])
    np.testing.assert_array_equal(best, np.take_along_axis(log_probs, best_tokens, 2))


@quickly
@given(rows=few, time=few, targets=st.integers(0, 3), random=randoms)
def test_entropies_and_ranks_are_those_of_the_log_probs(
    pair: Pair, rows: int, time: int, targets: int, random: np.random.Generator
) -> None:
    tokens = draw_tokens(pair, rows, time, random)
    wanted = random.integers(0, pair.graph.config.vocab_size, (rows, time, targets))
    given: dict[str, Any] = {"state": pair.graph.initial_state(rows), "targets": wanted}
    names = ["entropies", "target_ranks", "target_log_probs"]
    entropies, ranks, of_targets = pair.graph.run(names, tokens, **given)
    # In a run of its own, since a measured class is computed for every token.
    log_probs, expected = pair.graph.run(["log_probs", "target_log_probs"], tokens, **given)
    np.testing.assert_allclose(of_targets, expected, atol=1e-6)
    products = np.exp(log_probs.astype(np.float64)) * log_probs
    np.testing.assert_allclose(entropies, -products.sum(axis=2), atol=1e-5)
    likelier = log_probs[:, :, None] > np.take_along_axis(log_probs, wanted, 2)[..., None]
    np.testing.assert_array_equal(ranks, 1 + likelier.sum(axis=3))


def test_measures_are_computed_for_those_who_ask(pair: Pair) -> None:
    tokens = draw_tokens(pair, 3, 4, np.random.default_rng(0))
    state = pair.graph.initial_state(3)
    feeds = pair.graph._feeds(["target_log_probs"], tokens, state, tokens[..., None], 0, None, None)
    names = ["entropies", "target_ranks"]
    entropies, ranks = pair.graph._session.run(names, feeds)
    assert entropies.shape == (0, 4)
    assert ranks.shape == (0, 4, 1)


def test_the_probabilities_of_a_position_sum_to_one(pair: Pair) -> None:
    tokens = draw_tokens(pair, 3, 4, np.random.default_rng(0))
    (log_probs,) = pair.graph.run(["log_probs"], tokens, state=pair.graph.initial_state(3))
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=2), 1, atol=1e-5)


def test_two_words_and_one_unit_by_hand() -> None:
    config = dataclasses.replace(
        tiny_config("rnn-tanh", vocab=2, hidden=1), eos_token_id=0, bos_token_id=0
    )
    model = TorchModel(config)
    numbers = {
        "embedding.weight": [[0.5], [-0.5]],
        "rnn.weight_ih_l0": [[2.0]],
        "rnn.weight_hh_l0": [[0.5]],
        "rnn.bias_ih_l0": [0.25],
        "rnn.bias_hh_l0": [-0.1],
        "output.weight": [[0.5], [-0.5]],
        "output.bias": [0.0, 1.0],
    }
    model.load_state_dict({name: torch.tensor(value) for name, value in numbers.items()})
    graph = open_graph(model, "fp32")
    log_probs, h = graph.run(
        ["log_probs", "next_h"], np.array([[0, 1]]), state=graph.initial_state(1)
    )
    first = math.tanh(2 * 0.5 + 0.25 - 0.1)
    second = math.tanh(2 * -0.5 + 0.25 + 0.5 * first - 0.1)
    for found, hidden in zip(log_probs[0], (first, second), strict=True):
        # Two words: the difference of their logits is hidden - 1.
        assert found[0] == pytest.approx(-math.log1p(math.exp(1 - hidden)), abs=1e-6)
        assert found[1] == pytest.approx(-math.log1p(math.exp(hidden - 1)), abs=1e-6)
    assert h.item() == pytest.approx(second, abs=1e-6)


GATES: tuple[Cell, ...] = ("lstm", "lstm-coupled")


def build(cell: Cell, variant: str, **options: Any) -> onnx.ModelProto:
    model = TorchModel(tiny_config(cell, **{"vocab": 200, "hidden": 8, **options}))
    weights = {name: tensor.numpy() for name, tensor in model.weights().items()}
    return build_model(model.config, weights, variant)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("variant", ["fp32", "int8", "fp16"])
@pytest.mark.parametrize("output", ["softmax", *OUTPUTS])
def test_the_file_is_valid_and_the_same_every_time(cell: Cell, variant: str, output: str) -> None:
    options = {"layers": 2, **OUTPUTS.get(output, {})}
    model = build(cell, variant, **options)
    onnx.checker.check_model(model, full_check=True)
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names)  # which is not checked there
    assert model.ir_version == IR_VERSION
    assert [entry.version for entry in model.opset_import if not entry.domain] == [OPSET]
    again = build(cell, variant, **options)
    assert model.SerializeToString(deterministic=True) == again.SerializeToString(
        deterministic=True
    )


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("variant", "size"), [("fp32", 4), ("int8", 1), ("fp16", 2)])
def test_a_tied_matrix_is_stored_once(cell: Cell, variant: str, size: int) -> None:
    tied, untied = (build(cell, variant, tied=tied) for tied in (True, False))
    matrix = 200 * 8

    def large(model: onnx.ModelProto) -> list[str]:
        return [i.name for i in model.graph.initializer if np.prod(i.dims) >= matrix]

    assert large(tied) == ["embedding.weight"]
    assert large(untied) == ["embedding.weight", "output.weight"]
    (stored,) = (i for i in tied.graph.initializer if i.name == "embedding.weight")
    assert len(stored.raw_data) == matrix * size
    scales_and_names = 200 * 4 + 500 if variant == "int8" else 500
    extra = len(untied.SerializeToString()) - len(tied.SerializeToString())
    assert matrix * size <= extra <= matrix * size + scales_and_names


@pytest.mark.parametrize("cell", CELLS)
def test_every_large_weight_of_an_int8_file_is_in_8_bits(cell: Cell) -> None:
    model = build(cell, "int8", layers=2)
    bodies = [a.g for n in model.graph.node if n.op_type == "Scan" for a in n.attribute if a.g.node]
    for graph in (model.graph, *bodies):
        for stored in graph.initializer:
            if len([size for size in stored.dims if size > 1]) > 1:
                assert stored.data_type == onnx.TensorProto.INT8, stored.name


def test_coupled_gates_save_a_gate_in_int8() -> None:
    sizes = {cell: len(build(cell, "int8", hidden=64).SerializeToString()) for cell in GATES}
    gate = 2 * 64 * 64  # bytes of its rows of W and R
    assert gate < sizes["lstm"] - sizes["lstm-coupled"] < gate + 2000


@pytest.mark.parametrize("cell", CELLS)
def test_an_fp16_file_is_in_16_bits_but_for_state_and_softmax(cell: Cell) -> None:
    if CELLS[cell].has_heads:
        pytest.skip("all but its projections is in 32 bits")
    model = build(cell, "fp16", layers=2)
    for stored in model.graph.initializer:
        assert stored.data_type in (onnx.TensorProto.FLOAT16, onnx.TensorProto.INT64), stored.name
    wide, half = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16
    casts = [(n.output[0], n.attribute[0].i) for n in model.graph.node if n.op_type == "Cast"]
    floats = [(name, kind) for name, kind in casts if kind in (wide, half)]
    states = ["h", "c"] if cell.startswith("lstm") else ["h"]
    measured = [("likelier", wide)]  # a count of tokens
    expected = [("logits_wide", wide), *measured]
    for layer in range(2) if CELLS[cell].is_recurrent else ():
        expected += [(f"{name}_{layer}_half", half) for name in states]
        expected += [(f"next_{name}_{layer}", wide) for name in states]
    if not CELLS[cell].is_recurrent:  # one state, of the embeddings that were read last
        expected += [one for one in floats if one not in expected]
        assert sorted(kind for _, kind in expected) == [wide, wide, wide, half]
    assert sorted(floats) == sorted(expected)
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.elem_type != half, value.name


def test_a_weight_that_no_float16_holds_is_refused() -> None:
    model = TorchModel(tiny_config("lstm"))
    weights = {name: tensor.numpy().copy() for name, tensor in model.weights().items()}
    weights["rnn.weight_hh_l0"][3, 2] = 65504
    build_model(model.config, weights, "fp16")
    weights["rnn.weight_hh_l0"][3, 2] = -70000
    with pytest.raises(
        ExportError, match=r"'rnn.weight_hh_l0' has the weight 7e\+04, and fp16 ends"
    ):
        build_model(model.config, weights, "fp16")


@pytest.mark.parametrize("variant", ["fp32", "int8", "fp16"])
def test_metadata_declares_the_state(variant: str) -> None:
    metadata = {entry.key: entry.value for entry in build("lstm", variant).metadata_props}
    assert metadata == {
        "format_version": "1",
        "variant": variant,
        "STATE_h": "next_h",
        "STATE_c": "next_c",
    }


def test_every_row_has_nodes() -> None:
    assert list(HEAD_NODES) == [spec.name for spec in HEADS.values()]
    assert set(CELL_NODES) == {cell for cell, spec in CELLS.items() if spec.has_recurrent_matrix}
    # And the pairs that are compared above have every output layer.
    tested = (tiny_config("lstm", **options) for options in (*SIZES.values(), *OUTPUTS.values()))
    assert {config.head_spec.name for config in tested} == set(HEAD_NODES)


def test_one_name_is_one_array() -> None:
    builder = GraphBuilder()
    assert builder.integers("axis", 1) == builder.integers("axis", 1) == "axis"
    assert len(builder.initializers) == 1
    with pytest.raises(ValueError, match="axis names two arrays"):
        builder.integers("axis", 2)
