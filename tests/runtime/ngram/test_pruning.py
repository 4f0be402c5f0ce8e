"""Entropy pruning: the loss of an n-gram measured by leaving it out, and what stays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import OptionError
from lmscore.runtime.ngram import (
    BOS,
    NgramModel,
    count_ngrams,
    entropy_losses,
    estimate,
    pruned_by_entropy,
    read_arpa,
)
from lmscore.runtime.ngram.weights import normalized, selected
from tests.runtime.ngram.golden import DATA

texts = st.lists(st.lists(st.sampled_from("abcd"), max_size=6), min_size=2, max_size=12)


def distribution(model: NgramModel, history: Sequence[int]) -> np.ndarray:
    found = np.exp(model.next_log_probs(np.array(history, np.int64)))
    return np.delete(found, BOS)


@given(texts, st.data())
def test_the_loss_of_an_n_gram_is_that_of_leaving_it_out(
    text: list[list[str]], data: st.DataObject
) -> None:
    model = normalized(estimate(count_ngrams(text, 2), discount_fallback=True))
    losses = entropy_losses(model, 2)
    number = data.draw(st.integers(0, len(losses) - 1))
    kept = [np.ones(len(table), np.bool_) for table in model.tables]
    kept[1][number] = False
    without = normalized(selected(model, kept))
    history = [model.rows(2)[number][0]]
    p, q = distribution(model, history), distribution(without, history)
    before = 2 if history == [BOS] else history[0]  # <s> is as frequent as </s>
    expected = np.exp(model.tables[0].log_probs[before]) * np.sum(p * np.log(p / q))
    assert losses[number] == pytest.approx(expected, rel=1e-3, abs=1e-6)


@given(texts, st.sampled_from([1e-6, 1e-3, 1e-1]))
def test_probabilities_sum_to_1(text: list[list[str]], threshold: float) -> None:
    model = pruned_by_entropy(estimate(count_ngrams(text, 3), discount_fallback=True), threshold)
    for history in [[], *model.rows(1), *model.rows(2)]:
        assert distribution(model, history).sum() == pytest.approx(1, abs=1e-5)


def test_higher_thresholds_leave_out_more() -> None:
    model = read_arpa(DATA / "trigrams.arpa")
    sizes = [
        [len(table) for table in pruned_by_entropy(model, threshold).tables]
        for threshold in (1e-9, 1e-4, 1e-3, 10)
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0][0] == sizes[-1][0] == 73
    assert sizes[-1][1:] == [0, 0]


@pytest.mark.parametrize("threshold", [0, -1, float("nan"), float("inf")])
def test_thresholds(threshold: float) -> None:
    with pytest.raises(OptionError, match="threshold must be above 0"):
        pruned_by_entropy(read_arpa(DATA / "unigrams.arpa"), threshold)
