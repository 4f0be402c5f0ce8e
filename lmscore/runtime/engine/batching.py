"""Token rows of any length through the graph, in batches of bounded size.

Rows of all lengths take one road: sorted by length, longest first, a batch of them advances in
chunks of time, and the rows that are not finished are always the first ones. So a finished row is
dropped, never fed with length 0, and a row of a million tokens takes no more memory in the graph
than many short ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import Config
from lmscore.runtime.engine.engine import Engine
from lmscore.runtime.engine.state import State, Tensor
from lmscore.runtime.text import Ids

if TYPE_CHECKING:
    from concurrent.futures import Future

_MIN_ROWS = 32  # in a batch, where there are as many: the recurrent products need them


@dataclass(frozen=True)
class Boundaries:
    """Targets at which the probability of a set of tokens is wanted too."""

    at: NDArray[np.bool_]  # [N]
    tokens: Ids  # at least one


@dataclass(frozen=True)
class TokenRows:
    """Rows of inputs and the targets they predict, one after another in flat arrays."""

    inputs: Ids  # [N]
    targets: Ids  # [N]: targets[i] follows inputs[i]
    lengths: Ids  # [R], summing to N; 0 is legal: nothing is read
    boundaries: Boundaries | None = None

    @property
    def starts(self) -> Ids:
        """Where each row begins, int64 [R]."""
        return np.cumsum(self.lengths) - self.lengths

    def joined(self) -> TokenRows:
        """All rows as a single one: a document."""
        return replace(self, lengths=self.lengths.sum(keepdims=True))


@dataclass(frozen=True)
class RowScores:
    """What the model says of the targets of some rows, in nats."""

    log_probs: Tensor  # float32 [N]
    boundaries: Tensor  # float32 [N], of any of the boundary tokens; 0 where not wanted


def token_rows(texts: Sequence[Ids], *, before: Sequence[Ids], eos: int) -> TokenRows:
    """One row per text: reads before + ids, predicts what follows each of them, last of all eos.

    Nothing predicts the first token of a row, and a row without tokens is empty.

    Args:
        texts: at least one.
        before: for each text, what is read before it.
    """
    parts = [part for pair in zip(before, texts, strict=True) for part in pair]
    inputs = np.concatenate(parts)
    lengths = np.array([len(start) + len(ids) for start, ids in zip(before, texts, strict=True)])
    targets = np.roll(inputs, -1)
    targets[np.cumsum(lengths)[lengths > 0] - 1] = eos
    return TokenRows(inputs, targets, lengths)


def reading_order(texts: Sequence[Ids], config: Config) -> Sequence[Ids]:
    """The ids of texts as the model reads them: a backward model begins at the end."""
    return [ids[::-1] for ids in texts] if config.direction == "backward" else texts


class ScoredRows(Protocol):
    """A future for the scores of some rows."""

    def result(self) -> RowScores:
        """Wait for the scores.

        Raises:
            ModelError, DeviceError: the graph cannot be run.
        """

    def cancel(self) -> None:
        """Leave out the batches that no thread has begun."""


def start_rows(
    engine: Engine,
    rows: TokenRows,
    state: State,
    *,
    parents: Ids | None = None,
    budget: int | None = None,
) -> ScoredRows:
    """Have every target of R rows scored, by the engine's workers if it has any.

    Args:
        engine: the model.
        rows: what it reads and predicts.
        state: S rows.
        parents: int64 [R], the row of `state` that each goes on from. Default: its only one.
        budget: tokens of one run of the graph. Default: as many as the engine says.
    """
    scores = _unscored(rows)
    budget = budget or _budget(engine, rows)
    origins = np.zeros(len(rows.lengths), np.int64) if parents is None else parents
    tasks = [
        partial(
            _advance,
            rows=rows,
            batch=batch,
            state=state,
            parents=origins[batch],
            budget=budget,
            scores=scores,
        )
        for batch in _batches(rows.lengths, budget)
    ]
    workers = engine.workers
    if workers is None or len(tasks) < 2:
        return _Here(engine, tasks, scores)
    return _AtWork([workers.submit(task) for task in tasks], scores)


_Task = Callable[[Engine], object]


@dataclass(frozen=True)
class _Here:
    """Batches that are scored when they are asked for."""

    engine: Engine
    tasks: Sequence[_Task]
    scores: RowScores

    def result(self) -> RowScores:
        for task in self.tasks:
            task(self.engine)
        return self.scores

    def cancel(self) -> None:
        pass


@dataclass(frozen=True)
class _AtWork:
    """Batches that workers score, each into its own places."""

    tasks: Sequence[Future[object]]
    scores: RowScores

    def result(self) -> RowScores:
        try:
            for task in self.tasks:
                task.result()
        finally:
            self.cancel()
        return self.scores

    def cancel(self) -> None:
        for task in self.tasks:
            task.cancel()


def score_document(
    engine: Engine, rows: TokenRows, state: State, *, budget: int | None = None
) -> tuple[RowScores, State]:
    """Like `start_rows`, but each row goes on from where the one before it ended.

    Args:
        state: of one row, from which the first row goes on.

    Returns:
        The scores, and the state after the last row.
    """
    scores = _unscored(rows)
    if len(rows.inputs):
        only = np.zeros(1, np.int64)
        budget = budget or _budget(engine, rows)
        state = _advance(engine, rows.joined(), only, state, only, budget, scores)
    return scores, state


def _budget(engine: Engine, rows: TokenRows) -> int:
    return engine.target_budget if rows.boundaries is None else engine.token_budget


def _unscored(rows: TokenRows) -> RowScores:
    N = len(rows.inputs)
    return RowScores(np.empty(N, np.float32), np.zeros(N, np.float32))


def _batches(lengths: Ids, budget: int) -> Iterator[Ids]:
    """Row numbers, longest first, cut into batches.

    A batch has as many rows as fit the budget whole, but not few: long ones go in chunks.
    """
    order = np.argsort(-lengths, kind="stable")
    order = order[: np.count_nonzero(lengths)]
    while len(order):
        size = max(budget // int(lengths[order[0]]), min(_MIN_ROWS, budget))
        yield order[:size]
        order = order[size:]


def _advance(
    engine: Engine,
    rows: TokenRows,
    batch: Ids,
    state: State,
    parents: Ids,
    budget: int,
    scores: RowScores,
) -> State:
    """Feed a batch to its end, chunk by chunk; write its scores in place.

    Args:
        batch: row numbers, longest first, none of them empty.
        state: S rows.
        parents: the row of `state` that each row of the batch goes on from.

    Returns:
        The state after the last chunk, of the rows that were in it.
    """
    starts, left = rows.starts[batch], rows.lengths[batch]
    while len(left):
        T = min(int(left[0]), max(1, budget // len(left)))
        steps = np.arange(T)
        inside = steps < left[:, None]  # [B, T]; padding reads the row's first position
        index = starts[:, None] + steps * inside
        tokens, targets = rows.inputs[index], rows.targets[index][:, :, None]
        lengths = np.minimum(left, T).astype(np.int32)
        if rows.boundaries is None:
            found, state = engine.targets(tokens, targets, state, lengths=lengths, parents=parents)
        else:  # whole distributions: a copy as large as the graph's widest array
            whole = engine.distributions(
                tokens, state, targets=targets, lengths=lengths, parents=parents
            )
            found, state = whole.target_log_probs, whole.state
            wanted = inside & rows.boundaries.at[index]
            log_z = _log_sum(whole.log_probs[wanted], rows.boundaries.tokens)
            scores.boundaries[index[wanted]] = log_z
        scores.log_probs[index[inside]] = found[:, :, 0][inside]
        going_on = np.count_nonzero(left > T)
        starts, left = starts[:going_on] + T, left[:going_on] - T
        parents = np.arange(going_on)
    return state


def _log_sum(log_probs: Tensor, tokens: Ids) -> Tensor:
    """The log-probability [n] of any of the tokens; log_probs [n, V]."""
    chosen = log_probs[:, tokens]
    highest = chosen.max(axis=1)
    np.exp(chosen - highest[:, None], out=chosen)
    total: Tensor = np.log(chosen.sum(axis=1)) + highest
    return total
