"""Lists as distributions over texts: equal to sums over all hypotheses."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from lmscore.errors import InputError, OptionError
from lmscore.runtime.rescoring.lists import ListPosteriors, Weights, posterior_scale
from tests.runtime.rescoring.toys import make_list

WEIGHTS = Weights({"score": 1.0})
_text = st.lists(st.sampled_from("abc"), max_size=4).map(" ".join)


@given(st.lists(st.tuples(_text, st.integers(-6, 0)), min_size=1, max_size=6))
def test_the_order_by_risk(rows: list[tuple[str, int]]) -> None:
    texts = [text.split() for text, _ in rows]
    nbest = make_list(*(text for text, _ in rows), score=[float(score) for _, score in rows])
    shares = [math.exp(score / 2) for _, score in rows]
    risks = [
        sum(
            share * Levenshtein.distance(text, other)
            for share, other in zip(shares, texts, strict=True)
        )
        for text in texts
    ]
    order = ListPosteriors(nbest, WEIGHTS, 2.0).ranking()
    assert sorted(order) == list(range(len(rows)))
    found = [risks[place] for place in order]
    assert found == pytest.approx(sorted(found))


def test_words_are_those_that_are_compared() -> None:
    nbest = make_list("a@@ b c", "ab d", score=[0.0, 0.0])
    posteriors = ListPosteriors(nbest, WEIGHTS, spoken=lambda text: text.replace("@@ ", ""))
    assert posteriors.confidences(0) == pytest.approx([1.0, 0.5])


def test_only_the_best_hundred_are_compared() -> None:
    texts = [f"w{i}" for i in range(101)] + ["w0"]
    nbest = make_list(*texts, score=[-float(i) for i in range(102)])
    assert ListPosteriors(nbest, WEIGHTS).ranking()[-2:] == [100, 101]


def test_errors() -> None:
    nbest = make_list("a", score=[-math.inf])
    with pytest.raises(InputError, match=r"^list 'u': no path of a weight above 0"):
        ListPosteriors(nbest, WEIGHTS)
    for scale in (0.0, math.inf):
        with pytest.raises(OptionError, match="the scale must be above 0, not "):
            ListPosteriors(nbest, WEIGHTS, scale)


def test_the_scale_by_default() -> None:
    weights = Weights({"score": 1.0, "rnn": 0.25, "ngram": 0.5, "other": -1.0})
    assert posterior_scale(weights, ["rnn", "ngram"]) == 0.5
    assert posterior_scale(weights, ["other"]) == 1.0
    assert posterior_scale(weights, []) == 1.0
