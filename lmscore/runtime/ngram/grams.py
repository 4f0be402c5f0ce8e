"""The n-grams of a text as an estimator needs them: with their contexts and suffixes.

Letters in shapes: M n-grams of an order, C contexts (n-grams of the order below).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmscore.runtime.ngram.counts import NgramCounts
from lmscore.runtime.ngram.model import BOS, Doubles, Ids, Numbers, find_keys, narrow, sums


@dataclass(frozen=True)
class Grams:
    """The n-grams of one order, as an estimator needs them."""

    keys: Ids  # [M]
    contexts: Numbers  # [M], numbers of n-grams of the order below
    suffixes: Numbers  # [M], the n-gram without its first word in the order below; -1 for unigrams
    counts: Numbers  # [M], as counted in the text
    extensions: Numbers  # [M], as counted for Kneser-Ney: see `_extended`
    num_contexts: int  # C

    def per_context(self, values: Doubles | Numbers) -> Doubles:
        """The sums of values [M] over the n-grams of each context, float64 [C]."""
        return sums(self.contexts, values, self.num_contexts)


def prepare(counts: NgramCounts) -> list[Grams]:
    """Find the suffix of every n-gram, and how many different words stand before each."""
    V, tables = len(counts.words), counts.tables
    suffixes: list[Numbers] = [np.full(V, -1, np.int64)]
    for n, table in enumerate(tables[1:], 2):
        contexts, words = np.divmod(table.keys, V)
        shorter = suffixes[-1][contexts].astype(np.int64)
        keys = words if n == 2 else shorter * V + words
        suffixes.append(narrow(find_keys(tables[n - 2].keys, keys)))
    begins = np.arange(V) == BOS  # whether the n-gram begins with <s>
    grams = []
    for n, table in enumerate(tables, 1):
        contexts = narrow(table.keys // V if n > 1 else np.zeros(V, np.int64))
        begins = begins[contexts] if n > 1 else begins
        extensions = table.counts
        if n < len(tables):
            extensions = _extended(table.counts, suffixes[n], begins)
        size = len(tables[n - 2].keys) if n > 1 else 1
        grams.append(Grams(table.keys, contexts, suffixes[n - 1], table.counts, extensions, size))
    return grams


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
