"""The graph of one variant: loaded, compared with the configuration, and run on checked arrays.

Letters in shapes: B batch, T time (tokens), K targets per position, S rows of the incoming state,
L layers, H hidden, V vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lmscore.bundle import EXPORT_AGAIN, TARGETS_APART, Bundle, Config, graph_inputs, graph_outputs
from lmscore.errors import DeviceError, InputError, LmscoreError, ModelError
from lmscore.runtime.engine.binding import run_bound
from lmscore.runtime.engine.budget import smaller_budget, target_budget
from lmscore.runtime.engine.contract import ResultShapes, check_signature, shape_text
from lmscore.runtime.engine.sessions import (
    CPU_DEVICE,
    Placement,
    check_version,
    is_cuda,
    open_session,
    session_device,
)
from lmscore.runtime.engine.state import Tensor
from lmscore.runtime.engine.structure import check_structure

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_DISTRIBUTIONS = "distributions"  # the input that counts the rows with whole distributions
_MEASURED = "measured"  # the input that switches the measures on
_MEASURES = {"entropies", "target_ranks"}
_OF_TARGETS = {"target_log_probs", "target_scores", "target_ranks"}
_NONE = np.zeros(1, np.int64)  # of a number of rows or tokens
# What CUDA, cuBLAS and ONNX Runtime's allocator say.
_OUT_OF_MEMORY = re.compile("out of memory|allocate memory|ALLOC_FAILED", re.IGNORECASE)


class DeviceMemoryError(DeviceError):
    """A run that needs more memory than a device has free; a smaller one may fit."""


class Graph:
    """A session whose inputs and outputs fit a configuration."""

    def __init__(
        self,
        session: InferenceSession,
        config: Config,
        variant: str,
        source: str | Path,
        *,
        keep_state_on_device: bool | None = None,
        always_has_targets: bool | None = None,
    ) -> None:
        """Take a session on the file `source`, and compare it with `config`.

        `keep_state_on_device`: give the state as `DeviceTensor`s. Default: on CUDA.
        `always_has_targets`: run the graph with a target where none is wanted. Default: for
        self-normalised models on a device, since CUDA's ReduceSum gives a wrong shape if K is 0.

        Raises:
            ModelError: an input or output is missing, unknown, or of another type or size.
        """
        try:
            measures = _has_measures(session)
            inputs, outputs = (
                [value for value in declare(config) if measures or not value.is_measure]
                for declare in (graph_inputs, graph_outputs)
            )
            defaults = session.get_overridable_initializers()
            there = {value.name for value in defaults}
            inputs = [each for each in inputs if not each.has_default or each.name in there]
            check_signature([*session.get_inputs(), *defaults], inputs, f"{source}: input")
            check_signature(session.get_outputs(), outputs, f"{source}: output")
        except UnicodeDecodeError as error:
            raise ModelError(f"{source}: a name in it is not UTF-8; {EXPORT_AGAIN}") from error
        self._session = session
        self.config = config
        self.variant = variant
        self.device = session_device(session)
        self._source = source
        self._shapes = ResultShapes(graph_outputs(config), source)
        self._whole = {value.name for value in graph_outputs(config) if value.is_whole}
        self._chooses_rows = any(value.name == _DISTRIBUTIONS for value in inputs)
        self.has_measures = measures
        self._is_apart = TARGETS_APART in session.get_modelmeta().custom_metadata_map
        self._fitting: int | None = None  # tokens of a run, once one was too large for the memory
        self._always_has_targets = (
            self.device != CPU_DEVICE and config.head_spec.has_scores
            if always_has_targets is None
            else always_has_targets
        )
        self._keep_state_on_device = (
            is_cuda(self.device) if keep_state_on_device is None else keep_state_on_device
        )

    @classmethod
    def load(cls, bundle: Bundle, variant: str, **placement: Unpack[Placement]) -> Graph:
        """Load a variant's graph from a model directory, checked against its hash.

        Raises:
            VariantError: the model has no such variant.
            ModelError: the file is damaged, is no graph that export could have written, or its
                inputs and outputs do not fit the config.
            OptionError, DeviceError: as `open_session`.
            MissingExtraError: as `open_session`, and if it is older than the cell's operator.
        """
        path = bundle.graph_path(variant)
        check_version(bundle.config.cell)
        check_structure(path, bundle.config)
        session = open_session(path, **placement)
        return cls(session, bundle.config, variant, path)

    @property
    def state_outputs(self) -> list[str]:
        """The outputs that hold the state after a run."""
        return [tensor.next for tensor in self.config.state]

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """Zeros, float32 [L, batch_size, H] for each state tensor."""
        return tuple(
            np.zeros(tensor.shape(batch_size), dtype=np.float32) for tensor in self.config.state
        )

    def run(
        self,
        outputs: list[str],
        tokens: NDArray[np.int64],
        *,
        state: Sequence[Tensor],
        targets: NDArray[np.int64] | None = None,
        k: int = 0,
        lengths: NDArray[np.int32] | None = None,
        parents: NDArray[np.int64] | None = None,
        checked: bool = False,
    ) -> list[NDArray[Any]]:
        """Run the graph and fetch the named outputs, in that order.

        tokens int64 [B, T]; state float32 [L, S, H] each; targets int64 [B, T, K], default K = 0;
        k is the number of best tokens wanted; lengths int32 [B], default T; parents int64 [B],
        the state row each batch row continues, default row b (then S must be B).

        Outputs past a row's length are meaningless; `next_*` is the state after `lengths` tokens,
        which stays on a GPU. Distributions over the whole vocabulary are not computed where the
        model has a cheaper way to the outputs. `checked`: all arrays but the state are of this
        package's making, with ids that `check_ids` has seen, and need no check of their own.

        Raises:
            InputError: an argument has the wrong shape, type or range.
            ModelError, DeviceError: ONNX Runtime fails on the CPU, or on another device.
        """
        S = state_rows(self.config, state)
        if not checked:
            self._check(tokens, S, k, targets=targets, lengths=lengths, parents=parents)
        has_targets = targets is not None and targets.size > 0
        if self._always_has_targets and not has_targets:
            one = np.zeros((*tokens.shape, 1), np.int64)
            feeds = self._feeds(outputs, tokens, state, one, k, lengths, parents)
            return _without_targets(outputs, self._run(outputs, feeds))
        return self._run(outputs, self._feeds(outputs, tokens, state, targets, k, lengths, parents))

    def _run(self, outputs: list[str], feeds: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        found = self._found(outputs, feeds)
        self._shapes.check(outputs, [array.shape for array in found], feeds)
        return found

    def _found(self, outputs: list[str], feeds: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        try:
            if self._keep_state_on_device:
                found = run_bound(
                    self._session, self.device, outputs, feeds, stay=self.state_outputs
                )
                # A state is only handed back, and a DeviceTensor can do that.
                return cast("list[NDArray[Any]]", found)
            arrays = {name: np.asarray(array) for name, array in feeds.items()}
            return cast("list[NDArray[Any]]", self._session.run(outputs, arrays))
        except MemoryError:
            raise
        except Exception as error:  # ONNX Runtime's errors have no common base
            raise self._failure(error) from error

    def _feeds(
        self,
        outputs: Sequence[str],
        tokens: NDArray[np.int64],
        state: Sequence[Tensor],
        targets: NDArray[np.int64] | None,
        k: int,
        lengths: NDArray[np.int32] | None,
        parents: NDArray[np.int64] | None,
    ) -> dict[str, NDArray[Any]]:
        """The inputs of a run by name, with defaults for the arrays that are not given."""
        B, T = tokens.shape
        feeds: dict[str, NDArray[Any]] = {
            "tokens": tokens,
            "targets": np.empty((B, T, 0), np.int64) if targets is None else targets,
            "k": np.array([k], dtype=np.int64) if k else _NONE,
            "lengths": np.full(B, T, np.int32) if lengths is None else lengths,
            "parents": np.arange(B, dtype=np.int64) if parents is None else parents,
        }
        if self._chooses_rows:
            whole = not (self._whole | _MEASURES).isdisjoint(outputs)
            whole |= self._is_apart and self._has_many_targets(feeds["targets"].shape[2])
            feeds[_DISTRIBUTIONS] = np.array([B], np.int64) if whole else _NONE
        if self.has_measures:
            measured = not _MEASURES.isdisjoint(outputs)
            feeds[_MEASURED] = np.array([B], np.int64) if measured else _NONE
        names = (tensor.name for tensor in self.config.state)
        return {**feeds, **dict(zip(names, state, strict=True))}

    def _has_many_targets(self, K: int) -> bool:
        """Whether the output rows of K targets, one by one, cost more than whole rows of logits."""
        return 2 * K * self.config.output_dim > self.config.vocab_size

    def target_budget(self, *, unnormalized: bool) -> int:
        """The tokens B * T that one run for targets should read at most."""
        on_cpu = self.device == CPU_DEVICE
        budget = target_budget(
            self.config, unnormalized=unnormalized, on_cpu=on_cpu, apart=self._is_apart
        )
        return budget if self._fitting is None else min(budget, self._fitting)

    def lower_target_budget(self, failed: int) -> bool:
        """Let runs for targets have half of `failed` tokens at most, for which memory was short.

        Returns False if they would be too small to be worth trying.
        """
        lowered = smaller_budget(failed)
        if lowered is not None:
            self._fitting = lowered if self._fitting is None else min(self._fitting, lowered)
        return lowered is not None

    def check_ids(self, *arrays: NDArray[np.int64]) -> None:
        """Raise InputError if an id of these arrays is not in the vocabulary."""
        for array in arrays:
            _check_array(
                "ids", array, np.int64, (None,) * array.ndim, 0, self.config.vocab_size - 1
            )

    def check_finite(self, log_probs: ArrayLike) -> None:
        """Raise ModelError if a log-probability is NaN or infinite."""
        if not np.isfinite(log_probs).all():
            raise ModelError(
                f"{self._source}: yields log-probabilities that are not finite; its weights are "
                "damaged or trained to overflow"
            )

    def _failure(self, error: Exception) -> LmscoreError:
        said = " ".join(str(error).split())
        if self.device == CPU_DEVICE:
            return ModelError(f"{self._source}: ONNX Runtime cannot run it: {said}")
        kind = DeviceMemoryError if _OUT_OF_MEMORY.search(said) else DeviceError
        return kind(
            f"{self._source}: ONNX Runtime cannot run it on {self.device}: {said}; "
            "is its memory full? take a smaller batch, or device cpu"
        )

    def _check(self, tokens: NDArray[Any], S: int, k: int, **given: NDArray[Any] | None) -> None:
        """Raise InputError for arrays that ONNX Runtime would misread or abort on."""
        if tokens.ndim != 2 or tokens.size == 0:
            raise InputError(f"tokens must be [B, T] and not empty, not {list(tokens.shape)}")
        B, T = tokens.shape
        V = self.config.vocab_size
        if S != B and given["parents"] is None:
            raise InputError(f"state has {S} rows for {B} rows of tokens; give parents")
        if not 0 <= k <= V or k != int(k):
            raise InputError(f"k must lie in 0..{V}, not {k}")
        fits: dict[str, tuple[type[np.generic], tuple[int | None, ...], int, int]] = {
            "tokens": (np.int64, (B, T), 0, V - 1),
            "targets": (np.int64, (B, T, None), 0, V - 1),
            "lengths": (np.int32, (B,), 1, T),
            "parents": (np.int64, (B,), 0, S - 1),
        }
        for name, array in {"tokens": tokens, **given}.items():
            if array is not None:
                _check_array(name, array, *fits[name])


def _without_targets(outputs: list[str], found: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """Empty the outputs that have an axis of targets, which were not asked for."""
    pairs = zip(outputs, found, strict=True)
    return [array[:, :, :0] if name in _OF_TARGETS else array for name, array in pairs]


def _has_measures(session: InferenceSession) -> bool:
    """Whether a graph computes entropies and ranks, as all do but those of version 0.1.0."""
    return any(value.name == _MEASURED for value in session.get_inputs())


def state_rows(config: Config, state: Sequence[Tensor]) -> int:
    """S, the number of rows of a state; raises InputError unless it fits the model."""
    if len(state) != len(config.state):
        raise InputError(f"state has {len(state)} tensors, expected {len(config.state)}")
    S = state[0].shape[1] if state[0].ndim == 3 else 0
    for tensor, array in zip(config.state, state, strict=True):
        if array.dtype != np.float32 or array.shape != tensor.shape(S) or S == 0:
            raise InputError(
                f"state {tensor.name!r} is {array.dtype} {list(array.shape)}, "
                f"expected float32 {shape_text((tensor.layers, S or None, tensor.size))}"
            )
    return S


def _check_array(
    name: str,
    array: NDArray[Any],
    dtype: type[np.generic],
    shape: tuple[int | None, ...],
    low: int,
    high: int,
) -> None:
    if not isinstance(array, np.ndarray):
        raise InputError(f"{name} must be an array, not {type(array).__name__}")
    fits = array.ndim == len(shape) and all(
        want in (None, size) for want, size in zip(shape, array.shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        raise InputError(
            f"{name} is {array.dtype} {list(array.shape)}, "
            f"expected {np.dtype(dtype)} {shape_text(shape)}"
        )
    if array.size and not low <= array.min() <= array.max() <= high:
        raise InputError(f"{name} must lie in {low}..{high}, not {array.min()}..{array.max()}")
