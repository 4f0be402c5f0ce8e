"""Layouts: what other programs read of the files, and how they run them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnxruntime import InferenceSession

from lmscore.bundle import CELLS, LAYOUT_NAMES, Bundle, Cell
from lmscore.errors import ExportError, ModelError, OptionError, VariantError
from lmscore.export import LAYOUTS, export_layout, export_model
from lmscore.export.layouts import write
from lmscore.files import sha256_file
from lmscore.runtime.checking import check_model
from lmscore.runtime.engine import Engine
from tests.models import make_model

OPTIONS: list[tuple[Cell, dict[str, Any]]] = [
    *((cell, {"layers": 2}) for cell in CELLS),
    ("lstm", {"embedding": 7, "cutoffs": (20, 30)}),
    ("gru", {"self_normalized": True}),
    ("gru", {"learned_initial_state": True}),
    ("lstm", {"context": "document"}),
]


@pytest.mark.parametrize(("cell", "options"), OPTIONS)
def test_every_layout_of_every_cell(cell: Cell, options: dict[str, Any], tmp_path: Path) -> None:
    bundle = make_model(tmp_path / "m", cell=cell, variants=("fp32", "int8"), **options)
    for name in LAYOUTS:
        if name == "sherpa-online" and CELLS[cell].has_heads:
            continue
        for variant in ("fp32", "int8"):
            path, record = export_layout(bundle.path, name, variant=variant)
            assert record.max_difference < (
                0.02 if cell == "rnn-relu" and variant == "int8" else 2e-5
            )
            onnx.checker.check_model(onnx.load(path))


def test_a_layout_has_no_way_to_targets_alone(tmp_path: Path) -> None:
    """All rows are whole there, so that the parts of the matrix would lie in memory for nothing."""
    bundle = make_model(tmp_path / "m", vocab=2700, variants=("int8",))
    operators = {node.op_type for node in onnx.load(bundle.graph_path("int8")).graph.node}
    assert "If" in operators
    for name in LAYOUTS:
        path, _ = export_layout(bundle.path, name, variant="int8")
        assert "If" not in {node.op_type for node in onnx.load(path).graph.node}


def test_every_name_has_a_layout() -> None:
    assert (*LAYOUTS, "ort") == LAYOUT_NAMES


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_model(tmp_path_factory.mktemp("m") / "m", cell="gru", layers=2, variants=("fp32",))


def session_of(bundle: Bundle, layout: str) -> InferenceSession:
    path, _ = export_layout(bundle.path, layout, variant="fp32")
    return InferenceSession(path, providers=["CPUExecutionProvider"])


def test_sherpa_online_reads_three_inputs_and_its_metadata(bundle: Bundle) -> None:
    session = session_of(bundle, "sherpa-online")
    assert [value.type for value in session.get_inputs()] == [
        "tensor(int64)",
        *["tensor(float)"] * 2,
    ]
    assert [value.shape for value in session.get_inputs()[1:]] == [[2, 1, 16]] * 2
    assert len(session.get_outputs()) == 3
    metadata = session.get_modelmeta().custom_metadata_map
    wanted = {"num_layers": "2", "hidden_size": "16", "sos_id": str(bundle.config.bos_token_id)}
    assert wanted.items() <= metadata.items()
    second = np.full((2, 1, 16), 0.5, np.float32)  # a GRU has one state: the other is passed on
    feeds = [np.array([[3]]), np.zeros((2, 1, 16), np.float32), second]
    names = [value.name for value in session.get_inputs()]
    *_, passed = session.run(None, dict(zip(names, feeds, strict=True)))
    np.testing.assert_array_equal(passed, second)


def test_sherpa_offline_scores_whole_sequences(bundle: Bundle) -> None:
    session, engine = session_of(bundle, "sherpa-offline"), Engine.load(bundle, "fp32")
    assert [value.name for value in session.get_inputs()] == ["x", "x_lens"]
    x = np.array([[4, 5, 6], [7, 0, 0], [0, 0, 0]], np.int64)
    lengths = np.array([3, 1, 0], np.int64)
    (found,) = session.run(None, {"x": x, "x_lens": lengths})
    for row, length, cost in zip(x, lengths, found, strict=True):
        total, step = 0.0, engine.read([])
        for token in [*row[:length], bundle.config.eos_token_id]:
            total += float(step.log_probs[0, token])
            step = engine.step([token], step.state)
        assert cost == pytest.approx(-total, abs=1e-4)
    padding = np.array([[4, 5, 6, 9], [7, 9, 9, 9], [9, 9, 9, 9]], np.int64)
    np.testing.assert_array_equal(session.run(None, {"x": padding, "x_lens": lengths})[0], found)
    empty = session.run(None, {"x": np.zeros((1, 0), np.int64), "x_lens": np.zeros(1, np.int64)})
    assert empty[0][0] == pytest.approx(found[2], abs=1e-5)


def test_rasr_finds_the_state_by_its_metadata(bundle: Bundle) -> None:
    session = session_of(bundle, "rasr")
    types = {value.name: (value.type, len(value.shape)) for value in session.get_inputs()}
    assert types == {
        "word": ("tensor(int32)", 2),
        "word-length": ("tensor(int32)", 1),
        "state": ("tensor(float)", 2),
    }
    state = session.get_modelmeta().custom_metadata_map["STATE_state"]
    shapes = {value.name: value.shape for value in session.get_outputs()}
    assert shapes[state][1] == session.get_inputs()[2].shape[1] == 2 * 16
    assert shapes["nn-output"][2] == bundle.config.vocab_size


def test_rasr_s_scorer_gives_costs_and_reads_a_prefix_length(bundle: Bundle) -> None:
    session, engine = session_of(bundle, "rasr-scorer"), Engine.load(bundle, "fp32")
    types = {value.name: (value.type, len(value.shape)) for value in session.get_inputs()}
    assert types == {
        **dict.fromkeys(("token-length", "prefix-length"), ("tensor(int32)", 1)),
        "token": ("tensor(int32)", 2),
        "state": ("tensor(float)", 2),
    }
    assert session.get_modelmeta().custom_metadata_map["STATE_state"] == "next_state"
    feeds = {
        "token": np.array([[4], [5]], np.int32),
        "token-length": np.ones(2, np.int32),
        "prefix-length": np.array([3, 0], np.int32),  # the state knows what was read
        "state": np.zeros((2, 32), np.float32),
    }
    scores, _ = session.run(["scores", "next_state"], feeds)
    expected = engine.step([4, 5], engine.initial_state(2)).log_probs
    np.testing.assert_allclose(scores[:, 0], -expected, atol=1e-5)


def test_triton_s_own_reader_takes_the_configuration(bundle: Bundle) -> None:
    read = pytest.importorskip("tritonclient.grpc.model_config_pb2")
    text_format = pytest.importorskip("google.protobuf.text_format")
    path, _ = export_layout(bundle.path, "triton", variant="fp32")
    text = (path.parents[1] / "config.pbtxt").read_text()
    config = text_format.Parse(text, read.ModelConfig())
    (state,) = config.sequence_batching.state
    assert (config.backend, config.max_batch_size) == ("onnxruntime", 64)
    assert (state.input_name, state.output_name, list(state.dims)) == ("state", "next_state", [32])
    assert state.initial_state[0].data_file == "after_bos"
    session = InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == [config.input[0].name, "state"]


def test_what_was_measured_is_recorded(bundle: Bundle) -> None:
    path, record = export_layout(bundle.path, "rasr", variant="fp32")
    export_layout(bundle.path, "triton", variant="fp32")
    found = Bundle.read(bundle.path)
    assert found.config.layouts["rasr"] == {"fp32": record}
    assert record.sha256 == sha256_file(path)
    assert {("rasr", "fp32"), ("triton", "fp32")} <= set(found.layouts())
    assert found.layout_path("rasr", "fp32") == path
    assert check_model(bundle.path).problems == []
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match=r"rasr.onnx: does not match its sha256 in config.json"):
        found.layout_path("rasr", "fp32")
    (problem,) = check_model(bundle.path).problems
    assert "rasr.onnx: does not match" in problem
    path.unlink()
    assert ("rasr", "fp32") not in found.layouts()


def test_layouts_of_other_weights_are_forgotten(tmp_path: Path) -> None:
    """They stay where the same graph is exported again, and go where it is another one."""
    bundle = make_model(tmp_path / "m", variants=("fp32", "int8"))
    for variant in ("fp32", "int8"):
        export_layout(bundle.path, "rasr", variant=variant)
    assert set(export_model(bundle.path, variants=("fp32",)).layouts["rasr"]) == {"fp32", "int8"}
    config = Bundle.read(bundle.path).config
    graphs = {**config.graphs, "fp32": dataclasses.replace(config.graphs["fp32"], sha256="")}
    Bundle(bundle.path, dataclasses.replace(config, graphs=graphs)).write_config()
    assert set(export_model(bundle.path, variants=("fp32",)).layouts["rasr"]) == {"int8"}


def test_triton_begins_after_the_start_of_a_sentence(bundle: Bundle) -> None:
    path, _ = export_layout(bundle.path, "triton", variant="fp32")
    folder = path.parents[1]
    assert path == bundle.path / "triton" / "lm_fp32" / "1" / "model.onnx"
    state = np.fromfile(folder / "initial_state" / "after_bos", "<f4")[None]
    config = (folder / "config.pbtxt").read_text()
    assert f"dims: [ {bundle.config.vocab_size} ]" in config
    assert config.count(f"dims: [ {state.size} ]") == 2
    session = InferenceSession(path, providers=["CPUExecutionProvider"])
    found, _ = session.run(None, {"token": np.array([[4]]), "state": state})
    engine = Engine.load(bundle, "fp32")
    np.testing.assert_allclose(found, engine.read([4]).log_probs, atol=1e-5)


def test_what_cannot_be_written(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no layout 'kaldi'; there are sherpa-online, sherpa-off"):
        export_layout(bundle.path, "kaldi", variant="fp32")
    with pytest.raises(VariantError, match="no variant 'int8'"):
        export_layout(bundle.path, "rasr", variant="int8")
    learned = make_model(tmp_path / "l", learned_initial_state=True, variants=("fp32",))
    with pytest.raises(ExportError, match="has two state tensors, and the model more: h, c, phase"):
        export_layout(learned.path, "sherpa-online", variant="fp32")
    heads = make_model(tmp_path / "h", cell="gated-delta", variants=("fp32",))
    with pytest.raises(ExportError, match="two states of one size, and the cell gated-delta has"):
        export_layout(heads.path, "sherpa-online", variant="fp32")
    backward = make_model(tmp_path / "b", direction="backward", variants=("fp32",))
    with pytest.raises(ExportError, match="reads sentences from their ends"):
        export_layout(backward.path, "rasr", variant="fp32")


def test_a_graph_that_gives_something_else_is_not_put_in_place(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bundle.path / "rasr.onnx").unlink(missing_ok=True)
    monkeypatch.setattr(write, "compare", lambda *_: float("nan"))
    with pytest.raises(ExportError, match=r"rasr.onnx not written: nan nats from the model's own"):
        export_layout(bundle.path, "rasr", variant="fp32")
    assert not (bundle.path / "rasr.onnx").exists()
