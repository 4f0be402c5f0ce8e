"""Histories: the texts of partial paths through a lattice, each read by the model once.

Letters in shapes: B histories that are read in one run, K targets.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import count
from typing import cast
from weakref import WeakValueDictionary

import numpy as np

from lmscore.runtime.engine import Engine, Row, gather
from lmscore.runtime.text import Ids

Tokens = tuple[int, ...]
"""The tokens of a word."""


class History:
    """The text of a partial path; equal histories in use are the same object.

    Attributes:
        number: a unique number.
        wanted: tokens whose log-probabilities will be needed; one reading yields them all.
    """

    __slots__ = (
        "__weakref__",
        "_after",
        "_before",
        "_log_probs",
        "_scores",
        "_token",
        "number",
        "wanted",
    )

    def __init__(self, number: int, token: int, before: Row) -> None:
        self.number = number
        self.wanted: set[int] = set()
        self._token = token  # the last token, which is read when the targets are known
        self._before = before  # the state before it
        self._after: Row | None = None  # the state after it, once it is read
        self._log_probs: dict[int, float] = {}  # of tokens that may follow
        self._scores: dict[Tokens, float] = {}  # of words that may follow


class Histories:
    """All histories of a lattice, and the model that reads them.

    Attributes:
        root: the history of an empty text.
        num_read: the number of tokens that the model has read.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._numbers = count()
        self._known: WeakValueDictionary[tuple[int, Tokens], History] = WeakValueDictionary()
        self.num_read = 0
        bos = engine.config.bos_token_id
        self.root = History(next(self._numbers), bos, Row(engine.initial_state(), 0))

    def extend(self, ways: Sequence[tuple[History, Tokens]]) -> list[tuple[float, History]]:
        """The log-probability of each word (of at least one token), and the history with it.

        Each distinct beginning is read once. All words together take one run for each token of the
        longest word, or more if they do not fit into one.

        Raises:
            ModelError: the model yields nan or inf.
        """
        distinct = sorted(set(ways), key=_by_number)
        known = {way: history for way in distinct if (history := self._find(*way))}
        new = [way for way in distinct if way not in known]
        found = {**known, **dict(zip(new, self._extend(new), strict=True))}
        return [(history._scores[word], found[history, word]) for history, word in ways]

    def _find(self, history: History, word: Tokens) -> History | None:
        return self._known.get((history.number, word)) if word in history._scores else None

    def _extend(self, ways: Sequence[tuple[History, Tokens]]) -> list[History]:
        """Read the words, one token of all of them after another."""
        reached = {(history, word[:0]): history for history, word in ways}
        for depth in range(max((len(word) for _, word in ways), default=0)):
            steps = {(history, word[: depth + 1]) for history, word in ways if len(word) > depth}
            self._read((reached[history, part[:-1]], part[-1]) for history, part in steps)
            for history, part in sorted(steps, key=_by_number):
                after = cast("Row", reached[history, part[:-1]]._after)  # it has been read
                reached[history, part] = History(next(self._numbers), part[-1], after)
        for history, word in ways:
            parts = (reached[history, word[:i]] for i in range(len(word)))
            history._scores[word] = sum(
                part._log_probs[token] for part, token in zip(parts, word, strict=True)
            )
            self._known[history.number, word] = reached[history, word]
        return [reached[way] for way in ways]

    def _read(self, pairs: Iterable[tuple[History, int]]) -> None:
        """Compute the log-probability of each token after its history."""
        missing: dict[History, set[int]] = {}
        for history, token in pairs:
            if token not in history._log_probs:
                missing.setdefault(history, history.wanted).add(token)
        waiting = sorted(missing, key=lambda history: history.number)
        budget = self._engine.target_budget
        for first in range(0, len(waiting), budget):
            self._run(waiting[first : first + budget])

    def _run(self, histories: Sequence[History]) -> None:
        """Read the last token of each history; compute the log-probabilities it wants."""
        targets = [sorted(history.wanted - history._log_probs.keys()) for history in histories]
        state, parents = gather([history._before for history in histories])
        tokens = np.array([[history._token] for history in histories])
        log_probs, after = self._engine.targets(
            tokens, _table(targets)[:, None], state, parents=parents
        )
        self._engine.check_finite(log_probs)
        block = after.on_host()  # since single rows of it will be used
        self.num_read += len(histories)
        for row, (history, wanted) in enumerate(zip(histories, targets, strict=True)):
            found = log_probs[row, 0, : len(wanted)].tolist()
            history._log_probs.update(zip(wanted, found, strict=True))
            history._after = history._after or Row(block, row)
            history.wanted = set()


def _by_number(way: tuple[History, Tokens]) -> tuple[int, Tokens]:
    """A sort key of ways that is the same in every process."""
    return way[0].number, way[1]


def _table(targets: Sequence[Collection[int]]) -> Ids:
    """Rows of tokens as an array, int64 [B, K], padded with zeros."""
    table = np.zeros((len(targets), max(map(len, targets))), np.int64)
    for row, tokens in enumerate(targets):
        table[row, : len(tokens)] = list(tokens)
    return table
