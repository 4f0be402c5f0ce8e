"""Tables of a model put together: n-grams left out, back-off weights that make it sum to 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lmscore.runtime.ngram.model import (
    IMPOSSIBLE,
    Doubles,
    Floats,
    NgramModel,
    Table,
    blocks,
    sums,
)

_TINY = 1e-12  # less than this is the rounding of a sum that should be 0


def logarithms(probabilities: Doubles) -> Floats:
    """Natural logarithms, at most 0; that of 0 is the ARPA files' -99 (base 10)."""
    found = np.empty(len(probabilities), np.float32)
    with np.errstate(divide="ignore"):
        for part in blocks(len(probabilities)):
            found[part] = np.clip(np.log(probabilities[part]), IMPOSSIBLE, None)
    return found


def selected(model: NgramModel, kept: Sequence[NDArray[np.bool_]]) -> NgramModel:
    """The model with the n-grams of each order that `kept` marks, whose contexts are all kept."""
    if all(keep.all() for keep in kept):
        return model
    V, words = model.vocab_size, np.flatnonzero(kept[0])
    new_words = np.cumsum(kept[0]) - 1
    new_contexts, tables = new_words, []
    for n, (table, keep) in enumerate(zip(model.tables, kept, strict=True), 1):
        numbers = np.flatnonzero(keep)
        contexts, last = np.divmod(table.keys[numbers], V)
        keys = new_contexts[contexts] * len(words) + new_words[last]
        if n == 1:
            keys = np.arange(len(words))
        else:
            new_contexts = np.cumsum(keep) - 1
        tables.append(Table(keys, table.log_probs[numbers], table.backoffs[numbers]))
    chosen = [model.words[number] for number in words.tolist()]
    return replace(model, words=chosen, tables=tuple(tables))


def normalized(model: NgramModel) -> NgramModel:
    """The same probabilities with back-off weights that make those of all words sum to 1.

    backoff(h) = (1 - sum of P(w | h)) / (1 - sum of P(w | h without its first word)), each over the
    words w that have an n-gram h w.
    """
    tables = list(model.tables)
    for n in range(1, model.order):
        above = tables[n]
        # The orders up to n - 1 have their weights already, and P(w | shorter h) needs no others.
        lower = replace(model, tables=tuple(tables[:n]))
        below = lower.log_probs_of(model.rows(n + 1)[:, 1:])
        left, free = unseen(above, below, len(tables[n - 1]), model.vocab_size)
        tables[n - 1] = replace(tables[n - 1], backoffs=weights(left, free))
    highest = np.zeros(len(tables[-1]), np.float32)
    tables[-1] = replace(tables[-1], backoffs=highest)
    return replace(model, tables=tuple(tables))


def unseen(table: Table, below: Doubles, count: int, V: int) -> tuple[Doubles, Doubles]:
    """What the n-grams of a table leave in each of `count` contexts, and in the order below.

    `below` are their log-probabilities (nats) without their first word.
    """
    contexts = table.keys // V
    left = 1 - sums(contexts, np.exp(table.log_probs.astype(np.float64)), count)
    return left, 1 - sums(contexts, np.exp(below), count)


def weights(left: Doubles, free: Doubles) -> Floats:
    """The back-off weights (nats) of contexts that have `left` for words of which `free` is."""
    left, free = np.maximum(left, 0), np.maximum(free, 0)
    ratio = np.divide(left, free, out=np.ones(len(left)), where=free > _TINY)
    return logarithms(ratio)
