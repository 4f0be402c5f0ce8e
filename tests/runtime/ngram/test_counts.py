"""Counting: by hand, in pieces as in one, and what cannot be counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import InputError, OptionError
from lmscore.runtime.ngram import BOS, NgramCounts, count_ngrams
from lmscore.runtime.ngram.model import narrow

words = st.sampled_from(["a", "b", "c", "<s>", "</s>", "<unk>"])
texts = st.lists(st.lists(words, max_size=6), min_size=1, max_size=12)


def counted(counts: NgramCounts) -> dict[tuple[str, ...], int]:
    """The counts by n-grams as words; those of words that do not occur are left out."""
    found: dict[tuple[str, ...], int] = {}
    V, below = len(counts.words), [()]
    for table in counts.tables:
        ngrams = [(*below[key // V], counts.words[key % V]) for key in table.keys.tolist()]
        found |= dict(zip(ngrams, table.counts.tolist(), strict=True))
        below = ngrams
    return {ngram: count for ngram, count in found.items() if count}


@given(texts, st.integers(1, 6), st.integers(1, 20))
def test_counts_are_those_of_a_counter(text: list[list[str]], order: int, chunk: int) -> None:
    expected: Counter[tuple[str, ...]] = Counter()
    for sentence in text:
        known = [word if word in "abc" else "<unk>" for word in sentence]
        tokens = ["<s>", *known, "</s>"]
        for n in range(1, order + 1):
            expected.update(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
    del expected[("<s>",)]
    assert counted(count_ngrams(text, order, chunk=chunk)) == expected


def test_a_closed_vocabulary() -> None:
    counts = count_ngrams([["a", "b", "a"]], 2, vocabulary=["a", "</s>", "z"])
    assert counts.words == ["<unk>", "<s>", "</s>", "a", "z"]
    assert counted(counts)["<unk>", "a"] == 1
    assert counts.tables[0].counts.tolist() == [1, 0, 1, 2, 0]


def test_the_beginning_is_not_counted() -> None:
    assert count_ngrams([[], []], 2).tables[0].counts[BOS] == 0


def test_temporary_files_lie_in_the_directory_and_go(tmp_path: Path) -> None:
    seen: list[Path] = []

    def text() -> Iterator[list[str]]:
        seen.extend(tmp_path.iterdir())
        yield ["a"]

    count_ngrams(text(), 3, directory=tmp_path)
    assert len(seen) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("order", [0, 7])
def test_orders(order: int) -> None:
    with pytest.raises(OptionError, match=f"order must be from 1 to 6, not {order}"):
        count_ngrams([["a"]], order)


def test_no_text() -> None:
    with pytest.raises(InputError, match="no sentence to count"):
        count_ngrams([], 2)


@pytest.mark.parametrize(
    ("largest", "kind"), [(2**31 - 1, np.int32), (2**31, np.int64), (0, np.int32)]
)
def test_numbers_have_32_bits_where_they_fit(largest: int, kind: type) -> None:
    values = np.array([-1, 0, largest])
    found = narrow(values)
    assert found.dtype == kind
    assert found.tolist() == values.tolist()
    assert narrow(values[:0]).dtype == np.int32
