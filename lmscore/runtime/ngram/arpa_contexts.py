"""N-grams that a file leaves out although longer ones begin with them, as pruned models may."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmscore.runtime.ngram.model import Ids, NgramModel, Table, find_keys


def with_contexts(
    words: Sequence[str], tables: Sequence[Table], rows: Ids
) -> tuple[list[Table], Ids]:
    """Tables of orders 1 to n with the n-grams of some rows added, as far as they are missing.

    An n-gram that is added has the probability that the model gives it by backing off, and a
    back-off weight of 1: no probability changes.

    Args:
        words: the vocabulary.
        tables: one for each order, 1 to n.
        rows: the words of the n-grams, int64 [M, n].

    Returns:
        The tables, and for each n-gram of order n that was there its new number.
    """
    V, tables = len(words), list(tables)
    rows = np.unique(rows, axis=0)
    if len(tables) > 2:
        tables[:-1], moved = with_contexts(words, tables[:-1], rows[:, :-1])
        last = tables[-1]
        tables[-1] = Table(renumbered(last.keys, moved, V), last.log_probs, last.backoffs)
    table = tables[-1]
    keys = _numbers(tables[:-1], rows[:, :-1], V) * V + rows[:, -1]
    new = find_keys(table.keys, keys) < 0
    log_probs = NgramModel(words, tuple(tables)).log_probs_of(rows[new].astype(np.int32))
    merged = np.concatenate([table.keys, keys[new]])
    ascending = np.argsort(merged, kind="stable")
    tables[-1] = Table(
        merged[ascending],
        np.concatenate([table.log_probs, log_probs.astype(np.float32)])[ascending],
        np.concatenate([table.backoffs, np.zeros(int(new.sum()), np.float32)])[ascending],
    )
    return tables, np.searchsorted(tables[-1].keys, table.keys)


def renumbered(keys: Ids, moved: Ids, V: int) -> Ids:
    """The keys of n-grams whose contexts have new numbers; V is the size of the vocabulary."""
    contexts, words = np.divmod(keys, V)
    return moved[contexts] * V + words


def _numbers(tables: Sequence[Table], rows: Ids, V: int) -> Ids:
    """The numbers of n-grams that are all there, given their words [M, n]."""
    nodes = rows[:, 0]
    for table, column in zip(tables[1:], rows.T[1:], strict=True):
        nodes = table.find(nodes * V + column)
    return nodes
