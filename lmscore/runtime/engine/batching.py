"""Run token rows of any length through the graph, in batches of bounded size.

Rows are sorted by length, longest first. A batch of them advances in chunks of time, and its
unfinished rows are always the first ones. So a finished row is dropped, never fed with length 0,
and a row of a million tokens takes no more memory in the graph than many short ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import Config
from lmscore.runtime.engine.engine import Engine
from lmscore.runtime.engine.state import State, Tensor
from lmscore.runtime.text import IdRows, Ids, places

if TYPE_CHECKING:
    from concurrent.futures import Future

_MIN_ROWS = 32  # of a batch, if there are so many: the recurrent products need them


@dataclass(frozen=True)
class Boundaries:
    """Targets for which the total probability of a set of tokens is wanted too."""

    at: NDArray[np.bool_]  # [N]
    tokens: Ids  # at least one


@dataclass(frozen=True)
class TokenRows:
    """Rows of inputs and of the targets they predict, one after another in flat arrays."""

    inputs: Ids  # [N]
    targets: Ids  # [N]: targets[i] follows inputs[i]
    lengths: Ids  # [R], summing to N; 0 is legal: nothing is read
    boundaries: Boundaries | None = None

    @property
    def starts(self) -> Ids:
        """Where each row begins, int64 [R]."""
        return np.cumsum(self.lengths) - self.lengths

    def joined(self) -> TokenRows:
        """All rows as a single one, a document."""
        return replace(self, lengths=self.lengths.sum(keepdims=True))


@dataclass(frozen=True)
class RowScores:
    """The scores of some rows, in nats."""

    log_probs: Tensor  # float32 [N], of the targets
    boundaries: Tensor  # float32 [N], of any of the boundary tokens; 0 where not wanted


def token_rows(texts: IdRows, *, before: IdRows, eos: int) -> TokenRows:
    """Make one row per text (R, at least one), which reads before + ids and predicts ids + eos.

    `before` has the R rows of ids that are read before each text. The first token of a row is not
    predicted; a row without tokens is empty.
    """
    lengths = before.lengths + texts.lengths
    ends = np.cumsum(lengths)
    starts = ends - lengths
    inputs = np.empty(int(ends[-1]), np.int64)
    inputs[places(starts, before.lengths)] = before.ids
    inputs[places(starts + before.lengths, texts.lengths)] = texts.ids
    targets = np.empty_like(inputs)
    targets[:-1] = inputs[1:]
    targets[ends[lengths > 0] - 1] = eos
    return TokenRows(inputs, targets, lengths)


def reading_order(texts: IdRows, config: Config) -> IdRows:
    """The ids of texts as the model reads them: a backward model begins at the end."""
    return texts.backward() if config.direction == "backward" else texts


@dataclass(frozen=True)
class ScoredRows:
    """A future for the scores of some rows."""

    scores: RowScores
    batches: Sequence[Callable[[], object]]  # each scores a batch, or waits until it is scored
    futures: Sequence[Future[Any]] = ()  # of the batches that workers score

    def result(self) -> RowScores:
        """Wait for the scores.

        Raises:
            ModelError, DeviceError: the graph cannot be run.
        """
        try:
            for batch in self.batches:
                batch()
        finally:
            self.cancel()
        return self.scores

    def cancel(self) -> None:
        """Leave out the batches that no worker has begun."""
        for future in self.futures:
            future.cancel()


def start_rows(
    engine: Engine,
    rows: TokenRows,
    state: State,
    *,
    parents: Ids | None = None,
    budget: int | None = None,
) -> ScoredRows:
    """Have every target of R rows scored, by the engine's workers if it has any.

    `state` has S rows, of which parents int64 [R] names the one that each row continues; default:
    its only one. `budget` is the tokens of one run of the graph; default: the engine's.
    """
    scores, size = _unscored(rows), budget or _budget(engine, rows)
    origins = np.zeros(len(rows.lengths), np.int64) if parents is None else parents

    tasks = [
        partial(
            _advance,
            rows=rows,
            batch=batch,
            state=state,
            parents=origins[batch],
            budget=size,
            scores=scores,
        )
        for batch in _batches(rows.lengths, size)
    ]
    workers = engine.workers
    if workers is None or len(tasks) < 2:
        return ScoredRows(scores, [partial(task, engine) for task in tasks])
    futures = [workers.submit(task) for task in tasks]
    return ScoredRows(scores, [future.result for future in futures], futures)


def score_document(
    engine: Engine, rows: TokenRows, state: State, *, budget: int | None = None
) -> tuple[RowScores, State]:
    """Score rows at once; each continues from the end of the row before it.

    `state` has one row, which the first row continues. Returns the scores, and the state after the
    last row.
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
    """Cut the numbers of non-empty rows, longest first, into batches.

    A batch has as many whole rows as fit the budget, but not few: long rows go in chunks.
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
    """Feed a batch to its end, chunk by chunk, and write its scores in place.

    `batch` has the numbers of non-empty rows, longest first; `parents` names the row of the state
    that each of them continues. Returns the state after the last chunk, of the rows in it.
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
            log_z = log_sum(whole.log_probs[wanted], rows.boundaries.tokens)
            scores.boundaries[index[wanted]] = log_z
        scores.log_probs[index[inside]] = found[:, :, 0][inside]
        going_on = np.count_nonzero(left > T)
        starts, left = starts[:going_on] + T, left[:going_on] - T
        parents = np.arange(going_on)
    return state


def log_sum(log_probs: Tensor, tokens: Ids) -> Tensor:
    """The log-probability [n] of any of the tokens, from log_probs [n, V]."""
    chosen = log_probs[:, tokens]
    highest = chosen.max(axis=1)
    np.exp(chosen - highest[:, None], out=chosen)
    total: Tensor = np.log(chosen.sum(axis=1)) + highest
    return total
