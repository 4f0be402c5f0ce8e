"""Output layers that need not compute everything: what they leave out, and that it is the same."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import GraphProto, TensorProto, helper

from lmscore.bundle import TARGETS_APART
from lmscore.export.graph import build_model
from lmscore.runtime.engine.graph import Graph
from lmscore.runtime.engine.sessions import session_options
from tests.export.conftest import open_graph, tiny_config
from tests.models import TorchModel

VOCAB, CUTOFFS = 50, (20, 21, 35)

randoms = st.integers(0, 2**32 - 1).map(np.random.default_rng)
few = st.integers(1, 4)


@pytest.fixture(scope="module", params=["fp32", "int8"])
def classes(request: pytest.FixtureRequest) -> Graph:
    return open_graph(TorchModel(tiny_config("lstm", cutoffs=CUTOFFS), seed=3), request.param)


@pytest.fixture(scope="module", params=["fp32", "int8"])
def self_normalized(request: pytest.FixtureRequest) -> tuple[Graph, TorchModel]:
    model = TorchModel(tiny_config("gru", self_normalized=True, layers=2), seed=4)
    return open_graph(model, request.param), model


@settings(max_examples=40)
@given(
    rows=few,
    time=few,
    targets=st.integers(0, 4),
    ids=st.sampled_from([(0, 20), (20, 21), (21, 50), (0, 50)]),
    random=randoms,
)
def test_targets_of_classes_are_scored_alone_as_beside_all_others(
    classes: Graph, rows: int, time: int, targets: int, ids: tuple[int, int], random: Any
) -> None:
    tokens = random.integers(0, VOCAB, (rows, time))
    wanted = random.integers(*ids, (rows, time, targets))
    state = classes.initial_state(rows)
    (alone,) = classes.run(["target_log_probs"], tokens, state=state, targets=wanted)
    log_probs, beside = classes.run(
        ["log_probs", "target_log_probs"], tokens, state=state, targets=wanted
    )
    np.testing.assert_allclose(alone, beside, atol=1e-6)
    np.testing.assert_allclose(alone, np.take_along_axis(log_probs, wanted, 2), atol=1e-6)
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=2), 1, atol=1e-5)


MANY: dict[str, dict[str, Any]] = {
    "plain": {},
    "projected": {"embedding": 5},
    "residual": {"layers": 3, "connections": "residual"},
    "dense": {"layers": 2, "connections": "dense"},
    "untied": {"tied": False},
}


@pytest.fixture(scope="module", params=MANY)
def many_words(request: pytest.FixtureRequest) -> Graph:
    """An int8 graph that scores targets in parts of the vocabulary."""
    config = tiny_config("lstm", vocab=2800, **MANY[request.param])
    return open_graph(TorchModel(config, seed=6), "int8")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=few, time=few, targets=st.integers(0, 3), random=randoms)
def test_targets_are_scored_apart_as_in_whole_distributions(
    many_words: Graph, rows: int, time: int, targets: int, random: Any
) -> None:
    tokens = random.integers(0, 2800, (rows, time))
    wanted = random.integers(0, 2800, (rows, time, targets))
    state = many_words.initial_state(rows)
    outputs = ["log_probs", "target_log_probs", "top_tokens"]
    (alone,) = many_words.run(outputs[1:2], tokens, state=state, targets=wanted)
    log_probs, beside, _ = many_words.run(outputs, tokens, state=state, targets=wanted, k=2)
    np.testing.assert_allclose(beside, np.take_along_axis(log_probs, wanted, 2), atol=0)
    np.testing.assert_allclose(alone, beside, atol=3e-6)

    feeds = {
        "tokens": tokens,
        "targets": wanted,
        "k": np.array([2]),
        "lengths": np.full(rows, time, np.int32),
        "parents": np.arange(rows),
        "measured": np.array([0]),
        **{each.name: x for each, x in zip(many_words.config.state, state, strict=True)},
    }
    session = many_words._session
    for more, count in (({}, rows), ({"distributions": np.array([1])}, 1)):
        first, mixed, best = session.run(outputs, {**feeds, **more})
        assert (len(first), len(best)) == (count, count)
        np.testing.assert_allclose(first, log_probs[:count], atol=0)
        np.testing.assert_allclose(mixed, alone, atol=3e-6)


@pytest.mark.parametrize(("targets", "whole"), [(1, 0), (100, 0), (300, 2)])
def test_many_targets_are_read_off_whole_distributions(
    many_words: Graph, targets: int, whole: int
) -> None:
    random = np.random.default_rng(0)
    tokens, wanted = random.integers(0, 2800, (2, 3)), random.integers(0, 2800, (2, 3, targets))
    state = many_words.initial_state(2)
    feeds = many_words._feeds(["target_log_probs"], tokens, state, wanted, 0, None, None)
    assert feeds["distributions"].item() == whole
    (found,) = many_words.run(["target_log_probs"], tokens, state=state, targets=wanted)
    (log_probs,) = many_words.run(["log_probs"], tokens, state=state)
    np.testing.assert_allclose(found, np.take_along_axis(log_probs, wanted, 2), atol=3e-6)


@pytest.mark.parametrize(
    ("cell", "options", "variant", "is_apart"),
    [
        ("lstm", {"vocab": 2700}, "int8", True),
        ("lstm", {"vocab": 2500}, "int8", False),
        ("lstm", {"vocab": 2700}, "fp32", False),
        ("rnn-relu", {"vocab": 2700}, "int8", False),  # a run's rows share a step
        ("rnn-relu", {"vocab": 2700, "embedding": 5}, "int8", True),
    ],
)
def test_which_graphs_score_targets_apart(
    cell: Any, options: dict[str, Any], variant: str, is_apart: bool
) -> None:
    model = TorchModel(tiny_config(cell, **options), seed=5)
    weights = {name: tensor.numpy() for name, tensor in model.weights().items()}
    made = build_model(model.config, weights, variant)
    assert (TARGETS_APART in {node.name for node in made.graph.node}) is is_apart
    bytes_stored = sum(len(tensor.raw_data) for tensor in stored_anywhere(made.graph))
    matrix = {"int8": 1.5, "fp32": 4.5}[variant] * 2700 * model.config.output_dim  # once, not twice
    assert bytes_stored < matrix + 8 * 2700 + 3000  # biases and scales; what the layers have


def stored_anywhere(graph: GraphProto) -> Iterator[TensorProto]:
    """The arrays of a graph and of the graphs in it."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from stored_anywhere(attribute.g)


@pytest.mark.parametrize("bias", [-30.0, -1e4, -1e9])
def test_tokens_without_a_chance_take_nothing_from_the_others(bias: float) -> None:
    """As in vocabularies with padding, and masks; the first token of each part is one."""
    model = TorchModel(tiny_config("lstm", vocab=2800), seed=5)
    with torch.no_grad():
        model.output.bias[::560] = bias
    graph = open_graph(model, "int8")
    random = np.random.default_rng(0)
    tokens, wanted = random.integers(0, 2800, (2, 3)), random.integers(1, 559, (2, 3, 4))
    (alone,) = graph.run(["target_log_probs"], tokens, state=graph.initial_state(2), targets=wanted)
    (log_probs,) = graph.run(["log_probs"], tokens, state=graph.initial_state(2))
    np.testing.assert_allclose(alone, np.take_along_axis(log_probs, wanted, 2), atol=3e-6)


@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_rows_that_nobody_wants_are_not_computed(variant: str) -> None:
    model = TorchModel(tiny_config("lstm", vocab=2700), seed=5)
    weights = {name: tensor.numpy() for name, tensor in model.weights().items()}
    made = build_model(model.config, weights, variant)
    made.graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(made.SerializeToString(), session_options(1))

    def rows_of_logits(targets: int, **given: int) -> int:
        feeds: dict[str, np.ndarray] = {
            "tokens": np.ones((3, 2), np.int64),
            "targets": np.ones((3, 2, targets), np.int64),
            "k": np.array([0]),
            "lengths": np.full(3, 2, np.int32),
            "parents": np.arange(3),
            "measured": np.array([0]),
            **{name: np.array([count]) for name, count in given.items()},
        }
        for tensor in model.config.state:
            feeds[tensor.name] = np.zeros(tensor.shape(3), np.float32)
        return len(session.run(["logits"], feeds)[0])

    assert rows_of_logits(0) == rows_of_logits(0, distributions=3) == 6
    assert rows_of_logits(0, distributions=0) == 0
    assert rows_of_logits(0, distributions=2) == 4
    assert rows_of_logits(1, distributions=0) == (0 if variant == "int8" else 6)


@pytest.mark.parametrize("cell", ["lstm", "rnn-relu"])
@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_a_class_is_computed_for_those_tokens_alone_that_need_it(cell: Any, variant: str) -> None:
    model = TorchModel(tiny_config(cell, cutoffs=(10, 30)), seed=5)
    weights = {name: tensor.numpy() for name, tensor in model.weights().items()}
    made = build_model(model.config, weights, variant)
    names = ["members_of_class_1", "words_of_class_1", "members_of_class_2", "words_of_class_2"]
    for name in names:
        dtype = TensorProto.INT64 if name.startswith("members") else TensorProto.FLOAT
        made.graph.output.append(helper.make_tensor_value_info(name, dtype, None))
    session = onnxruntime.InferenceSession(made.SerializeToString(), session_options(1))

    def run(targets: list[list[list[int]]], distributions: int) -> list[np.ndarray]:
        B, T = np.shape(targets)[:2]
        feeds: dict[str, np.ndarray] = {
            "tokens": np.ones((B, T), np.int64),
            "targets": np.array(targets, np.int64).reshape(B, T, -1),
            "k": np.array([0]),
            "lengths": np.full(B, T, np.int32),
            "parents": np.arange(B),
            "distributions": np.array([distributions]),
            "measured": np.array([0]),
        }
        for tensor in model.config.state:
            feeds[tensor.name] = np.zeros(tensor.shape(B), np.float32)
        found: list[np.ndarray] = session.run([*names, "log_probs"], feeds)
        return found

    first, of_first, second, of_second, whole = run([[[3, 12], [31, 9]], [[10, 29], [9, 9]]], 0)
    assert first.tolist() == [0, 2]
    assert second.tolist() == [1]
    assert of_first.shape == (2, 20)
    assert of_second.shape == (1, 20)
    assert whole.shape == (0, 2, 50)
    first, _, second, _, whole = run([[[3], [31]], [[10], [9]]], 1)
    assert (first.tolist(), second.tolist()) == ([0, 1, 2], [0, 1])
    assert whole.shape == (1, 2, 50)
    first, of_first, *_, whole = run([[[], []]], 0)
    assert (first.tolist(), of_first.shape, whole.shape) == ([], (0, 20), (0, 2, 50))


@settings(max_examples=30)
@given(rows=few, time=few, targets=st.integers(0, 3), random=randoms)
def test_scores_are_log_probs_and_what_all_targets_share(
    self_normalized: tuple[Graph, TorchModel], rows: int, time: int, targets: int, random: Any
) -> None:
    graph, model = self_normalized
    tolerance = 2e-5 if graph.variant == "fp32" else 0.1
    tokens = random.integers(0, VOCAB, (rows, time))
    wanted = random.integers(0, VOCAB, (rows, time, targets))
    state = graph.initial_state(rows)
    (alone,) = graph.run(["target_scores"], tokens, state=state, targets=wanted)
    scores, log_probs = graph.run(
        ["target_scores", "target_log_probs"], tokens, state=state, targets=wanted
    )
    assert alone.shape == wanted.shape
    np.testing.assert_allclose(alone, scores, atol=1e-6)
    for k in range(targets):
        expected = model.target_logits(tokens, wanted[..., k])
        np.testing.assert_allclose(scores[..., k], expected, atol=tolerance)
        log_z = scores[..., k] - log_probs[..., k]
        np.testing.assert_allclose(log_z, scores[..., 0] - log_probs[..., 0], atol=tolerance)


def test_no_distribution_is_computed_where_none_is_asked_for() -> None:
    model = TorchModel(tiny_config("lstm", self_normalized=True))
    graph = open_graph(model, "fp32")
    feeds = []
    made = graph._feeds

    def watched(*given: Any) -> dict[str, Any]:
        found = made(*given)
        feeds.append(found["distributions"].tolist())
        return found

    graph._feeds = watched  # type: ignore[method-assign, assignment]
    tokens, targets = np.ones((3, 2), np.int64), np.ones((3, 2, 1), np.int64)
    for outputs in (["target_scores"], graph.state_outputs, ["target_log_probs"], ["log_probs"]):
        graph.run(outputs, tokens, state=graph.initial_state(3), targets=targets)
    graph.run(["top_tokens"], tokens, state=graph.initial_state(3), k=1)
    assert feeds == [[0], [0], [3], [3], [3]]


def test_four_words_in_two_classes_by_hand() -> None:
    config = tiny_config("rnn-tanh", vocab=4, hidden=1, cutoffs=(1, 2))
    model = TorchModel(config)
    numbers = {
        "embedding.weight": [[0.5], [0.0], [1.0], [-1.0]],
        "rnn.weight_ih_l0": [[1.0]],
        "rnn.weight_hh_l0": [[0.0]],
        "rnn.bias_ih_l0": [0.0],
        "rnn.bias_hh_l0": [0.0],
        "output.weight": [[0.5], [0.0], [1.0], [-1.0]],
        "output.bias": [0.0, 7.0, 0.0, 0.5],
        "output.classes.weight": [[2.0], [0.0]],
        "output.classes.bias": [0.0, -1.0],
    }
    model.load_state_dict({name: torch.tensor(value) for name, value in numbers.items()})
    graph = open_graph(model, "fp32")
    (log_probs,) = graph.run(["log_probs"], np.array([[0]]), state=graph.initial_state(1))
    h = math.tanh(0.5)
    head = [math.exp(0.5 * h), math.exp(2 * h), math.exp(-1)]  # word 0, the classes of 1 and 2, 3
    within = [math.exp(h), math.exp(0.5 - h)]
    expected = [
        head[0] / sum(head),
        head[1] / sum(head),  # a class of one word: whatever its bias
        head[2] / sum(head) * within[0] / sum(within),
        head[2] / sum(head) * within[1] / sum(within),
    ]
    np.testing.assert_allclose(np.exp(log_probs[0, 0]), expected, rtol=1e-5)


@pytest.mark.parametrize("options", [{"cutoffs": (30, 90)}, {"self_normalized": True}])
@pytest.mark.parametrize(("variant", "size"), [("fp32", 4), ("int8", 1)])
def test_the_tied_matrix_is_stored_once(options: dict[str, Any], variant: str, size: int) -> None:
    model = TorchModel(tiny_config("lstm", vocab=200, hidden=8, **options))
    weights = {name: tensor.numpy() for name, tensor in model.weights().items()}
    made = build_model(model.config, weights, variant)
    large = [i for i in made.graph.initializer if np.prod(i.dims) >= 100 * 8]
    assert [i.name for i in large] == ["embedding.weight"]
    assert len(large[0].raw_data) == 200 * 8 * size
