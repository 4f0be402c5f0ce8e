"""The n-grams of a text as an estimator needs them: with their contexts and suffixes.

Letters in shapes: M n-grams of an order, C contexts (n-grams of the order below).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmscore.runtime.ngram.counts import NgramCounts
from lmscore.runtime.ngram.model import (
    BOS,
    Doubles,
    Ids,
    Numbers,
    blocks,
    find_keys,
    narrow,
    sums,
)


@dataclass(frozen=True)
class Grams:
    """The n-grams of one order, as an estimator needs them."""

    keys: Ids  # [M]
    suffixes: Numbers  # [M], the n-gram without its first word in the order below; -1 for unigrams
    counts: Numbers  # [M], as counted in the text
    extensions: Numbers  # [M], as counted for Kneser-Ney: see `_extended`
    num_contexts: int  # C
    num_words: int  # V

    @property
    def contexts(self) -> Ids:
        """The numbers of the contexts in the order below, rising, int64 [M]; computed anew."""
        return self.contexts_of(slice(None))

    def contexts_of(self, part: slice) -> Ids:
        """The same of a part of the n-grams."""
        contexts: Ids = self.keys[part] // self.num_words
        return contexts

    def per_context(self, values: Callable[[slice], Doubles | Numbers]) -> Doubles:
        """The sums of values over the n-grams of each context, float64 [C].

        `values` gives those of a part of the n-grams.
        """
        found = np.zeros(self.num_contexts)
        for part in blocks(len(self.keys)):
            contexts = self.contexts_of(part)
            first, last = contexts[0], contexts[-1] + 1
            found[first:last] += sums(contexts - first, values(part), last - first)
        return found


def prepare(counts: NgramCounts) -> list[Grams]:
    """Find the suffix of every n-gram, and how many different words stand before each."""
    V, tables = len(counts.words), counts.tables
    suffixes: list[Numbers] = [np.full(V, -1, np.int64)]
    for table, below in zip(tables[1:], tables, strict=False):
        suffixes.append(_suffixes(table.keys, below.keys, suffixes[-1], V))
    begins = np.arange(V) == BOS  # whether the n-gram begins with <s>
    grams = []
    for n, table in enumerate(tables, 1):
        begins = begins[table.keys // V] if n > 1 else begins
        extensions = table.counts
        if n < len(tables):
            extensions = _extended(table.counts, suffixes[n], begins)
        size = len(tables[n - 2].keys) if n > 1 else 1
        grams.append(Grams(table.keys, suffixes[n - 1], table.counts, extensions, size, V))
    return grams


def _suffixes(keys: Ids, below: Ids, suffixes: Numbers, V: int) -> Numbers:
    """The n-grams without their first words, as numbers in the order below.

    Args:
        keys: of the n-grams [M].
        below: the keys of the order below.
        suffixes: those of the order below; those of unigrams, -1, stand for the empty n-gram.
        V: the number of words.
    """
    fits = len(below) <= np.iinfo(np.int32).max
    found: Numbers = np.empty(len(keys), np.int32) if fits else np.empty(len(keys), np.int64)
    for part in blocks(len(keys)):
        contexts, words = np.divmod(keys[part], V)
        shorter = np.maximum(suffixes[contexts], 0).astype(np.int64)
        found[part] = find_keys(below, shorter * V + words)
    return found


def _extended(counts: Numbers, suffixes: Numbers, begins: NDArray[np.bool_]) -> Numbers:
    """The number of different words before each n-gram; the count itself, if it begins with <s>.

    `suffixes` are those of the n-grams of the order above.
    """
    different = np.bincount(suffixes, minlength=len(counts))
    return narrow(np.where(begins, counts, different))


def observed_extensions(grams: list[Grams]) -> list[Numbers]:
    """The extensions of each order from which Kneser-Ney discounts are found.

    KenLM's lmplz takes the plain count of one n-gram in each order but the highest: the last one,
    if n-grams are sorted by their last words, then by the words before those. It is the same here,
    so that models are equal.
    """
    found = [gram.extensions for gram in grams]
    ends = np.flatnonzero(grams[0].counts)[-1:]  # the last word that occurs
    for n, gram in enumerate(grams[:-1]):
        if n:
            ends = np.flatnonzero(gram.suffixes == ends)[-1:]
        if not len(ends):  # the n-gram below begins with <s>
            break
        found[n] = gram.extensions.copy()
        found[n][ends] = gram.counts[ends]
    return found
