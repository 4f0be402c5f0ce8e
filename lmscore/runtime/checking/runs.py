"""Runs of a graph over the sequences of parity.npz and over the held-out sample.

Letters in shapes: N sequences, T their longest length, C kept vocabulary columns, L layers,
H hidden, M held-out sentences of at most T2 tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import Parity
from lmscore.runtime.engine import Distributions, Engine

_HELDOUT_ROWS = 32
_HELDOUT_VALUES = 1 << 25  # log-probs of one run, 128 MiB

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Run:
    """A graph's results for the parity sequences, in the shapes of `Parity`."""

    log_probs: Floats  # [N, T, C]
    target_log_probs: Floats  # [N, T]
    state: tuple[Floats, ...]  # [L, N, H] each

    @classmethod
    def zeros(cls, parity: Parity) -> Run:
        """A run whose arrays are zeros, for `fill`."""
        return cls(
            np.zeros_like(parity.log_probs),
            np.zeros_like(parity.target_log_probs),
            tuple(map(np.zeros_like, parity.final_state)),
        )

    def fill(
        self, rows: NDArray[np.intp], part: slice, found: Distributions, columns: NDArray[np.int64]
    ) -> None:
        """Take in results for some rows and a part of their times."""
        self.log_probs[rows, part] = found.log_probs[..., columns]
        self.target_log_probs[rows, part] = found.target_log_probs[..., 0]
        for all_rows, some in zip(self.state, found.state.tensors, strict=True):
            all_rows[:, rows] = some


def in_chunks(engine: Engine, parity: Parity, size: int) -> Run:
    """Run the sequences in chunks with carried state; `parents` drops the finished rows."""
    run = Run.zeros(parity)
    rows = np.arange(len(parity.inputs))
    state = engine.initial_state(len(rows))
    for start in range(0, int(parity.lengths.max()), size):
        parents = np.flatnonzero(parity.lengths[rows] > start)
        rows, part = rows[parents], slice(start, start + size)
        tokens = parity.inputs[rows, part]
        found = engine.distributions(
            tokens,
            state,
            targets=parity.targets[rows, part, None],
            lengths=np.minimum(parity.lengths[rows] - start, tokens.shape[1]).astype(np.int32),
            parents=parents,
        )
        state = found.state
        run.fill(rows, part, found, parity.columns)
    return run


def alone(engine: Engine, parity: Parity) -> Run:
    """Run each sequence by itself, without padding and without `parents`."""
    run = Run.zeros(parity)
    for row, length in enumerate(parity.lengths):
        rows, part = np.array([row]), slice(length)
        tokens, targets = parity.inputs[rows, part], parity.targets[rows, part, None]
        found = engine.distributions(tokens, engine.initial_state(), targets=targets)
        run.fill(rows, part, found, parity.columns)
    return run


@dataclass(frozen=True)
class Heldout:
    """Target log-probs of the held-out sample, [M, T2]."""

    mask: NDArray[np.bool_]  # True within each sentence
    batched: Floats
    alone: Floats  # from a run for each sentence

    @classmethod
    def run(cls, engine: Engine, parity: Parity) -> Heldout:
        """Score the sample in batches, and sentence by sentence."""
        M, T2 = parity.heldout_inputs.shape
        rows = max(1, min(_HELDOUT_ROWS, _HELDOUT_VALUES // (T2 * engine.config.vocab_size)))
        return cls(
            within(parity.heldout_inputs, parity.heldout_lengths),
            _score_heldout(engine, parity, _slices(M, rows)),
            _score_heldout(engine, parity, _slices(M, 1)),
        )

    def mean(self, log_probs: Floats) -> float:
        """The mean of log-probs [M, T2] over the tokens of this sample, in nats."""
        return float(log_probs[self.mask].mean(dtype=np.float64))


def heldout_scores(engine: Engine, parity: Parity) -> Floats:
    """The held-out sample's scores without the softmax, float32 [M, T2]; 0 past each length."""
    slices = _slices(len(parity.heldout_inputs), _HELDOUT_ROWS)
    return _score_heldout(engine.without_softmax(), parity, slices)


def _slices(total: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, total, size))


def _score_heldout(engine: Engine, parity: Parity, batches: Iterable[slice]) -> Floats:
    scores = np.zeros_like(parity.heldout_target_log_probs)
    for rows in batches:
        lengths = parity.heldout_lengths[rows]
        T = lengths.max()
        found, _ = engine.targets(
            parity.heldout_inputs[rows, :T],
            parity.heldout_targets[rows, :T, None],
            engine.initial_state(len(lengths)),
            lengths=lengths,
        )
        scores[rows, :T] = found[..., 0]
    return scores


def within(tokens: NDArray[np.int64], lengths: NDArray[np.int32]) -> NDArray[np.bool_]:
    """The mask of the places before each row's length, bool [N, T]."""
    return np.arange(tokens.shape[1]) < lengths[:, None]
