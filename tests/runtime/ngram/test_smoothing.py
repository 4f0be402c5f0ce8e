"""Estimated models: known answers by hand and from lmplz, and sums that are 1."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import InputError, OptionError
from lmscore.names import Smoothing
from lmscore.runtime.ngram import (
    BOS,
    LN10,
    SMOOTHINGS,
    NgramModel,
    count_ngrams,
    estimate,
    read_arpa,
)
from tests.runtime.ngram.golden import DATA, entries, sentences

# <s> a b </s>, twice, and <s> a c </s>.
TEXT = [["a", "b"], ["a", "c"], ["a", "b"]]


def probability(model: NgramModel, *words: str) -> float:
    """That of the last word after the others."""
    numbers = [model.numbers[word] for word in words]
    return exp(model.next_log_probs(np.array(numbers[:-1], np.int64))[numbers[-1]])


@pytest.mark.parametrize(
    ("name", "order", "prune"),
    [("unigrams", 1, []), ("trigrams", 3, []), ("pruned", 5, [0, 1])],
)
def test_kneser_ney_is_that_of_lmplz(name: str, order: int, prune: list[int]) -> None:
    counts = count_ngrams(sentences(), order)
    found = entries(estimate(counts, prune=prune, discount_fallback=bool(prune)))
    expected = entries(read_arpa(DATA / f"{name}.arpa"))
    assert found.keys() == expected.keys()
    for ngram, weights in expected.items():
        if ngram != ("<s>",):  # which is never predicted: lmplz itself writes 0 here, others -99
            assert found[ngram][0] / LN10 == pytest.approx(weights[0] / LN10, abs=1e-5), ngram
        assert found[ngram][1] / LN10 == pytest.approx(weights[1] / LN10, abs=1e-5), ngram


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_parts_of_arrays_make_the_whole(
    smoothing: Smoothing, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = count_ngrams(sentences(), 3)
    whole = estimate(counts, smoothing, discount_fallback=True)
    monkeypatch.setattr("lmscore.runtime.ngram.model._BLOCK", 100)
    parts = estimate(counts, smoothing, discount_fallback=True)
    for found, expected in zip(parts.tables, whole.tables, strict=True):
        np.testing.assert_array_equal(found.keys, expected.keys)
        np.testing.assert_allclose(found.log_probs, expected.log_probs, atol=1e-6)
        np.testing.assert_allclose(found.backoffs, expected.backoffs, atol=1e-6)


def test_relative_frequencies_by_hand() -> None:
    model = estimate(count_ngrams(TEXT, 2), "mle")
    assert probability(model, "<s>", "a") == pytest.approx(1)
    assert probability(model, "a", "b") == pytest.approx(2 / 3)
    assert probability(model, "a", "a") == pytest.approx(0)
    assert probability(model, "b") == pytest.approx(2 / 9)
    assert probability(model, "<unk>") == pytest.approx(0)


def test_add_k_by_hand() -> None:
    model = estimate(count_ngrams(TEXT, 2), "add-k", k=0.5)
    V = 5  # <unk>, </s>, a, b, c
    assert probability(model, "a", "b") == pytest.approx(2.5 / (3 + 0.5 * V))
    assert probability(model, "a", "<unk>") == pytest.approx(0.5 / (3 + 0.5 * V))
    assert probability(model, "<unk>", "a") == pytest.approx(1 / V)


def test_add_k_of_unigrams_by_hand() -> None:
    model = estimate(count_ngrams(TEXT, 1), "add-k", k=1)
    assert probability(model, "a") == pytest.approx((3 + 1) / (9 + 5))


def test_absolute_discounting_by_hand() -> None:
    # Unigrams: a and </s> 3, b 2, c 1. Bigrams: a b, b </s> 2, a c, c </s> 1, <s> a 3.
    model = estimate(count_ngrams(TEXT, 2), "absolute")
    d1, d2 = 1 / (1 + 2 * 1), 2 / (2 + 2 * 2)
    unigram_left = 4 * d1 / 9
    b = (2 - d1) / 9 + unigram_left / 5
    assert probability(model, "b") == pytest.approx(b)
    assert probability(model, "<unk>") == pytest.approx(unigram_left / 5)
    assert probability(model, "a", "b") == pytest.approx((2 - d2) / 3 + 2 * d2 / 3 * b)
    assert probability(model, "a", "<unk>") == pytest.approx(2 * d2 / 3 * unigram_left / 5)


def test_good_turing_discounts_by_hand() -> None:
    # Each word that is counted once stands alone in a sentence; n1 = 4, n2 = 1.
    text = [["a"], ["b"], ["c"], ["d"], ["e"], ["e"]]
    model = estimate(count_ngrams(text, 1), "katz")
    # r* / r of r = 1 with k = 1: (2 n2 / n1 - 2 n2 / n1) / (1 - 2 n2 / n1) is 0, no discount:
    # one more is counted instead, so that <unk> has a probability.
    assert probability(model, "a") == pytest.approx(1 / 13)
    assert probability(model, "<unk>") == pytest.approx(1 / 13)


texts = st.lists(st.lists(st.sampled_from("abcdef"), max_size=6), min_size=1, max_size=12)


@given(texts, st.sampled_from(SMOOTHINGS), st.integers(1, 4), st.sampled_from([(), (0, 1), (1, 2)]))
def test_probabilities_sum_to_1_after_every_history(
    text: Sequence[Sequence[str]], smoothing: Smoothing, order: int, prune: tuple[int, ...]
) -> None:
    prune = prune[:order] if smoothing not in ("add-k", "mle") else ()
    counts = count_ngrams([*text, ["a", "b"]], order)
    model = estimate(counts, smoothing, prune=prune, discount_fallback=True)
    histories = [row for n in range(1, order) for row in model.rows(n)]
    for history in [np.array([], np.int64), np.array([3, 3, 3, 3]), *histories]:
        found = np.exp(model.next_log_probs(history.astype(np.int64)))
        assert np.delete(found, BOS).sum() == pytest.approx(1, abs=1e-5), history


@given(texts)
def test_a_word_that_is_pruned_is_unknown(text: list[list[str]]) -> None:
    counts = count_ngrams([*text, ["a", "a", "rare"]], 2)
    model = estimate(counts, prune=[1], discount_fallback=True)
    assert "rare" not in model.numbers
    assert model.words[:3] == ["<unk>", "<s>", "</s>"]


@pytest.mark.parametrize("smoothing", ["kneser-ney", "absolute"])
def test_texts_that_give_no_discounts(smoothing: Smoothing) -> None:
    counts = count_ngrams([["a"]], 1)
    with pytest.raises(InputError, match="counts of the 1-grams give no discounts"):
        estimate(counts, smoothing)
    assert estimate(counts, smoothing, discount_fallback=True).vocab_size == 4


@pytest.mark.parametrize(
    ("smoothing", "options", "message"),
    [
        ("witten-bell", {}, "smoothing must be one of kneser-ney, absolute, katz, add-k, mle"),
        ("add-k", {"k": 0.0}, "k must be above 0, not 0"),
        ("add-k", {"k": float("nan")}, "k must be above 0"),
        ("mle", {"prune": [1]}, "'mle' prunes nothing"),
        ("katz", {"prune": [1, 0]}, "must be 0 or more, and not fall"),
        ("katz", {"prune": [-1]}, "must be 0 or more, and not fall"),
        ("katz", {"prune": [0, 0, 1]}, "3 thresholds to prune 2 orders"),
    ],
)
def test_options_that_are_wrong(
    smoothing: Smoothing, options: dict[str, float], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        estimate(count_ngrams(TEXT, 2), smoothing, **options)  # type: ignore[arg-type]


def test_log_probabilities_of_0_are_those_of_arpa_files() -> None:
    model = estimate(count_ngrams(TEXT, 1), "mle")
    assert model.tables[0].log_probs[0] == pytest.approx(-99 * log(10))
