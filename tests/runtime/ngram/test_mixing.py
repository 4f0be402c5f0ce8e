"""Interpolation: probabilities of n-grams by hand, and sums that are 1."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import OptionError
from lmscore.runtime.ngram import (
    BOS,
    NgramModel,
    count_ngrams,
    estimate,
    interpolated,
    read_arpa,
)
from tests.runtime.ngram.golden import DATA, entries

texts = st.lists(st.lists(st.sampled_from("abcd"), max_size=6), min_size=1, max_size=8)
others = st.lists(st.lists(st.sampled_from("cdef"), max_size=6), min_size=1, max_size=8)


def made_of(text: list[list[str]], order: int) -> NgramModel:
    return estimate(count_ngrams(text, order), discount_fallback=True)


def probability(model: NgramModel, words: tuple[str, ...]) -> float:
    """That of the last word after the others; 0 if the model does not know it."""
    if words[-1] not in model.numbers:
        return 0.0
    ids = np.array([[model.numbers.get(word, 0) for word in words]], np.int32)
    return float(np.exp(model.log_probs_of(ids)[0]))


@given(texts, others, st.integers(1, 3), st.integers(1, 3), st.sampled_from([0.0, 0.3, 1.0]))
def test_every_n_gram_is_interpolated(
    text: list[list[str]], other: list[list[str]], order: int, order_of_other: int, share: float
) -> None:
    models = made_of(text, order), made_of(other, order_of_other)
    mixed = interpolated(models, [share, 1 - share])
    found = entries(mixed)
    assert found.keys() == entries(models[0]).keys() | entries(models[1]).keys()
    for ngram, (log_prob, _) in found.items():
        one, two = (probability(model, ngram) for model in models)
        if ngram != ("<s>",):
            assert np.exp(log_prob) == pytest.approx(share * one + (1 - share) * two, abs=1e-6)
    for history in [[], *mixed.rows(mixed.order)[:, :-1]]:
        sums = np.exp(np.delete(mixed.next_log_probs(np.array(history, np.int64)), BOS)).sum()
        assert sums == pytest.approx(1, abs=1e-5)


def test_a_model_mixed_with_itself_is_itself() -> None:
    model = read_arpa(DATA / "trigrams.arpa")
    mixed = interpolated([model, model], [0.25, 0.75])
    assert mixed.words == model.words
    for table, expected in zip(mixed.tables, model.tables, strict=True):
        assert np.array_equal(table.keys, expected.keys)
        assert table.log_probs[2:] == pytest.approx(expected.log_probs[2:], abs=1e-5)
        assert table.backoffs == pytest.approx(expected.backoffs, abs=1e-4)


@pytest.mark.parametrize(
    ("count", "weights", "message"),
    [
        (0, [], "at least one model"),
        (2, [1.0], "1 weights for a mixture of 2"),
        (2, [0.5, 0.6], "sum to 1.1, not to 1"),
        (2, [-0.5, 1.5], "a weight of a mixture is -0.5"),
        (2, [float("nan"), 1], "a weight of a mixture is nan"),
    ],
)
def test_weights_that_are_wrong(count: int, weights: list[float], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        interpolated([read_arpa(DATA / "unigrams.arpa")] * count, weights)
