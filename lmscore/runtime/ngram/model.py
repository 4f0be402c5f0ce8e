"""Back-off n-gram models as sorted arrays, in which whole texts are looked up at once.

Letters in shapes: N tokens of a text, M n-grams of one order, V words of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmscore.forks import lazy

Ids = NDArray[np.int64]
Numbers = NDArray[np.int64] | NDArray[np.int32]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

UNK, BOS, EOS = 0, 1, 2
"""The numbers of <unk>, <s> and </s> in every vocabulary."""

_BLOCK = 1 << 22  # n-grams that temporary arrays are of: 32 MB in 64 bits

CONTROL = ("<unk>", "<s>", "</s>")

LN10 = float(np.log(10.0))
IMPOSSIBLE = -99.0 * LN10
"""The log-probability (nats) that stands for a probability of 0 in ARPA files."""


@dataclass(frozen=True)
class Table:
    """The n-grams of one order: a context, which is an n-gram of the order below, and a word.

    They are sorted by their keys, context * V + word. The only context of a unigram is 0, so that
    the number of a unigram is the number of its word.
    """

    keys: Ids  # [M], rising
    log_probs: Floats  # [M], nats
    backoffs: Floats  # [M], nats; 0 in the highest order

    def __len__(self) -> int:
        return len(self.keys)

    def find(self, keys: Ids) -> Ids:
        """The numbers of the n-grams with these keys, -1 where there is none."""
        return find_keys(self.keys, keys)


def narrow(values: Numbers) -> Numbers:
    """The same whole numbers of 0 and more in 32 bits, if they fit: most of a model is numbers."""
    fits = not len(values) or values.max() <= np.iinfo(np.int32).max
    return values.astype(np.int32) if fits else values


def find_keys(table: Ids, keys: Ids) -> Ids:
    """The places of `keys` in a rising `table`, -1 where a key is not in it."""
    if not len(table):
        return np.full(len(keys), -1, np.int64)
    places = np.minimum(np.searchsorted(table, keys), len(table) - 1)
    return np.where(table[places] == keys, places, -1)


@dataclass(frozen=True)
class NgramModel:
    """A back-off model (Katz 1987).

    Log P(w | h) is that of the n-gram h w, or else backoff(h) + log P(w | h without its first
    word).

    Attributes:
        words: the vocabulary; its first three are <unk>, <s> and </s>.
        tables: the n-grams of order 1, 2, ...
        has_unknown: whether the model itself has a probability for <unk>.
    """

    words: Sequence[str]  # [V]
    tables: tuple[Table, ...]
    has_unknown: bool = True

    @property
    def order(self) -> int:
        """The longest n-gram has so many words."""
        return len(self.tables)

    @property
    def vocab_size(self) -> int:
        """V, <unk>, <s> and </s> included."""
        return len(self.words)

    @lazy
    def numbers(self) -> dict[str, int]:
        """The number of every word."""
        return {word: number for number, word in enumerate(self.words)}

    def encode(self, words: Sequence[str]) -> Ids:
        """The numbers of words, int64 [N]; a word that is not in the vocabulary is <unk>.

        <s> and </s> are words of a text like any other, and unknown.
        """
        found = np.fromiter(
            (self.numbers.get(word, UNK) for word in words), np.int64, count=len(words)
        )
        found[(found == BOS) | (found == EOS)] = UNK
        return found

    def log_probs(self, tokens: Ids, starts: NDArray[np.bool_]) -> Doubles:
        """The log-probability (nats) of each of N tokens, given those before it.

        `starts` marks the tokens before which nothing is known: where a sentence begins with <s>,
        it is the <s>, whose log-probability means nothing.
        """
        contexts = []
        nodes = tokens
        for table in self.tables[1:]:
            before = np.roll(nodes, 1)
            before[starts] = -1
            contexts.append(before)
            nodes = self._children(table, before, tokens)
        return self.log_probs_after(contexts, tokens)

    def suffixes(self, tokens: Ids) -> list[Ids]:
        """The n-grams of 1, 2, ..., order - 1 words that end at each token of [B, T], as numbers.

        -1 stands for a token where nothing was, and for an n-gram that is not in the model.
        """
        found = []
        for table in [None, *self.tables[1:-1]][: self.order - 1]:
            if table is None:
                found.append(tokens)
                continue
            before = np.full(tokens.shape, -1, np.int64)
            before[:, 1:] = found[-1][:, :-1]
            before[tokens < 0] = -1
            nodes = self._children(table, before.reshape(-1), tokens.reshape(-1))
            found.append(nodes.reshape(tokens.shape))
        return found

    def log_probs_after(self, contexts: Sequence[Ids], words: Ids) -> Doubles:
        """The log-probability (nats) of M words, each after contexts of 1, 2, ... words [M].

        A context is the number of an n-gram, -1 where there is none.
        """
        found = self.tables[0].log_probs[words].astype(np.float64)
        for before, below, table in zip(contexts, self.tables, self.tables[1:], strict=False):
            # An unknown context has no back-off weight, and no longer n-gram.
            there = np.flatnonzero(before >= 0)
            found[there] += below.backoffs[before[there]]
            nodes = self._children(table, before, words)
            known = nodes >= 0
            found[known] = table.log_probs[nodes[known]]
        return found

    def distributions_after(self, contexts: Sequence[Ids], count: int) -> Floats:
        """The log-probabilities (nats) of all V words after `count` contexts, float32 [count, V].

        Contexts are as in `log_probs_after`, and so are the sums, to the last bit: a word is as
        likely as itself. <s> never comes.
        """
        found = np.tile(self.tables[0].log_probs.astype(np.float64), (count, 1))
        for before, below, table in zip(contexts, self.tables, self.tables[1:], strict=False):
            known = np.flatnonzero(before >= 0)
            found[known] += below.backoffs[before[known], None]
            first, last = np.searchsorted(
                table.keys, [before[known] * self.vocab_size, (before[known] + 1) * self.vocab_size]
            )
            counts = last - first
            rows = np.repeat(known, counts)
            numbers = np.arange(counts.sum()) + np.repeat(
                first - (np.cumsum(counts) - counts), counts
            )
            found[rows, table.keys[numbers] % self.vocab_size] = table.log_probs[numbers]
        found[:, BOS] = IMPOSSIBLE
        return found.astype(np.float32)

    def next_log_probs(self, history: Ids) -> Doubles:
        """The log-probabilities (nats) of all V words after the words of a history [n]."""
        found = self.tables[0].log_probs.astype(np.float64)
        suffixes = [
            history[len(history) - n :] for n in range(1, min(self.order, len(history) + 1))
        ]
        for n, suffix in enumerate(suffixes, 1):
            context = self.number_of(suffix)
            if context < 0:
                break
            found += self.tables[n - 1].backoffs[context]
            words, log_probs = self.followers(n + 1, context)
            found[words] = log_probs
        return found

    def number_of(self, ngram: Ids) -> int:
        """The number of an n-gram in the table of its order, -1 if it is not there."""
        node = int(ngram[0])
        for table, word in zip(self.tables[1:], ngram[1:].tolist(), strict=False):
            if node < 0:
                break
            node = int(table.find(np.array([node * self.vocab_size + word]))[0])
        return node

    def followers(self, order: int, context: int) -> tuple[Ids, Floats]:
        """The words that n-grams of an order have after a context, and their log-probabilities."""
        table, V = self.tables[order - 1], self.vocab_size
        first, last = np.searchsorted(table.keys, [context * V, (context + 1) * V])
        return table.keys[first:last] % V, table.log_probs[first:last]

    def rows(self, order: int) -> NDArray[np.int32]:
        """The words of every n-gram of an order, int32 [M, order]."""
        V, numbers = self.vocab_size, np.arange(len(self.tables[order - 1]))
        found = np.empty((len(numbers), order), np.int32)
        for column in range(order - 1, 0, -1):
            numbers, found[:, column] = np.divmod(self.tables[column].keys[numbers], V)
        found[:, 0] = numbers
        return found

    def log_probs_of(self, rows: NDArray[np.int32]) -> Doubles:
        """Look up log P(last word | the others) (nats) of M rows of n words, int [M, n]."""
        flat = rows.astype(np.int64)
        return self.log_probs_after(self._suffix_nodes(flat[:, :-1]), flat[:, -1])

    def _suffix_nodes(self, rows: Ids) -> list[Ids]:
        """The n-grams of 1, 2, ... words that end the rows [M, n], as numbers in their tables."""
        found = []
        for length in range(1, min(rows.shape[1], self.order - 1) + 1):
            columns = rows[:, rows.shape[1] - length :].T
            nodes = columns[0]
            for table, column in zip(self.tables[1:], columns[1:], strict=False):
                nodes = self._children(table, nodes, column)
            found.append(nodes)
        return found

    def _children(self, table: Table, contexts: Ids, words: Ids) -> Ids:
        """The n-grams context + word in the table, -1 where there is none or no context (-1)."""
        found = np.full(len(words), -1, np.int64)
        known = np.flatnonzero(contexts >= 0)
        found[known] = table.find(contexts[known] * self.vocab_size + words[known])
        return found


def blocks(count: int) -> Iterator[slice]:
    """Parts of arrays of `count` n-grams, so that temporary arrays are of one part at a time."""
    return (slice(start, min(start + _BLOCK, count)) for start in range(0, count, _BLOCK))


def unigram_keys(count: int) -> Ids:
    """The keys of `count` unigrams."""
    return np.arange(count, dtype=np.int64)


def sums(places: Numbers, values: Doubles | Numbers, count: int) -> Doubles:
    """The sums of values [M] at `count` places; `places` [M] says which value goes where."""
    return np.bincount(places, values, count).astype(np.float64, copy=False)
