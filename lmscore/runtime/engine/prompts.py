"""Prompts of several requests, read together: what each token was worth, and the state after them.

Rows of any length go through the graph side by side, in runs of bounded size. A row that is at its
end leaves its state behind and makes room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lmscore.runtime.engine.engine import Engine
from lmscore.runtime.engine.state import Row, State, Tensor
from lmscore.runtime.text import Ids


@dataclass(frozen=True, eq=False)
class ReadPrompt:
    """A row that was read up to its last token. n tokens were scored; k alternatives each."""

    log_probs: Tensor  # float32 [n], nats, of the tokens after the first
    top_log_probs: Tensor  # float32 [n, k], nats, best first
    top_tokens: Ids  # int64 [n, k]
    row: Row  # the state before the last token


def read_prompts(
    engine: Engine, rows: Sequence[Ids], *, k: int | None, budget: int | None = None
) -> list[ReadPrompt]:
    """Read several rows from the initial state, and score every token but the first of each.

    The last token of a row is scored, but not read: a decoder's first step reads it.

    Args:
        engine: runs the graph.
        rows: int64 [n + 1] each, n >= 0; all begin with <s> where texts do.
        k: the number of alternatives; None where no token has to be scored (n arrays are empty).
        budget: the tokens of one run of the graph. Default: the engine's.

    Raises:
        InputError: an id is not in the vocabulary.
        ModelError: the model yields nan or inf.
    """
    unread = [_Unread(number, ids) for number, ids in enumerate(rows)]
    unread.sort(key=lambda row: -len(row.ids))
    size = budget or engine.token_budget
    found: list[ReadPrompt | None] = [None] * len(rows)
    while unread:
        # As many whole rows as fit; of longer ones a few side by side.
        count = max(1, size // max(1, len(unread[0].ids) - 1))
        _read_batch(engine, unread[:count], found, k, size)
        unread = unread[count:]
    return [row for row in found if row is not None]


@dataclass(eq=False)
class _Unread:
    number: int
    ids: Ids
    log_probs: list[Tensor] = field(default_factory=list)
    top_log_probs: list[Tensor] = field(default_factory=list)
    top_tokens: list[Ids] = field(default_factory=list)

    def read(self, row: Row, k: int) -> ReadPrompt:
        """The result, with the state before the last token."""
        return ReadPrompt(
            np.concatenate([np.empty(0, np.float32), *self.log_probs]),
            np.concatenate([np.empty((0, k), np.float32), *self.top_log_probs]),
            np.concatenate([np.empty((0, k), np.int64), *self.top_tokens]),
            row,
        )


def _read_batch(
    engine: Engine,
    batch: Sequence[_Unread],
    found: list[ReadPrompt | None],
    k: int | None,
    size: int,
) -> None:
    """Feed rows, longest first, to their ends."""
    state, parents = engine.initial_state(), np.zeros(len(batch), np.int64)
    left = np.array([len(row.ids) - 1 for row in batch])
    done = 0
    while True:
        for at in np.flatnonzero(left == 0).tolist():
            row = batch[at]
            found[row.number] = row.read(Row(state, int(parents[at])), k or 0)
        going_on = int(np.count_nonzero(left > 0))
        if not going_on:
            return
        batch, left, parents = batch[:going_on], left[:going_on], parents[:going_on]
        T = min(int(left[0]), max(1, size // going_on))
        lengths = np.minimum(left, T).astype(np.int32)
        state = _run(engine, batch, done, lengths, state, parents, k)
        done, left, parents = done + T, left - lengths, np.arange(going_on)


def _run(
    engine: Engine,
    batch: Sequence[_Unread],
    done: int,
    lengths: NDArray[np.int32],
    state: State,
    parents: Ids,
    k: int | None,
) -> State:
    """Read the next `lengths` tokens of each row; padding repeats a row's first token."""
    T = int(lengths.max())
    steps = np.arange(T)
    index = done + steps * (steps < lengths[:, None])
    tokens = np.stack([row.ids[at] for row, at in zip(batch, index, strict=True)])
    if k is None:
        return engine.targets(
            tokens, np.empty((*tokens.shape, 0), np.int64), state, lengths=lengths, parents=parents
        )[1]
    targets = np.stack([row.ids[at + 1] for row, at in zip(batch, index, strict=True)])
    ranked = engine.ranked(
        tokens, targets[:, :, None], state, k=k, lengths=lengths, parents=parents
    )
    for number, (row, n) in enumerate(zip(batch, lengths.tolist(), strict=True)):
        log_probs = ranked.target_log_probs[number, :n, 0]
        engine.check_finite(log_probs)
        row.log_probs.append(log_probs)
        row.top_log_probs.append(ranked.top_log_probs[number, :n])
        row.top_tokens.append(ranked.top_tokens[number, :n])
    return ranked.state
