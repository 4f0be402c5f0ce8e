"""model.safetensors: written, and read as float32 and checked, both without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle.directory import WEIGHTS_FILE, Bundle
from lmscore.bundle.records import parse_object
from lmscore.errors import ModelError, needs_extra
from lmscore.files import atomic_write_bytes, open_input_raw

with needs_extra("export"):
    from safetensors import SafetensorError, deserialize
    from safetensors.numpy import save

Weights = Mapping[str, NDArray[np.float32]]
"""Tensors with the names and shapes that `Config.weight_shapes()` gives."""


def save_weights(folder: Path, weights: Mapping[str, NDArray[np.floating[Any]]]) -> None:
    """Write model.safetensors into a model directory, atomically, or raise OutputFileError."""
    atomic_write_bytes(folder / WEIGHTS_FILE, save(dict(weights)))


def load_weights(bundle: Bundle) -> Weights:
    """Every weight of a model, as float32.

    Raises:
        ModelNotFoundError: there is no model.safetensors.
        ModelError: it is damaged, names a tensor twice, does not fit config.json, or holds NaN or
            infinity.
    """
    path = bundle.file(WEIGHTS_FILE)
    with open_input_raw(path) as file:
        content = file.read()
    try:
        stored = dict(deserialize(content))  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise ModelError(
            f"{path}: damaged or truncated ({error}); copy it again from where it was trained"
        ) from error
    size = int.from_bytes(content[:8], "little")
    parse_object(content[8 : 8 + size].decode(), str(path))  # refuses a name that is there twice
    expected = bundle.config.weight_shapes()
    for name in sorted(expected.keys() ^ stored.keys()):
        what = "is missing" if name in expected else "does not belong to this model"
        raise ModelError(f"{path}: tensor {name!r} {what}; config.json is of another model")
    return {name: _tensor(path, name, stored[name], shape) for name, shape in expected.items()}


def _tensor(
    path: Path, name: str, stored: Mapping[str, Any], shape: tuple[int, ...]
) -> NDArray[np.float32]:
    if tuple(stored["shape"]) != shape:
        raise ModelError(
            f"{path}: tensor {name!r} is {stored['shape']}, config.json makes it {list(shape)}"
        )
    if stored["dtype"] not in _WIDEN:
        raise ModelError(
            f"{path}: tensor {name!r} is stored as {stored['dtype']}, "
            f"expected one of {', '.join(_WIDEN)}"
        )
    values = _WIDEN[stored["dtype"]](stored["data"]).reshape(shape)
    if not np.isfinite(values).all():
        raise ModelError(
            f"{path}: tensor {name!r} holds NaN or infinity; the training went astray, "
            "go back to an earlier checkpoint"
        )
    return values


def _widen_bfloat16(data: bytes) -> NDArray[np.float32]:
    # A bfloat16 is the upper half of a float32.
    return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)


_WIDEN = {
    "F32": lambda data: np.frombuffer(data, "<f4").astype(np.float32),
    "F16": lambda data: np.frombuffer(data, "<f2").astype(np.float32),
    "BF16": _widen_bfloat16,
}
