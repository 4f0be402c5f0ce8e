"""The tables of cells and output layers, and the surface of the room."""

from __future__ import annotations

import subprocess
import sys

import pytest

import lmscore.bundle
from lmscore.bundle import CELLS, HEADS, OPEN, Cell, graph_inputs, graph_outputs
from tests.train.toy import head_config, toy_config


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_names_gates_that_it_has(cell: Cell) -> None:
    spec = CELLS[cell]
    if spec.has_heads:  # no operator or step has its gates one above another
        return
    assert set(spec.onnx_gates) - {OPEN} == set(range(spec.gates))
    assert (spec.open_gate is not None) == (OPEN in spec.onnx_gates)
    assert set(spec.step_gates or spec.onnx_gates) - {OPEN} == set(range(spec.gates))
    if spec.remembering_gate is not None:
        assert spec.remembering_gate[0] < spec.gates
    if spec.onnx_negated is not None:
        assert spec.onnx_negated < len(spec.onnx_gates)
    weights = toy_config(cell=cell).weight_shapes()
    assert ("rnn.weight_hh_l0" in weights) is spec.has_recurrent_matrix


@pytest.mark.parametrize("key", HEADS)
def test_an_output_layer_says_what_its_graph_has(key: tuple) -> None:  # type: ignore[type-arg]
    config = head_config(HEADS[key])
    spec = config.head_spec
    assert spec is HEADS[key]
    assert "output.bias" in config.weight_shapes()
    inputs = {value.name: value for value in graph_inputs(config)}
    outputs = {value.name: value for value in graph_outputs(config)}
    assert inputs["distributions"].has_default is (spec.name == "softmax")
    assert ("target_scores" in outputs) is spec.has_scores
    whole = [name for name, value in outputs.items() if value.is_whole]
    exact = ["target_log_probs"] if spec.has_scores else []
    assert whole == ["log_probs", *exact, "top_log_probs", "top_tokens"]


def test_names_of_output_layers_are_their_own() -> None:
    assert len({spec.name for spec in HEADS.values()}) == len(HEADS)


def test_the_surface() -> None:
    for name in lmscore.bundle.__all__:
        assert getattr(lmscore.bundle, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'sing'"):
        lmscore.bundle.sing  # type: ignore[attr-defined]  # noqa: B018


def test_the_eager_part_needs_no_numpy() -> None:
    script = "import sys, lmscore.bundle; print(*{'numpy', 'safetensors'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
