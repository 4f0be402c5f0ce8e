"""`check_model` passes what export made, and finds whatever was changed since."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from lmscore.bundle import (
    CELLS,
    CONFIG_FILE,
    PARITY_FILE,
    TOKENIZER_FILE,
    Bundle,
    Cell,
    GraphRecord,
    Parity,
    graph_file,
)
from lmscore.errors import DeviceError, ModelError, ModelNotFoundError, OptionError, VariantError
from lmscore.files import sha256_file
from lmscore.runtime.checking import ModelCheck, check_model
from lmscore.runtime.load import BUNDLED_MODEL
from tests.devices import DEVICES
from tests.models import make_model

VARIANTS = ["fp32", "int8"]
ROWS_PER_GRAPH = 9


@pytest.fixture
def copy(model_path: Path, tmp_path: Path) -> Path:
    """A model directory to spoil."""
    return Path(shutil.copytree(model_path, tmp_path / "model"))


def change_record(path: Path, variant: str, **changes: Any) -> None:
    """Write something else into config.json."""
    bundle = Bundle.read(path)
    record: GraphRecord = dataclasses.replace(bundle.config.graphs[variant], **changes)
    graphs = {**bundle.config.graphs, variant: record}
    Bundle(path, dataclasses.replace(bundle.config, graphs=graphs)).write_config()


def bless(path: Path, variant: str) -> None:
    """Let config.json take whatever file is there for the one that was exported."""
    file = path / graph_file(variant)
    change_record(path, variant, sha256=sha256_file(file), size_bytes=file.stat().st_size)


def flip_byte(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def whats(found: ModelCheck) -> set[tuple[str, str]]:
    """File and subject of each problem."""
    return {(f.file, f.what.split(",")[0]) for f in found.findings if f.problem}


@pytest.mark.parametrize("device", DEVICES)
def test_what_export_made_passes(model_path: Path, device: str) -> None:
    found = check_model(model_path, device=device)
    assert found.problems == []
    assert found.path == model_path
    assert found.device in (device, f"{device}:0")
    assert len(found.findings) == 1 + 2 * ROWS_PER_GRAPH + 1
    assert {f.file for f in found.findings} == {TOKENIZER_FILE, "model.onnx", "model_int8.onnx"}


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_passes(tmp_path: Path, cell: Cell) -> None:
    make_model(tmp_path, cell=cell, layers=2, seed=3, variants=[*VARIANTS, "fp16"])
    found = check_model(tmp_path)
    assert found.problems == []


def test_the_bundled_model_passes() -> None:
    found = check_model(BUNDLED_MODEL, variants=["int8"])
    assert found.problems == []
    assert len(found.findings) == 1 + ROWS_PER_GRAPH


def test_what_was_measured_stands_beside_what_was_recorded(model_path: Path) -> None:
    record = Bundle.read(model_path).config.graphs["int8"]
    found = {f.what: f for f in check_model(model_path, variants=["int8", "int8"]).findings}
    assert len(found) == 1 + ROWS_PER_GRAPH
    differences = found["log-probs from PyTorch's, nats"]
    assert differences.measured == pytest.approx(record.max_log_prob_difference, abs=1e-5)
    assert differences.recorded == record.max_log_prob_difference
    assert differences.limit == record.max_log_prob_difference + 0.05
    assert found["run with"].recorded == record.checked_with
    assert found["states from PyTorch's, relative"].limit is None


def test_a_small_difference_and_another_version_pass(copy: Path) -> None:
    record = Bundle.read(copy).config.graphs["int8"]
    change_record(
        copy,
        "int8",
        max_log_prob_difference=record.max_log_prob_difference - 0.02,
        perplexity_change=record.perplexity_change + 0.005,
        checked_with="onnxruntime 1.20.0",
    )
    found = check_model(copy, variants=["int8"])
    assert found.problems == []
    assert "onnxruntime 1.20.0" in [f.recorded for f in found.findings]


@pytest.mark.parametrize(
    ("variant", "changes", "message"),
    [
        ("int8", {"max_log_prob_difference": -0.05}, r"log-probs from PyTorch's, nats: .* at "),
        ("int8", {"perplexity_change": 0.2}, r"perplexity is .* from PyTorch's, export .* \+20"),
        ("int8", {"perplexity_change": -0.2}, r"perplexity is .*, export recorded -20\.00%; copy"),
        ("fp32", {"perplexity_change": 0.002}, r"perplexity is .*, export recorded \+0\.20%"),
    ],
)
def test_more_than_a_machine_can_explain_fails(
    copy: Path, variant: str, changes: dict[str, float], message: str
) -> None:
    change_record(copy, variant, **changes)
    (problem,) = check_model(copy, variants=[variant]).problems
    assert problem.startswith(f"{copy / graph_file(variant)}: ")
    assert problem.endswith("or export the model again: lmscore export DIRECTORY")
    assert re.search(message, problem)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_flipped_byte_in_a_graph(copy: Path, variant: str) -> None:
    flip_byte(copy / graph_file(variant))
    found = check_model(copy)
    (problem,) = found.problems
    assert problem.startswith(f"{copy / graph_file(variant)}: does not match its sha256")
    assert len(found.findings) == 1 + ROWS_PER_GRAPH + 1  # the other graph is still looked at


def test_a_graph_that_is_cut_off(copy: Path) -> None:
    file = copy / "model.onnx"
    file.write_bytes(file.read_bytes()[:-1])
    (problem,) = check_model(copy).problems
    assert "config.json says" in problem


def test_another_tokenizer(copy: Path, bpe_model_path: Path) -> None:
    shutil.copy(bpe_model_path / TOKENIZER_FILE, copy)
    found = check_model(copy)
    (problem,) = found.problems
    assert re.search(r"tokenizer\.json: does not match .* put back the tokenizer", problem)
    (copy / TOKENIZER_FILE).unlink()
    (problem,) = check_model(copy).problems
    assert "tokenizer.json is missing; copy it" in problem


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("amount", [1.0, np.nan, np.inf])
@pytest.mark.parametrize(
    "name", ["log_probs", "target_log_probs", "heldout_target_log_probs", "final_state"]
)
def test_an_edited_parity_file(copy: Path, variant: str, name: str, amount: float) -> None:
    parity = Parity.load(Bundle.read(copy))
    if name == "final_state":
        change: Any = (parity.final_state[0] + np.float32(amount), *parity.final_state[1:])
    else:
        change = getattr(parity, name) + np.float32(amount)
    dataclasses.replace(parity, **{name: change}).save(copy)
    found = check_model(copy, variants=[variant])
    subject = "states" if name == "final_state" else "log-probs"
    expected = (graph_file(variant), f"{subject} from PyTorch's")
    if name == "final_state" and variant == "int8" and amount == 1:
        assert not found.problems  # nothing bounds an 8-bit state but what it predicts
    else:
        assert expected in whats(found)


def test_the_parity_file_of_another_model(copy: Path, tmp_path: Path) -> None:
    other = make_model(tmp_path / "other", seed=9)
    shutil.copy(other.path / PARITY_FILE, copy)
    assert {file for file, _ in whats(check_model(copy))} == {"model.onnx", "model_int8.onnx"}
    other = make_model(tmp_path / "larger", hidden=24)
    shutil.copy(other.path / PARITY_FILE, copy)
    with pytest.raises(ModelError, match=r"parity\.npz: final_state_0 is .* expected"):
        check_model(copy)


def change_weights(file: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Change the largest float matrix of a graph."""
    model = onnx.load(file)
    floats = [t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT]
    tensor = max(floats, key=lambda t: len(t.raw_data))
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), tensor.name))
    onnx.save(model, file)


@pytest.mark.parametrize("variant", VARIANTS)
def test_weights_that_are_nan(copy: Path, variant: str) -> None:
    """ONNX Runtime may make finite scores of them."""
    change_weights(copy / graph_file(variant), lambda weights: weights * np.float32(np.nan))
    bless(copy, variant)
    found = check_model(copy, variants=[variant])
    assert (graph_file(variant), "log-probs from PyTorch's") in whats(found)


def test_other_weights(copy: Path) -> None:
    change_weights(copy / "model.onnx", lambda weights: weights * np.float32(1.01))
    bless(copy, "fp32")
    assert ("model.onnx", "log-probs from PyTorch's") in whats(check_model(copy))


def test_int8_of_another_model(copy: Path, tmp_path: Path) -> None:
    other = make_model(tmp_path / "other", seed=9, variants=["int8"])
    shutil.copy(other.path / "model_int8.onnx", copy)
    bless(copy, "int8")
    change_record(copy, "int8", max_log_prob_difference=0.5, perplexity_change=0.0)
    assert ("model_int8.onnx", "log-probs from fp32's") in whats(check_model(copy))
    assert "model.onnx" not in {file for file, _ in whats(check_model(copy))}


def test_a_file_that_is_missing(copy: Path) -> None:
    with pytest.raises(VariantError, match=r"no variant 'fp16' \(there: fp32, int8\)"):
        check_model(copy, variants=["fp16"])
    (copy / PARITY_FILE).unlink()
    with pytest.raises(ModelNotFoundError, match=r"parity\.npz is missing; copy it from where"):
        check_model(copy)
    (copy / CONFIG_FILE).unlink()
    with pytest.raises(ModelNotFoundError, match=r"config\.json is missing"):
        check_model(copy)


def test_a_model_that_was_never_exported(tmp_path: Path) -> None:
    make_model(tmp_path)
    with pytest.raises(VariantError, match=r"no exported graph; export the model again"):
        check_model(tmp_path)


def test_a_parity_file_that_is_damaged(copy: Path) -> None:
    file = copy / PARITY_FILE
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"parity\.npz: damaged .* copy it again"):
        check_model(copy)


def test_devices_and_threads_are_those_of_load(copy: Path) -> None:
    assert check_model(copy, variants=["fp32"], threads=1).problems == []
    assert check_model(copy, device="auto").device in ("cpu", "cuda:0")
    with pytest.raises(OptionError, match="device must be"):
        check_model(copy, device="tpu")
    if "cuda" not in DEVICES:
        with pytest.raises(DeviceError, match="CUDA"):
            check_model(copy, device="cuda")


def test_the_default_is_the_default_model(
    model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMSCORE_MODEL", str(model_path))
    assert check_model(variants=["int8"]).path == model_path
