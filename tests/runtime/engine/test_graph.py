"""What Graph refuses, and what it takes for granted. tests/export compares graphs with torch."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmscore.bundle import Bundle, Config
from lmscore.errors import InputError, ModelError, VariantError
from lmscore.files import sha256_file
from lmscore.runtime.engine.graph import Graph
from lmscore.runtime.engine.sessions import open_session


@pytest.fixture(scope="module")
def graph(bundle: Bundle) -> Graph:
    return Graph.load(bundle, "fp32", threads=1)


def ids(*rows: list[Any]) -> np.ndarray:
    return np.array(rows, dtype=np.int64)


def zeros(layers: int = 1, rows: int = 2, size: int = 16) -> np.ndarray:
    return np.zeros((layers, rows, size), np.float32)


def test_a_graph_knows_where_it_runs(graph: Graph, bundle: Bundle) -> None:
    assert (graph.config, graph.variant, graph.device) == (bundle.config, "fp32", "cpu")


def test_the_named_outputs_come_in_the_order_asked_for(graph: Graph) -> None:
    tokens, state = ids([3, 4, 5], [6, 7, 8]), (zeros(), zeros())
    targets = ids([[1], [2], [3]], [[4], [5], [6]])
    names = ["next_c", "target_log_probs", "top_tokens", "log_probs", "next_h", "top_log_probs"]
    found = graph.run(names, tokens, state=state, targets=targets, k=4)
    shapes = [(1, 2, 16), (2, 3, 1), (2, 3, 4), (2, 3, 60), (1, 2, 16), (2, 3, 4)]
    assert [array.shape for array in found] == shapes
    assert [str(array.dtype) for array in found] == ["float32"] * 2 + ["int64"] + ["float32"] * 3


def test_defaults_are_no_targets_whole_rows_and_their_own_state(graph: Graph) -> None:
    tokens = ids([3, 4], [5, 6])
    state = tuple(np.full_like(tensor, 0.5) for tensor in (zeros(), zeros()))
    names = ["log_probs", "target_log_probs", "top_tokens", "next_h"]
    by_default = graph.run(names, tokens, state=state)
    in_full = graph.run(
        names,
        tokens,
        state=state,
        targets=np.empty((2, 2, 0), np.int64),
        k=0,
        lengths=np.array([2, 2], np.int32),
        parents=np.array([0, 1]),
    )
    for default, given in zip(by_default, in_full, strict=True):
        np.testing.assert_array_equal(default, given)


def test_the_incoming_state_is_left_alone(graph: Graph) -> None:
    state = (zeros(rows=1), zeros(rows=1))
    graph.run(["next_h"], ids([3, 4]), state=state)
    assert not any(tensor.any() for tensor in state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": ids([])}, r"tokens must be \[B, T\] and not empty, not \[1, 0\]"),
        ({"tokens": np.empty((0, 3), np.int64)}, r"tokens must be .* not \[0, 3\]"),
        ({"tokens": np.array([1, 2])}, r"tokens must be .* not \[2\]"),
        ({"tokens": ids([1, 2], [3, 60])}, r"tokens must lie in 0\.\.59, not 1\.\.60"),
        ({"tokens": ids([1, 2], [3, -1])}, r"tokens must lie in 0\.\.59, not -1\.\.3"),
        ({"tokens": ids([1, 2], [3, 4]).astype(np.int32)}, r"tokens is int32 .* expected int64"),
        ({"targets": ids([1, 2], [3, 4])}, r"targets is int64 \[2, 2\], expected .* \[2, 2, \?\]"),
        ({"targets": np.full((2, 2, 1), -1)}, r"targets must lie in 0\.\.59"),
        ({"targets": np.full((2, 3, 1), 0)}, r"targets is int64 \[2, 3, 1\]"),
        ({"k": -1}, r"k must lie in 0\.\.60"),
        ({"k": 61}, r"k must lie in 0\.\.60"),
        ({"lengths": np.array([0, 1], np.int32)}, r"lengths must lie in 1\.\.2, not 0\.\.1"),
        ({"lengths": np.array([1, 3], np.int32)}, r"lengths must lie in 1\.\.2, not 1\.\.3"),
        ({"lengths": np.array([1, 2])}, r"lengths is int64 \[2\], expected int32 \[2\]"),
        ({"parents": np.array([0, 2])}, r"parents must lie in 0\.\.1, not 0\.\.2"),
        ({"parents": np.array([-1, 0])}, r"parents must lie in 0\.\.1, not -1\.\.0"),
        ({"parents": np.array([0])}, r"parents is int64 \[1\], expected int64 \[2\]"),
        ({"state": (zeros(rows=3), zeros(rows=3))}, r"state has 3 rows for 2 .* give parents"),
        ({"state": (zeros(),)}, r"state has 1 tensors, expected 2"),
        ({"state": (zeros(), zeros(rows=3))}, r"state 'c' is float32 \[1, 3, 16\], .*\[1, 2, 16\]"),
        ({"state": (zeros(layers=2), zeros())}, r"state 'h' is float32 \[2, 2, 16\]"),
        ({"state": (zeros()[0], zeros())}, r"state 'h' is float32 \[2, 16\].* \[1, \?, 16\]"),
        ({"state": (zeros(rows=0), zeros(rows=0))}, r"state 'h' is float32 \[1, 0, 16\]"),
        ({"state": (zeros().astype(np.float64), zeros())}, r"state 'h' is float64"),
    ],
)
def test_arguments_that_onnx_runtime_would_misread_are_refused(
    graph: Graph, change: dict[str, Any], message: str
) -> None:
    arguments = {"tokens": ids([1, 2], [3, 4]), "state": (zeros(), zeros()), **change}
    with pytest.raises(InputError, match=message):
        graph.run(["log_probs"], arguments.pop("tokens"), **arguments)


def test_a_variant_that_is_not_there_is_named(bundle: Bundle) -> None:
    with pytest.raises(VariantError, match=r"no variant 'fp16' \(there: fp32, int8\)"):
        Graph.load(bundle, "fp16")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_size": 8}, r"input 'h' is tensor\(float\) \[1, \?, 16\], config.json wants"),
        ({"num_hidden_layers": 2}, r"input 'h' .* wants tensor\(float\) \[2, \?, 16\]; export"),
        ({"vocab_size": 61}, r"output 'log_probs' is .*60\], config.json wants .*61\]"),
        ({"cell": "gru"}, r"holds the input 'c', which lmscore does not use; export the model"),
    ],
)
def test_a_graph_of_another_model_is_refused(
    bundle: Bundle, change: dict[str, Any], message: str
) -> None:
    config: Config = dataclasses.replace(bundle.config, **change)
    with pytest.raises(ModelError, match=rf"model.onnx: {message}"):
        Graph.load(dataclasses.replace(bundle, config=config), "fp32")


def test_an_input_that_is_missing_is_named(model_path: Path, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(model_path / "model.onnx")
    (k,) = (value for value in model.graph.input if value.name == "k")
    model.graph.input.remove(k)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1]), "k"))
    onnx.save(model, tmp_path / "model.onnx")
    session = open_session(tmp_path / "model.onnx")
    with pytest.raises(ModelError, match=r"model.onnx: input 'k' is missing"):
        Graph(session, Bundle.read(model_path).config, "fp32", tmp_path / "model.onnx")


def test_a_file_that_onnx_runtime_cannot_load_is_named(bundle: Bundle, tmp_path: Path) -> None:
    import onnx

    model, path = onnx.load(bundle.path / "model.onnx"), tmp_path / "model.onnx"
    (layer,) = (n for n in model.graph.node if n.op_type == "LSTM")
    layer.input[4] = "targets"  # lengths are int32
    path.write_bytes(model.SerializeToString())
    record = dataclasses.replace(
        bundle.config.graphs["fp32"],
        sha256=sha256_file(path),
        size_bytes=path.stat().st_size,
    )
    config = dataclasses.replace(bundle.config, graphs={"fp32": record})
    with pytest.raises(ModelError, match=r"model.onnx: ONNX Runtime \S+ cannot load it: "):
        Graph.load(Bundle(tmp_path, config), "fp32")
