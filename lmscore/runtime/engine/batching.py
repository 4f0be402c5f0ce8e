"""Run token rows of any length through the graph, in batches of bounded size (`layout.py`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import Config
from lmscore.runtime.engine.engine import Engine, Measured
from lmscore.runtime.engine.graph import DeviceMemoryError
from lmscore.runtime.engine.layout import Batch, Layout
from lmscore.runtime.engine.state import State, Tensor
from lmscore.runtime.text import IdRows, Ids, places

if TYPE_CHECKING:
    from concurrent.futures import Future


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
    alternatives: int | None = None  # k likeliest tokens: distributions are measured; None: not

    @property
    def starts(self) -> Ids:
        """Where each row begins, int64 [R]."""
        return np.cumsum(self.lengths) - self.lengths

    def joined(self) -> TokenRows:
        """All rows as a single one, a document."""
        return replace(self, lengths=self.lengths.sum(keepdims=True))


@dataclass(frozen=True)
class RowMeasures:
    """The measures of N distributions; see `Engine.measures`."""

    entropies: Tensor  # float32 [N], nats
    ranks: Ids  # int64 [N], of the targets
    top_log_probs: Tensor  # float32 [N, k], nats
    top_tokens: Ids  # int64 [N, k]

    @classmethod
    def empty(cls, N: int, k: int) -> RowMeasures:
        """Room for the measures of N distributions."""
        best = np.empty((N, k), np.float32), np.empty((N, k), np.int64)
        return cls(np.empty(N, np.float32), np.empty(N, np.int64), *best)

    def write(self, where: slice, found: Measured) -> None:
        """Set some of the N from the B * T distributions of a run with one target each."""
        values: list[NDArray[Any]] = [
            found.entropies,
            found.target_ranks,
            found.top_log_probs,
            found.top_tokens,
        ]
        for array, value in zip(self._arrays(), values, strict=True):
            array[where] = value.reshape(array[where].shape)

    def at(self, places: Ids | NDArray[np.bool_]) -> RowMeasures:
        """The measures at some of the N places."""
        return RowMeasures(*(array[places] for array in self._arrays()))

    def _arrays(self) -> tuple[NDArray[Any], ...]:
        return self.entropies, self.ranks, self.top_log_probs, self.top_tokens


@dataclass(frozen=True)
class RowScores:
    """The scores of some rows, in nats."""

    log_probs: Tensor  # float32 [N], of the targets
    boundaries: Tensor  # float32 [N], of any of the boundary tokens; 0 where not wanted
    measures: RowMeasures | None = None  # N, where they are wanted


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


class _Cells:
    """The rows that are being scored, cell by cell of their runs, and the scores so far."""

    def __init__(self, rows: TokenRows, budget: int, *, parts: int = 1) -> None:
        self.rows = rows
        self.layout = layout = Layout.of(rows.starts, rows.lengths, budget, parts=parts)
        self.tokens, self.targets = rows.inputs[layout.places], rows.targets[layout.places]
        self.log_probs = np.empty(len(layout.places), np.float32)
        self.boundaries = np.zeros(len(rows.inputs), np.float32)
        k = rows.alternatives
        self.measures = None if k is None else RowMeasures.empty(len(layout.places), k)

    def scores(self) -> RowScores:
        """The scores in the order of the rows."""
        N, inside = len(self.rows.inputs), self.layout.inside
        places = self.layout.places[inside]
        log_probs = np.empty(N, np.float32)
        log_probs[places] = self.log_probs[inside]
        if self.measures is None:
            return RowScores(log_probs, self.boundaries)
        cell_of = np.empty(N, np.int64)
        cell_of[places] = np.flatnonzero(inside)
        return RowScores(log_probs, self.boundaries, self.measures.at(cell_of))


@dataclass(frozen=True)
class ScoredRows:
    """A future for the scores of some rows."""

    cells: _Cells
    batches: Sequence[Callable[[], object]]  # each scores a batch, or waits until it is scored
    futures: Sequence[Future[Any]] = ()  # of the batches that workers score
    # The same rows in smaller runs, after one that was too large for a device's memory.
    smaller: Callable[[], ScoredRows | None] = lambda: None

    def result(self) -> RowScores:
        """Wait for the scores.

        Raises:
            ModelError, DeviceError: the graph cannot be run.
        """
        try:
            for batch in self.batches:
                batch()
        except DeviceMemoryError:
            again = self.smaller()
            if again is None:
                raise
            return again.result()
        finally:
            self.cancel()
        return self.cells.scores()

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
    engine.check_ids(rows.inputs, rows.targets)
    size, workers = budget or _budget(engine, rows), engine.workers
    # Cores that share a run of a few rows spend much of their time waiting for one another.
    parts = workers.count if workers is not None and workers.is_open else 1
    cells = _Cells(rows, size, parts=parts)
    origins = np.zeros(len(rows.lengths), np.int64) if parents is None else parents
    tasks = [
        partial(_advance, batch=batch, cells=cells, state=state, origins=origins)
        for batch in cells.layout.batches
    ]

    def smaller() -> ScoredRows | None:
        can_be = budget is None and not _is_whole(rows) and engine.lower_target_budget(size)
        return start_rows(engine, rows, state, parents=parents) if can_be else None

    if workers is None or len(tasks) < 2:
        return ScoredRows(cells, [partial(task, engine) for task in tasks], smaller=smaller)
    futures = [workers.submit(task) for task in tasks]
    return ScoredRows(cells, [future.result for future in futures], futures)


def score_document(
    engine: Engine, rows: TokenRows, state: State, *, budget: int | None = None
) -> tuple[RowScores, State]:
    """Score rows at once; each continues from the end of the row before it.

    `state` has one row, which the first row continues. Returns the scores, and the state after the
    last row.
    """
    engine.check_ids(rows.inputs, rows.targets)
    size, after = budget or _budget(engine, rows), state
    cells = _Cells(rows.joined(), size)
    try:
        for batch in cells.layout.batches:  # one, if there is any token
            after = _advance(engine, batch, cells, state, np.zeros(1, np.int64))
    except DeviceMemoryError:
        if budget is not None or _is_whole(rows) or not engine.lower_target_budget(size):
            raise
        return score_document(engine, rows, state)
    return cells.scores(), after


def _budget(engine: Engine, rows: TokenRows) -> int:
    return engine.token_budget if _is_whole(rows) else engine.target_budget


def _is_whole(rows: TokenRows) -> bool:
    """Whether the host fetches whole distributions."""
    return rows.boundaries is not None or rows.alternatives is not None


def _advance(engine: Engine, batch: Batch, cells: _Cells, state: State, origins: Ids) -> State:
    """Feed a batch to its end, run by run, and write its scores in place.

    `origins` names the row of the state that each of all rows continues. Returns the state after
    the last run, of the rows in it.
    """
    first, row, cell, runs = batch
    parents = origins[cells.layout.order[first : first + runs[0].B]]
    for B, T, skipped in runs:
        here = slice(cell, cell + B * T)
        found, state = _run(
            engine,
            cells,
            here,
            cells.tokens[here].reshape(B, T),
            cells.targets[here].reshape(B, T, 1),
            state,
            lengths=cells.layout.lengths[row : row + B],
            parents=np.arange(B) if skipped else parents,
        )
        cells.log_probs[here] = found.reshape(-1)
        row, cell = row + B, here.stop
    return state


def _run(
    engine: Engine,
    cells: _Cells,
    here: slice,
    tokens: Ids,
    targets: Ids,
    state: State,
    *,
    lengths: NDArray[np.int32],
    parents: Ids,
) -> tuple[Tensor, State]:
    """Score the targets [B, T, 1] of one run, whose cells are `here`; write what else is wanted."""
    given: Any = {"lengths": lengths, "parents": parents, "checked": True}
    boundaries, measures = cells.rows.boundaries, cells.measures
    if measures is not None:
        k, whole = cells.rows.alternatives or 0, boundaries is not None
        found = engine.measures(tokens, targets, state, k=k, whole=whole, **given)
        measures.write(here, found)
        of_targets, log_probs, state = found.target_log_probs, found.log_probs, found.state
    elif boundaries is not None:
        # Whole distributions: a copy as large as the graph's widest array.
        log_probs, of_targets, _, _, state = engine.distributions(
            tokens, state, targets=targets, **given
        )
    else:
        return engine.targets(tokens, targets, state, **given)
    if boundaries is not None and log_probs is not None:
        places = cells.layout.places[here]
        wanted = cells.layout.inside[here] & boundaries.at[places]
        log_z = log_sum(log_probs[wanted.reshape(tokens.shape)], boundaries.tokens)
        cells.boundaries[places[wanted]] = log_z
    return of_targets, state


def log_sum(log_probs: Tensor, tokens: Ids) -> Tensor:
    """The log-probability [n] of any of the tokens, from log_probs [n, V]."""
    # Of an index on the second axis NumPy makes columns: rows would be added up across memory, in
    # an order of their own for each n.
    chosen = np.take(log_probs, tokens, axis=1)
    highest = chosen.max(axis=1)
    chosen -= highest[:, None]
    np.exp(chosen, out=chosen)
    total: Tensor = np.log(chosen.sum(axis=1)) + highest
    return total
