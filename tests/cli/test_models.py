"""`lmscore info` and `lmscore export`: what a model directory holds, and its graphs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnxruntime import InferenceSession

import lmscore
from lmscore.bundle import Bundle
from tests.cli.conftest import Run
from tests.models import make_model


def test_info(run: Run, model_path: Path) -> None:
    config = Bundle.read(model_path).config
    result = run("info", model_path)
    assert (result.status, result.err) == (0, "")
    assert f"{config.num_parameters:,} (tied)" in result.out
    state = lmscore.load(model_path).initial_state().on_host()
    size = sum(tensor.nbytes for tensor in map(np.asarray, state.tensors))
    assert f"{size:,} bytes a hypothesis" in result.out
    for file in model_path.iterdir():
        assert file.name in result.out
    for variant in ("fp32", "int8"):
        graph = config.graphs[variant]
        assert f"{graph.max_log_prob_difference:.2g} nats" in result.out
        assert f"{graph.max_batching_difference:.2g} nats" in result.out
        assert f"{100 * graph.perplexity_change:+.2f} %".replace("-0.00", "+0.00") in result.out
        assert graph.checked_with in result.out
        assert graph.sha256 in result.out
        assert (", ".join(graph.quantized) or "nothing") in result.out
    assert run("info", "-m", model_path).out == run("info").out == result.out


def test_info_as_json(run: Run, model_path: Path) -> None:
    document = json.loads(run("info", "--format", "json").out)
    assert document["state_bytes"] == 4 * Bundle.read(model_path).config.state_size
    assert document["config"] == json.loads((model_path / "config.json").read_text())
    assert document["num_parameters"] == Bundle.read(model_path).config.num_parameters
    assert document["files"] == {file.name: file.stat().st_size for file in model_path.iterdir()}


def test_signature(run: Run, model_path: Path) -> None:
    """It names the inputs and outputs of the graph itself, in their order."""
    session = InferenceSession(model_path / "model.onnx", providers=["CPUExecutionProvider"])
    document = json.loads(run("info", "--signature", "--format", "json").out)
    given = [value for value in document["inputs"] if "optional" not in value]
    optional = [value for value in document["inputs"] if value not in given]
    assert [value["name"] for value in optional] == ["distributions"]
    for stated_values, values in (
        (given, session.get_inputs()),
        (optional, session.get_overridable_initializers()),
        (document["outputs"], session.get_outputs()),
    ):
        assert [value["name"] for value in stated_values] == [value.name for value in values]
        for stated, real in zip(stated_values, values, strict=True):
            assert real.type == f"tensor({stated['dtype'].replace('float32', 'float')})"
            fixed = [size for size in stated["shape"] if isinstance(size, int)]
            assert fixed == [size for size in real.shape if isinstance(size, int)]
            letters = {size for size in stated["shape"] if isinstance(size, str)}
            assert letters <= set(document["sizes"])
    assert document["state"] == {"h": "next_h", "c": "next_c"}
    assert document["files"] == {"fp32": "model.onnx", "int8": "model_int8.onnx"}
    metadata = session.get_modelmeta().custom_metadata_map
    assert all(metadata[f"STATE_{name}"] == new for name, new in document["state"].items())


def test_signature_as_text(run: Run, tmp_path: Path) -> None:
    make_model(tmp_path / "raw", cell="gru", layers=2)
    lines = run("info", "--signature", tmp_path / "raw").out.splitlines()
    assert "files  none: lmscore export makes them" in lines
    assert "state  next_h is the next h; zeros at the start" in lines
    assert "h                 float32  [2, S, 16]" in lines
    assert "start  token 1 is read first, from a state of zeros" in lines


def test_info_of_a_model_without_graphs(run: Run, tmp_path: Path) -> None:
    make_model(tmp_path / "raw", cell="gru", layers=2, tied=False, context="document")
    result = run("info", tmp_path / "raw")
    assert result.status == 0
    assert "2 x gru, hidden size 16" in result.out
    assert "(untied)" in result.out
    assert "model.onnx" not in result.out


def test_export(run: Run, tmp_path: Path) -> None:
    bundle = make_model(tmp_path / "new")
    result = run("score", "-m", bundle.path, stdin="the cat\n")
    assert (result.status, result.out) == (1, "")
    assert f"lmscore export {bundle.path}" in result.err

    result = run("export", bundle.path)
    assert (result.status, result.err) == (0, "")
    header, *rows = (line.split() for line in result.out.splitlines())
    assert header[:3] == ["variant", "file", "size"]
    assert [row[:2] for row in rows] == [["fp32", "model.onnx"], ["int8", "model_int8.onnx"]]
    assert Bundle.read(bundle.path).variants() == ("fp32", "int8")
    assert run("score", "-m", bundle.path, stdin="the cat\n").status == 0


def test_export_of_one_variant(run: Run, tmp_path: Path) -> None:
    bundle = make_model(tmp_path / "new")
    result = run("export", bundle.path, "--variant", "int8", "--variant", "int8")
    assert len(result.out.splitlines()) == 2
    assert Bundle.read(bundle.path).variants() == ("int8",)


@pytest.mark.parametrize(
    ("file", "status", "message"),
    [
        ("model.safetensors", 1, "model.safetensors is missing"),
        ("parity.npz", 1, "parity.npz is missing"),
        (None, 2, "no variant 'int3'"),
    ],
)
def test_export_errors(
    run: Run, tmp_path: Path, file: str | None, status: int, message: str
) -> None:
    bundle = make_model(tmp_path / "new")
    if file:
        (bundle.path / file).unlink()
    result = run("export", bundle.path, "--variant", "fp32" if file else "int3")
    assert (result.status, result.out) == (status, "")
    assert message in result.err
    assert not (bundle.path / "model.onnx").exists()


def test_export_of_layouts(run: Run, tmp_path: Path) -> None:
    bundle = make_model(tmp_path / "new")
    given = ("--variant", "fp32", "--layout", "sherpa-online", "--layout", "triton")
    result = run("export", bundle.path, *given)
    assert (result.status, result.err) == (0, "")
    rows = [line.split()[1] for line in result.out.partition("layout ")[2].splitlines()[1:]]
    assert rows == ["sherpa-online.onnx", "triton/lm_fp32/1/model.onnx"]
    assert all((bundle.path / row).is_file() for row in rows)
    result = run("export", bundle.path, "--layout", "kaldi")
    assert (result.status, result.out) == (2, "")
    assert "no layout 'kaldi'" in result.err
