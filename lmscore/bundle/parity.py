"""parity.npz: token sequences with the log-probabilities and final states from PyTorch.

Training writes the file beside the weights. Export and `lmscore check` compare graphs with it,
without torch.

Letters in shapes: N sequences, T their longest length, C kept vocabulary columns, L layers,
H hidden, M held-out sentences of at most T2 tokens.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle.config import Config
from lmscore.bundle.directory import PARITY_FILE, Bundle
from lmscore.errors import ModelError
from lmscore.files import atomic_write, open_input_raw

MAX_COLUMNS = 1024
"""The most vocabulary ids whose log-probs are kept; a smaller vocabulary is kept whole."""

_MAX_BYTES = 1 << 30  # unpacked; parity.npz takes about 2 MB


@dataclass(frozen=True)
class Parity:
    """Results of PyTorch for the stored weights; log-probs in nats.

    Places past a row's length hold an arbitrary token id and meaningless log-probs.
    """

    inputs: NDArray[np.int64]  # [N, T]
    targets: NDArray[np.int64]  # [N, T]
    lengths: NDArray[np.int32]  # [N], 1..T
    columns: NDArray[np.int64]  # [C]
    log_probs: NDArray[np.float32]  # [N, T, C]
    target_log_probs: NDArray[np.float32]  # [N, T]
    final_state: tuple[NDArray[np.float32], ...]  # [L, N, H] each: from zeros, after `lengths`
    heldout_inputs: NDArray[np.int64]  # [M, T2]
    heldout_targets: NDArray[np.int64]  # [M, T2]
    heldout_lengths: NDArray[np.int32]  # [M], 1..T2
    heldout_target_log_probs: NDArray[np.float32]  # [M, T2]
    heldout_target_scores: NDArray[np.float32] | None = None  # [M, T2]; of self-normalised models

    def save(self, folder: Path) -> None:
        """Write parity.npz into a model directory, atomically, or raise OutputFileError."""
        with atomic_write(folder / PARITY_FILE) as file:
            np.savez_compressed(file, allow_pickle=False, **self._arrays())

    def _arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by their names in the file."""
        arrays = {name: getattr(self, name) for name in (*_ARRAYS, _SCORES)}
        arrays.update({_state_key(index): part for index, part in enumerate(self.final_state)})
        return {name: array for name, array in arrays.items() if array is not None}

    @classmethod
    def load(cls, bundle: Bundle) -> Parity:
        """Read a model directory's parity.npz, and check it against the configuration.

        Raises:
            ModelNotFoundError: the file is missing.
            InputFileError: the file cannot be opened.
            ModelError: the file is damaged, or does not fit the configuration.
        """
        path, config = bundle.file(PARITY_FILE), bundle.config
        arrays = _read_arrays(path)
        names = (*_ARRAYS, _SCORES) if config.head_spec.has_scores else _ARRAYS
        state_keys = [_state_key(index) for index in range(len(config.state))]
        if missing := sorted({*names, *state_keys} - arrays.keys()):
            raise ModelError(f"{path}: {missing[0]} is missing; train the model again")
        state = tuple(arrays[key] for key in state_keys)
        parity = cls(**{name: arrays[name] for name in names}, final_state=state)
        parity._validate(path, config)
        return parity

    def _validate(self, path: Path, config: Config) -> None:
        arrays = self._arrays()
        for name, dtype, shape in self._layout(config):
            array = arrays[name]
            if array.dtype != dtype or array.shape != shape:
                raise ModelError(
                    f"{path}: {name} is {array.dtype} {list(array.shape)}, expected "
                    f"{np.dtype(dtype)} {list(shape)}; train the model again"
                )
        for name in ("inputs", "targets", "columns", "heldout_inputs", "heldout_targets"):
            _check_range(path, name, getattr(self, name), 0, config.vocab_size - 1)
        for name, rows in (("lengths", self.inputs), ("heldout_lengths", self.heldout_inputs)):
            _check_range(path, name, getattr(self, name), 1, rows.shape[1])

    def _layout(self, config: Config) -> list[tuple[str, type[np.generic], tuple[int, ...]]]:
        rows, columns = _pair(self.inputs), self.columns.shape[:1]
        heldout = _pair(self.heldout_inputs)
        layout: list[tuple[str, type[np.generic], tuple[int, ...]]] = [
            ("inputs", np.int64, rows),
            ("targets", np.int64, rows),
            ("lengths", np.int32, rows[:1]),
            ("columns", np.int64, columns),
            ("log_probs", np.float32, rows + columns),
            ("target_log_probs", np.float32, rows),
            ("heldout_inputs", np.int64, heldout),
            ("heldout_targets", np.int64, heldout),
            ("heldout_lengths", np.int32, heldout[:1]),
            ("heldout_target_log_probs", np.float32, heldout),
        ]
        if self.heldout_target_scores is not None:
            layout.append((_SCORES, np.float32, heldout))
        for index, tensor in enumerate(config.state):
            layout.append((_state_key(index), np.float32, tensor.shape(rows[0])))
        return layout


_SCORES = "heldout_target_scores"
_ARRAYS = tuple(f.name for f in fields(Parity) if f.name not in ("final_state", _SCORES))


def _state_key(index: int) -> str:
    return f"final_state_{index}"


def _pair(array: NDArray[np.int64]) -> tuple[int, int]:
    """An array's shape, as if it were a matrix with at least one row and column."""
    rows, columns = (*array.shape, 0, 0)[:2]
    return max(rows, 1), max(columns, 1)


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    with open_input_raw(path) as file:
        try:
            _check_sizes(file)
            with np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            for name, array in arrays.items():
                if not isinstance(array, np.ndarray):  # numpy returns other members as bytes
                    raise ValueError(f"{name} is no array")
        except Exception as error:  # zipfile and numpy raise a dozen kinds
            raise ModelError(f"{path}: damaged ({error}); copy it again") from error
    return arrays


def _check_sizes(file: BinaryIO) -> None:
    """Raise ValueError if the archive, unpacked, would fill the memory: zeros compress well."""
    with zipfile.ZipFile(file) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > _MAX_BYTES:
        raise ValueError(f"unpacked it would take {size} bytes, at most {_MAX_BYTES} are expected")
    file.seek(0)


def _check_range(path: Path, name: str, values: NDArray[np.integer], low: int, high: int) -> None:
    if values.size and not low <= values.min() <= values.max() <= high:
        raise ModelError(
            f"{path}: {name} has values outside {low}..{high}; it is not this model's file"
        )
