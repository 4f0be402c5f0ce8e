"""`lmscore check`: a table, a line per problem, and an exit status that scripts can use."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from lmscore.bundle import PARITY_FILE, Bundle, Parity
from tests.cli.conftest import Run


@pytest.fixture
def copy(model_path: Path, tmp_path: Path) -> Path:
    """A model directory to spoil."""
    return Path(shutil.copytree(model_path, tmp_path / "model"))


def test_a_good_model(run: Run, model_path: Path) -> None:
    result = run("check", model_path)
    assert (result.status, result.err) == (0, "")
    assert str(model_path) in result.out
    lines = result.out.splitlines()
    assert all(line.endswith(" ok") for line in lines[4:])
    record = Bundle.read(model_path).config.graphs["int8"]
    (row,) = (li for li in lines if li.startswith("model_int8.onnx  log-probs from PyTorch's"))
    assert f"{record.max_log_prob_difference:.3g}" in row
    assert result.out.count(record.checked_with) == 4  # here and at export, of two graphs
    assert run("check").out == run("check", "-m", model_path).out == result.out


def test_one_variant(run: Run) -> None:
    result = run("check", "--variant", "int8", "--threads", "1")
    assert result.status == 0
    assert "model.onnx" not in result.out
    assert "model_int8.onnx" in result.out


def test_a_line_per_problem(run: Run, copy: Path) -> None:
    for name in ("model.onnx", "tokenizer.json"):
        with (copy / name).open("ab") as file:
            file.write(b" ")
    result = run("check", copy)
    assert result.status == 1
    tokenizer, graph = result.err.splitlines()
    assert tokenizer.startswith(f"lmscore: error: {copy / 'tokenizer.json'}: does not match")
    assert graph.startswith(f"lmscore: error: {copy / 'model.onnx'}: ")
    assert result.out.count("DIFFERS") == 2
    assert result.out.count("model_int8.onnx") == 9


def test_json(run: Run, copy: Path) -> None:
    result = run("check", copy, "--format", "json")
    document = json.loads(result.out)
    assert (document["path"], document["device"], document["ok"]) == (str(copy), "cpu", True)
    findings = {(f["file"], f["what"]): f for f in document["findings"]}
    heads = findings["model.onnx", "targets and best tokens, nats"]
    assert (heads["problem"], heads["recorded"], heads["limit"]) == (None, None, 1e-5)

    parity = Parity.load(Bundle.read(copy))
    parity.log_probs[:] = np.nan
    parity.save(copy)
    result = run("check", copy, "--format", "json")
    document = json.loads(result.out)
    assert (result.status, document["ok"]) == (1, False)
    spoilt = [f for f in document["findings"] if f["problem"]]
    assert [f["measured"] for f in spoilt] == [None, None]
    assert [f"lmscore: error: {f['problem']}" for f in spoilt] == result.err.splitlines()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--variant", "fp16"], "no variant 'fp16' (there: fp32, int8)"),
        (["--device", "tpu"], "device must be auto, cpu, cuda or cuda:N, not 'tpu'"),
    ],
)
def test_errors(run: Run, argv: list[str], message: str) -> None:
    result = run("check", *argv)
    assert (result.status, result.out) == (2 if "--device" in argv else 1, "")
    assert message in result.err
    assert result.err.count("\n") == 1


def test_without_parity(run: Run, copy: Path) -> None:
    (copy / PARITY_FILE).unlink()
    result = run("check", copy)
    assert (result.status, result.out) == (1, "")
    assert "parity.npz is missing; copy it from where the model was trained" in result.err


def test_one_model_is_enough(run: Run, model_path: Path) -> None:
    result = run("check", model_path, "-m", model_path)
    assert result.status == 2
    assert "given twice" in result.err
