from __future__ import annotations

import dataclasses
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from lmscore.bundle import CELLS, PARITY_FILE, Bundle, Cell, Parity, graph_file
from lmscore.errors import ExportError, ModelError, ModelNotFoundError, OptionError, how_to_install
from lmscore.export import export_model
from lmscore.export.export import check_size
from lmscore.files import sha256_file
from tests.export.conftest import tiny_config
from tests.models import make_model


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("tied", [True, False])
def test_every_cell_is_exported_and_measured(
    tmp_path: Path, cell: Cell, layers: int, tied: bool
) -> None:
    bundle = make_model(tmp_path / "model", cell=cell, layers=layers, tied=tied, hidden=13)
    config = export_model(bundle.path)
    assert config == Bundle.read(bundle.path).config
    assert list(config.graphs) == ["fp32", "int8"]
    fp32, int8 = config.graphs.values()
    assert fp32.quantized == ()
    assert fp32.max_log_prob_difference < 2e-5
    assert fp32.max_batching_difference < 2e-5
    assert abs(fp32.perplexity_change) < 1e-5
    more = {"window": (), "lstm-mogrifier": ("recurrence", "mogrifier"), "gated-delta": ("heads",)}
    parts = more.get(cell.removesuffix("-relu") if "window" in cell else cell, ("recurrence",))
    assert int8.quantized == ("embedding", "output", "input projection", *parts)
    # What a gated-delta layer yields is normalised, so that random weights give large logits.
    assert 0 < int8.max_log_prob_difference < (0.5 if cell == "gated-delta" else 0.1)
    if cell in ("rnn-relu", "window-relu"):  # their steps are of the whole batch
        assert 0 < int8.max_batching_difference < 0.1
    else:
        assert int8.max_batching_difference < 1e-5
    assert abs(int8.perplexity_change) < 0.01
    assert int8.checked_with == f"onnxruntime {onnxruntime.__version__}"


def test_the_files_are_those_recorded(tmp_path: Path) -> None:
    bundle = make_model(tmp_path / "model", variants=("fp32", "int8"))
    for variant, record in bundle.config.graphs.items():
        path = bundle.graph_path(variant)
        assert path.stat().st_size == record.size_bytes
        assert sha256_file(path) == record.sha256
    assert not [path for path in bundle.path.iterdir() if path.name.startswith(".")]


def test_an_int8_file_is_a_quarter_of_the_fp32_file(tmp_path: Path) -> None:
    bundle = make_model(tmp_path / "model", vocab=1500, hidden=48, variants=("fp32", "int8"))
    fp32, int8 = bundle.config.graphs.values()
    assert fp32.size_bytes < 4 * bundle.config.num_parameters + 5000
    assert int8.size_bytes < 0.32 * fp32.size_bytes


@pytest.mark.parametrize("cell", CELLS)
def test_fp16_is_half_as_large_and_close(tmp_path: Path, cell: Cell) -> None:
    bundle = make_model(tmp_path / "model", cell=cell, vocab=1500, hidden=48, layers=2)
    config = export_model(bundle.path, variants=("fp32", "fp16"))
    fp32, fp16 = config.graphs.values()
    assert fp16.size_bytes < 0.55 * fp32.size_bytes
    assert fp16.quantized == ()
    assert 1e-5 < fp16.max_log_prob_difference < (0.02 if cell == "gated-delta" else 0.005)
    # Activations without a bound, or normalised, have larger steps in 16 bits.
    is_large = cell in ("window-relu", "gated-delta")
    assert abs(fp16.perplexity_change) < (5e-4 if is_large else 1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_stored_in_16_bits_are_computed_with_in_32(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    bundle = make_model(tmp_path / "model", dtype=dtype, variants=("fp32",))
    assert bundle.config.graphs["fp32"].max_log_prob_difference < 2e-5


def test_exporting_again_gives_the_same_bytes(tmp_path: Path) -> None:
    bundle = make_model(tmp_path / "model", cell="gru", variants=("fp32", "int8"))
    assert export_model(bundle.path) == bundle.config


def test_the_same_graph_keeps_its_record(tmp_path: Path) -> None:
    """As after an export in a checkout, on a machine whose figures differ."""
    bundle = make_model(tmp_path / "model", variants=("fp32", "int8"))
    records = {
        variant: dataclasses.replace(record, checked_with="onnxruntime 1.0")
        for variant, record in bundle.config.graphs.items()
    }
    Bundle(bundle.path, dataclasses.replace(bundle.config, graphs=records)).write_config()
    before = (bundle.path / "config.json").read_bytes()
    assert export_model(bundle.path) == bundle.config
    assert (bundle.path / "config.json").read_bytes() == before


def test_earlier_variants_are_kept(tmp_path: Path) -> None:
    bundle = make_model(tmp_path / "model", variants=("int8",))
    config = export_model(bundle.path, variants=["fp32"])
    assert list(config.graphs) == ["int8", "fp32"]
    assert config.graphs["int8"] == bundle.config.graphs["int8"]
    assert Bundle.read(bundle.path).variants() == ("int8", "fp32")


def test_an_unknown_variant_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    bundle = make_model(tmp_path / "model")
    with pytest.raises(OptionError, match="no variant 'int4'; there are fp32, int8, fp16"):
        export_model(bundle.path, variants=["fp32", "int4"])
    assert not (bundle.path / graph_file("fp32")).exists()


def spoil(bundle: Bundle, **changes: Any) -> None:
    dataclasses.replace(Parity.load(bundle), **changes).save(bundle.path)


@pytest.mark.parametrize("variant", ["fp32", "int8", "fp16"])
def test_a_graph_that_differs_from_torch_is_not_put_in_place(tmp_path: Path, variant: str) -> None:
    bundle = make_model(tmp_path / "model", variants=("fp32", "int8"))
    before = {path.name: sha256_file(path) for path in bundle.path.iterdir()}
    parity = Parity.load(bundle)
    better = parity.heldout_target_log_probs + 0.2
    spoil(bundle, heldout_target_log_probs=better.astype(np.float32))
    with pytest.raises(ExportError, match=rf"{graph_file(variant)} not written: .* limit"):
        export_model(bundle.path, variants=[variant])
    del before[PARITY_FILE]
    after = {path.name: sha256_file(path) for path in bundle.path.iterdir()}
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + 1


def test_the_worst_difference_is_named(tmp_path: Path) -> None:
    bundle = make_model(tmp_path / "model")
    parity = Parity.load(bundle)
    log_probs = parity.log_probs.copy()
    row = int(parity.lengths.argmax())
    log_probs[row, 2, 7] += 0.5
    spoil(bundle, log_probs=log_probs)
    with pytest.raises(ExportError, match=rf"log-probs differ by 0\.5 at .*{row}, token 2, limit"):
        export_model(bundle.path, variants=["fp32"])
    assert not (bundle.path / graph_file("fp32")).exists()


def test_a_missing_or_foreign_parity_file_is_named(tmp_path: Path) -> None:
    bundle = make_model(tmp_path / "model")
    other = make_model(tmp_path / "other", hidden=8)
    (other.path / PARITY_FILE).replace(bundle.path / PARITY_FILE)
    with pytest.raises(ModelError, match=r"parity.npz: final_state_0 is float32 \[1, 6, 8\]"):
        export_model(bundle.path)
    (bundle.path / PARITY_FILE).unlink()
    with pytest.raises(ModelNotFoundError, match=r"parity.npz is missing"):
        export_model(bundle.path)


def test_progress_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bundle = make_model(tmp_path / "model")
    with caplog.at_level(logging.INFO, logger="lmscore"):
        export_model(bundle.path, variants=["int8"])
    assert "model_int8.onnx: checking against parity.npz" in caplog.text
    assert "nats from PyTorch" in caplog.text


def test_a_graph_too_large_for_one_file_is_refused_in_advance() -> None:
    config = tiny_config("lstm", vocab=250_000, hidden=3000)
    check_size(config, "int8")
    check_size(config, "fp16")
    with pytest.raises(ExportError, match=r"the fp32 graph of \d+ parameters does not fit"):
        check_size(config, "fp32")


@pytest.mark.parametrize("package", ["onnx", "safetensors"])
def test_a_missing_package_names_its_extra(package: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; import lmscore.export"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].endswith(
        f"this needs the package {package!r}: {how_to_install('export')}"
    )
