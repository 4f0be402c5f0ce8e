"""The distribution of every token given the tokens on both sides, from two engines.

P(x_i | x_1 .. x_{i-1}, x_{i+1} .. x_n) is proportional to P_f(x_i | <s> x_1 .. x_{i-1}) times
P_b(x_i | <s> x_n .. x_{i+1}), the predictions of a forward and of a backward model, and divided by
P(x_i) where a unigram distribution is given: what both sides say of a word counts P(x_i) twice.
(If the sides are independent given the word, Bayes' rule gives this product exactly.) <s> and </s>
are no tokens of a text: their probability is 0.

Letters in shapes: B rows, T tokens of the longest, n tokens of a row, V vocabulary, k alternatives.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmscore.runtime.engine import Engine, State, Tensor
from lmscore.runtime.text import Ids

_ROWS = 32  # of a batch, at most

_Batch = list[int]  # numbers of rows


@dataclass(frozen=True)
class Conditionals:
    """The measures of the distributions at the n tokens of a row."""

    log_probs: Tensor  # float32 [n], nats, of the tokens that are there
    entropies: Tensor  # float32 [n], nats
    ranks: Ids  # int64 [n]: 1 and the number of likelier tokens
    top_log_probs: Tensor  # float32 [n, k], nats
    top_tokens: Ids  # int64 [n, k], best first

    @classmethod
    def joined(cls, parts: Sequence[Conditionals]) -> Conditionals:
        """Those of several rows, at least one, or of several parts of a row, as one."""
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*(np.concatenate(column) for column in columns))


def conditionals(
    forward: Engine,
    backward: Engine,
    rows: Sequence[Ids],
    *,
    unigram: Tensor | None,
    alternatives: int = 0,
) -> Iterator[tuple[int, Conditionals]]:
    """Measure every token of rows of ids, int64 [n] each; yields the numbers of rows, in any order.

    unigram float32 [V] (nats) is divided out, if it is given. Both engines have the same tokens.

    Raises ModelError if a model yields nan or inf.
    """
    product = _Product(forward, unigram, alternatives)
    budget = min(forward.token_budget, backward.token_budget)
    for batch in _batches(rows, budget):
        chosen = [rows[number] for number in batch]
        pieces = [
            [product.measure(f, b, ids) for f, b, ids in zip(*parts, strict=True)]
            for parts in _predictions(forward, backward, chosen, budget)
        ]
        for number, of_row in zip(batch, zip(*pieces, strict=True), strict=True):
            yield number, Conditionals.joined(of_row)


def _batches(rows: Sequence[Ids], budget: int) -> Iterator[_Batch]:
    """Cut rows, the longest first, into batches of B * T tokens within the budget, or of one."""
    order = sorted(range(len(rows)), key=lambda number: -len(rows[number]))
    first = 0
    while first < len(order):
        T = max(1, len(rows[order[first]]))
        count = max(1, min(_ROWS, budget // T))
        yield order[first : first + count]
        first += count


def _predictions(
    forward: Engine, backward: Engine, rows: Sequence[Ids], budget: int
) -> Iterator[tuple[list[Tensor], list[Tensor], list[Ids]]]:
    """Both models' predictions of each row, float32 [n, V] each, and the ids; a long row in parts.

    Several rows have at most `budget` cells. One row that has more comes in parts of the budget:
    the backward model's states before each part are kept from a first pass.
    """
    T = max(1, *map(len, rows))
    if len(rows) > 1 or budget >= T:
        yield (
            _read(forward, rows),
            _read(backward, [row[::-1] for row in rows], turned=True),
            [*rows],
        )
        return
    (row,) = rows
    cuts = [*range(0, len(row), budget), len(row)]
    parts = [row[start:end] for start, end in itertools.pairwise(cuts)]
    states = _states_before(backward, [part[::-1] for part in reversed(parts)])[::-1]
    state = forward.initial_state()
    for number, part in enumerate(parts):
        before = row[cuts[number] - 1 : cuts[number]]
        after = row[cuts[number + 1] : cuts[number + 1] + 1]
        ahead = _read(forward, [part], state=state, first=before)
        state = forward.state_after(_inputs(forward, part, before), state)
        back = _read(backward, [part[::-1]], state=states[number], first=after, turned=True)
        yield ahead, back, [part]


def _states_before(engine: Engine, parts: Sequence[Ids]) -> list[State]:
    """The state of one row before each part of a text is read."""
    state, last, states = engine.initial_state(), np.empty(0, np.int64), []
    for part in parts:
        states.append(state)
        state = engine.state_after(_inputs(engine, part, last), state)
        last = part[-1:]
    return states


def _inputs(engine: Engine, row: Ids, first: Ids) -> Ids:
    """What a model reads to predict a row: `first`, or <s> if it is empty, and all but the last."""
    begin = first if len(first) else np.array([engine.config.bos_token_id], np.int64)
    return np.concatenate((begin, row[:-1])) if len(row) else row


def _read(
    engine: Engine,
    rows: Sequence[Ids],
    *,
    state: State | None = None,
    first: Ids | None = None,
    turned: bool = False,
) -> list[Tensor]:
    """A model's predictions of each row, float32 [n, V]; `turned`: the last one first."""
    begin = np.empty(0, np.int64) if first is None else first
    lengths = np.array([len(row) for row in rows], np.int32)
    tokens = np.zeros((len(rows), max(1, int(lengths.max()))), np.int64)
    for number, row in enumerate(rows):
        tokens[number, : len(row)] = _inputs(engine, row, begin)
    found = engine.distributions(
        tokens,
        engine.initial_state(len(rows)) if state is None else state,
        lengths=np.maximum(lengths, 1),
    )
    predicted = [
        log_probs[:length]
        for log_probs, length in zip(found.log_probs, lengths.tolist(), strict=True)
    ]
    for log_probs in predicted:
        engine.check_finite(log_probs)
    return [log_probs[::-1] for log_probs in predicted] if turned else predicted


class _Product:
    """The product of two predictions, over the tokens that a text can have."""

    def __init__(self, engine: Engine, unigram: Tensor | None, alternatives: int) -> None:
        self._never = [engine.config.bos_token_id, engine.config.eos_token_id]
        self._unigram, self._k = unigram, alternatives

    def measure(self, forward: Tensor, backward: Tensor, ids: Ids) -> Conditionals:
        """Measure n distributions [n, V] at the tokens int64 [n]."""
        joint = forward + backward
        if self._unigram is not None:
            joint -= self._unigram
        joint[:, self._never] = -np.inf
        joint -= log_sums(joint)[:, None]
        chosen = joint[np.arange(len(ids)), ids]
        terms = np.exp(joint) * np.where(np.isfinite(joint), joint, 0)
        best = np.empty((len(ids), 0), np.int64)
        if self._k:  # sorting the vocabulary takes longer than everything else here
            best = np.argsort(-joint, axis=1, kind="stable")[:, : self._k]
        return Conditionals(
            chosen,
            -terms.sum(axis=1),
            1 + np.count_nonzero(joint > chosen[:, None], axis=1),
            np.take_along_axis(joint, best, axis=1),
            best,
        )


def log_sums(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """The logarithm of the sum of exp(values) over the last axis."""
    largest = values.max(axis=-1, keepdims=True)
    sums = np.log(np.exp(values - largest).sum(axis=-1)) + largest[..., 0]
    return np.asarray(sums, values.dtype)
