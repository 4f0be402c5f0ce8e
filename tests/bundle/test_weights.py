from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lmscore.bundle import WEIGHTS_FILE, Bundle, load_weights, save_weights
from lmscore.errors import ModelError, ModelNotFoundError, OutputFileError
from tests.models import TorchModel, make_model


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return make_model(tmp_path / "model", layers=2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_weights_are_widened_exactly(tmp_path: Path, dtype: torch.dtype) -> None:
    bundle = make_model(tmp_path / "model", cell="gru", tied=False, dtype=dtype)
    weights = load_weights(bundle)
    expected = TorchModel(bundle.config, dtype=dtype).weights()
    assert list(weights) == list(bundle.config.weight_shapes())
    for name, tensor in expected.items():
        assert weights[name].dtype == np.float32
        np.testing.assert_array_equal(weights[name], tensor.numpy())


def test_what_is_saved_is_what_torch_would_save(bundle: Bundle, tmp_path: Path) -> None:
    save_weights(tmp_path, load_weights(bundle))
    assert (tmp_path / WEIGHTS_FILE).read_bytes() == bundle.file(WEIGHTS_FILE).read_bytes()
    with pytest.raises(OutputFileError, match=r"model.safetensors: cannot be written"):
        save_weights(tmp_path / "nowhere", {})


def rewrite(bundle: Bundle, change: dict[str, torch.Tensor | None]) -> None:
    """Replace tensors of the weights file; None removes one."""
    path = bundle.path / WEIGHTS_FILE
    tensors = {**load_file(path), **change}
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"output.bias": None}, r"tensor 'output.bias' is missing; config.json is of another"),
        ({"output.weight": torch.zeros(60, 16)}, r"'output.weight' does not belong to this model"),
        ({"output.bias": torch.zeros(59)}, r"'output.bias' is \[59\], config.json makes it \[60\]"),
        ({"output.bias": torch.zeros(60, dtype=torch.int8)}, r"stored as I8, expected one of F32"),
        ({"output.bias": torch.full((60,), torch.nan)}, r"'output.bias' holds NaN or infinity"),
        (
            {"rnn.bias_hh_l1": torch.full((64,), -torch.inf, dtype=torch.bfloat16)},
            r"'rnn.bias_hh_l1' holds NaN or infinity; the training went astray",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    bundle: Bundle, change: dict[str, torch.Tensor | None], message: str
) -> None:
    rewrite(bundle, change)
    with pytest.raises(ModelError, match=message):
        load_weights(bundle)


@pytest.mark.parametrize("kept", [0, 5, 200, -1])
def test_a_truncated_file_is_named(bundle: Bundle, kept: int) -> None:
    path = bundle.path / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ModelError, match=r"model.safetensors: damaged or truncated .*copy it"):
        load_weights(bundle)


def test_a_missing_file_is_named(bundle: Bundle) -> None:
    (bundle.path / WEIGHTS_FILE).unlink()
    with pytest.raises(ModelNotFoundError, match=r"model.safetensors is missing"):
        load_weights(bundle)


def test_a_tensor_that_is_named_twice_is_refused(bundle: Bundle) -> None:
    path = bundle.path / WEIGHTS_FILE
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + size].rstrip()
    entry = b'"output.bias":' + json.dumps(json.loads(header)["output.bias"]).encode()
    header = header[:-1] + b"," + entry + b"}"
    path.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + size :])
    with pytest.raises(ModelError, match=r"safetensors: cannot be used: key 'output.bias' is"):
        load_weights(bundle)
