from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmscore.bundle import PARITY_FILE, Bundle, Parity
from lmscore.errors import ModelError, ModelNotFoundError, OutputFileError
from lmscore.runtime.engine.graph import Graph


@pytest.fixture(scope="module", params=["fp32", "int8"])
def graph(request: pytest.FixtureRequest, bundle: Bundle) -> Graph:
    return Graph.load(bundle, request.param, threads=1)


def test_what_is_saved_is_loaded(parity: Parity, bundle: Bundle, tmp_path: Path) -> None:
    parity.save(tmp_path)
    loaded = Parity.load(Bundle(tmp_path, bundle.config))
    for field in dataclasses.fields(Parity):
        np.testing.assert_array_equal(getattr(loaded, field.name), getattr(parity, field.name))


def test_a_file_that_is_missing_or_cannot_be_written_is_named(
    parity: Parity, bundle: Bundle, tmp_path: Path
) -> None:
    with pytest.raises(ModelNotFoundError, match=r"parity.npz is missing; copy it"):
        Parity.load(Bundle(tmp_path, bundle.config))
    with pytest.raises(OutputFileError, match=r"parity.npz: cannot be written"):
        parity.save(tmp_path / "nowhere")


@pytest.mark.parametrize("kept", [0, 10, 1000, -30])
def test_a_truncated_file_is_named(bundle: Bundle, tmp_path: Path, kept: int) -> None:
    path = tmp_path / "parity.npz"
    path.write_bytes((bundle.path / PARITY_FILE).read_bytes()[:kept])
    with pytest.raises(ModelError, match=r"parity.npz: damaged .*copy it again"):
        Parity.load(Bundle(tmp_path, bundle.config))


def test_a_pickle_is_not_read(bundle: Bundle, tmp_path: Path) -> None:
    np.savez(tmp_path / "parity.npz", inputs=np.array([{}], dtype=object))
    with pytest.raises(ModelError, match=r"parity.npz: damaged"):
        Parity.load(Bundle(tmp_path, bundle.config))


def test_a_plain_array_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    with open(tmp_path / "parity.npz", "wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ModelError, match=r"parity.npz: damaged"):
        Parity.load(Bundle(tmp_path, bundle.config))


def test_a_missing_array_is_named(bundle: Bundle, tmp_path: Path) -> None:
    with np.load(bundle.path / PARITY_FILE) as archive:
        arrays = {name: archive[name] for name in archive.files if name != "final_state_1"}
    np.savez(tmp_path / "parity.npz", **arrays)
    with pytest.raises(ModelError, match=r"final_state_1 is missing; train the model again"):
        Parity.load(Bundle(tmp_path, bundle.config))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": np.full((6, 7), 60)}, r"inputs has values outside 0\.\.59"),
        ({"heldout_targets": np.full((8, 10), -1)}, r"heldout_targets has values outside 0\.\.59"),
        ({"columns": np.array([60] * 60)}, r"columns has values outside"),
        ({"lengths": np.zeros(6, np.int32)}, r"lengths has values outside 1\.\.7"),
        ({"heldout_lengths": np.full(8, 11, np.int32)}, r"heldout_lengths has values .* 1\.\.10"),
        ({"lengths": np.ones(6, np.int64)}, r"lengths is int64 \[6\], expected int32 \[6\]"),
        ({"columns": np.array([1, 2])}, r"log_probs is float32 \[6, 7, 60\], .* \[6, 7, 2\]"),
        ({"inputs": np.array([1, 2])}, r"inputs is int64 \[2\], expected int64 \[2, 1\]"),
        ({"heldout_inputs": np.empty((0, 0), np.int64)}, r"heldout_inputs is int64 \[0, 0\]"),
        (
            {"final_state": (np.zeros((1, 6, 8), np.float32),) * 2},
            r"final_state_0 is float32 \[1, 6, 8\], expected float32 \[1, 6, 16\]; train",
        ),
    ],
)
def test_arrays_that_do_not_fit_the_model_are_refused(
    parity: Parity, bundle: Bundle, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    dataclasses.replace(parity, **change).save(tmp_path)
    with pytest.raises(ModelError, match=message):
        Parity.load(Bundle(tmp_path, bundle.config))
