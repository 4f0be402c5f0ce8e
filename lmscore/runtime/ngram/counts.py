"""Count n-grams: sorted on disk, in memory that depends on the n-grams and not on the text.

An n-gram is a context, which is an n-gram of the order below, and a word. So the n-grams of one
order are numbered by sorting the keys context * V + word of all positions of the text; the numbers
are the contexts of the next order.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lmscore.errors import InputError, OptionError
from lmscore.runtime.ngram.model import BOS, CONTROL, EOS, UNK, Ids, Numbers, narrow, unigram_keys

MAX_ORDER = 6
_SENTENCES = 1 << 14  # turned into numbers at a time
_CHUNK = 1 << 24  # tokens sorted at a time: 128 MB of keys


@dataclass(frozen=True)
class CountTable:
    """How often the n-grams of one order occur."""

    keys: Ids  # [M], rising: context * V + word; see `lmscore.runtime.ngram.model.Table`
    counts: Numbers  # [M]

    def between(self, first: int, last: int) -> CountTable:
        """The n-grams with these numbers, the last one left out."""
        return CountTable(self.keys[first:last], self.counts[first:last])


@dataclass(frozen=True)
class NgramCounts:
    """The counts of a text, whose sentences stand between <s> and </s>.

    <s> is a context and never counted itself.
    """

    words: Sequence[str]  # [V], of which the first three are <unk>, <s> and </s>
    tables: tuple[CountTable, ...]


class _Numbers(dict[str, int]):
    """Numbers of words; a new word gets the next number, or <unk>'s if the list is closed."""

    def __init__(self, words: Iterable[str], *, closed: bool) -> None:
        super().__init__((word, number) for number, word in enumerate(words))
        self._closed = closed

    def __missing__(self, word: str) -> int:
        if self._closed:
            return UNK
        self[word] = number = len(self)
        return number


def count_ngrams(
    sentences: Iterable[Sequence[str]],
    order: int,
    *,
    vocabulary: Sequence[str] | None = None,
    directory: Path | None = None,
    chunk: int = _CHUNK,
) -> NgramCounts:
    """Count the n-grams of sentences, up to an order.

    Args:
        sentences: the words of each. A word <s>, </s> or <unk> counts as unknown.
        order: of the longest n-grams, 1 to 6.
        vocabulary: the words that are known; others count as <unk>. Default: all that occur.
        directory: for temporary files, about 12 bytes a token and 16 an n-gram. Default: the
            system's.
        chunk: the tokens that are sorted at a time, at about 40 bytes each.

    Raises:
        OptionError: no such order.
        InputError: there is no sentence, or too many different words and n-grams for 64 bits.
    """
    if not 1 <= order <= MAX_ORDER:
        raise OptionError(f"order must be from 1 to {MAX_ORDER}, not {order}")
    with tempfile.TemporaryDirectory(prefix="lmscore-ngram-", dir=directory) as folder:
        text = Path(folder) / "tokens"
        words = _write_tokens(text, sentences, vocabulary)
        if not text.stat().st_size:
            raise InputError("no sentence to count")
        tokens = np.memmap(text, np.int32, "r")
        return NgramCounts(words, tuple(_count(tokens, len(words), order, Path(folder), chunk)))


def _write_tokens(
    path: Path, sentences: Iterable[Sequence[str]], vocabulary: Sequence[str] | None
) -> list[str]:
    """Write the numbers of all words, <s> and </s> about each sentence; return the vocabulary."""
    given = [word for word in dict.fromkeys(vocabulary or ()) if word not in CONTROL]
    numbers = _Numbers([*CONTROL, *given], closed=vocabulary is not None)
    with path.open("wb") as file:
        for batch in _batches(sentences):
            lengths = np.array([len(sentence) for sentence in batch])
            total = int(lengths.sum())
            found = np.fromiter(
                map(numbers.__getitem__, chain.from_iterable(batch)), np.int32, count=total
            )
            found[(found == BOS) | (found == EOS)] = UNK
            ends = np.cumsum(lengths + 2)
            tokens = np.empty(total + 2 * len(batch), np.int32)
            inside = np.ones(len(tokens), np.bool_)
            inside[ends - 1] = inside[ends - lengths - 2] = False
            tokens[inside], tokens[ends - 1], tokens[ends - lengths - 2] = found, EOS, BOS
            tokens.tofile(file)
    return list(numbers)


def _batches(sentences: Iterable[Sequence[str]]) -> Iterator[list[Sequence[str]]]:
    batch: list[Sequence[str]] = []
    for sentence in sentences:
        batch.append(sentence)
        if len(batch) == _SENTENCES:
            yield batch
            batch = []
    if batch:
        yield batch


def _count(
    tokens: NDArray[np.int32], V: int, order: int, folder: Path, chunk: int
) -> Iterator[CountTable]:
    """Count order after order; the numbers of the n-grams that end at each token are on disk."""
    nodes: NDArray[np.int32] | NDArray[np.int64] = tokens
    spans = [(start, min(start + chunk, len(tokens))) for start in range(0, len(tokens), chunk)]
    counts = np.zeros(V, np.int64)
    for start, end in spans:
        counts += np.bincount(tokens[start:end], minlength=V)
    counts[BOS] = 0
    yield CountTable(unigram_keys(V), counts)
    for n in range(2, order + 1):
        table = _merged(
            [
                _sorted_run(_keys(tokens, nodes, V, span)[0], folder / f"run{n}-{span[0]}")
                for span in spans
            ],
            chunk,
        )
        if len(table.keys) > np.iinfo(np.int64).max // V:
            raise InputError(f"{len(table.keys)} {n}-grams of {V} words are too many to number")
        yield table
        if n < order:
            path = folder / f"nodes{n}"
            with path.open("wb") as file:
                for span in spans:
                    _nodes(table.keys, *_keys(tokens, nodes, V, span)).tofile(file)
            nodes = np.memmap(path, np.int64, "r")


def _keys(
    tokens: NDArray[np.int32], nodes: NDArray[np.int32 | np.int64], V: int, span: tuple[int, int]
) -> tuple[Ids, NDArray[np.bool_]]:
    """The keys of the n-grams that end in a span, and at which of its tokens there is one.

    `nodes` are the n-grams of the order below that end at each token, -1 where there is none. None
    is longer than from <s>, and none ends with it.
    """
    start, end = span
    words = tokens[start:end]
    before = np.empty(len(words), np.int64)
    before[0] = nodes[start - 1] if start else -1
    before[1:] = nodes[start : end - 1]
    there = (before >= 0) & (words != BOS)
    return before[there] * V + words[there], there


def _sorted_run(keys: Ids, path: Path) -> CountTable:
    """Sort and count keys, and keep them on disk."""
    distinct, counts = np.unique(keys, return_counts=True)
    if not len(distinct):  # an empty file cannot be mapped
        return CountTable(distinct, counts)
    np.concatenate([distinct, counts]).tofile(path)
    run = np.memmap(path, np.int64, "r").reshape(2, -1)
    return CountTable(run[0], run[1])


def _merged(runs: list[CountTable], chunk: int) -> CountTable:
    """Add up the counts of sorted runs, one range of keys after another."""
    longest = max((run.keys for run in runs), key=len)
    # Ranges in which the longest run has so many keys that all of them together have a chunk.
    bounds = longest[:: max(1, chunk // len(runs))][1:]
    cuts = [np.array([0, *np.searchsorted(run.keys, bounds), len(run.keys)]) for run in runs]
    parts = [
        _added([run.between(*cut[i : i + 2]) for run, cut in zip(runs, cuts, strict=True)])
        for i in range(len(bounds) + 1)
    ]
    return CountTable(
        np.concatenate([part.keys for part in parts]),
        np.concatenate([narrow(part.counts) for part in parts]),
    )


def _added(runs: list[CountTable]) -> CountTable:
    keys = np.concatenate([run.keys for run in runs])
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], np.concatenate([run.counts for run in runs])[order]
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    return CountTable(keys[first], np.add.reduceat(counts, first) if len(first) else counts)


def _nodes(table: Ids, keys: Ids, there: NDArray[np.bool_]) -> Ids:
    """The numbers of n-grams at every token of a span, -1 where there is none."""
    distinct, inverse = np.unique(keys, return_inverse=True)  # in order, the table is read once
    found = np.full(len(there), -1, np.int64)
    found[there] = np.searchsorted(table, distinct)[inverse]
    return found
