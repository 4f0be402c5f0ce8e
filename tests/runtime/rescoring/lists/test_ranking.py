"""Default weights, ranking, and what it changes."""

from __future__ import annotations

import pytest

from lmscore.errors import InputError
from lmscore.runtime.rescoring.lists.metrics import METRICS
from lmscore.runtime.rescoring.lists.ranking import Gain, default_weights, ranking
from lmscore.runtime.rescoring.lists.weights import Weights
from tests.runtime.rescoring.toys import make_list


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        ("total", {"total": 1.0, "lm": 0.5}),
        (None, {"ac": 1.0, "total": 1.0, "lm": 0.5}),
        ("elsewhere", {"rank": 1.0, "lm": 0.5}),
        (("elsewhere", "ac"), {"ac": 1.0, "lm": 0.5}),
    ],
)
def test_default_weights(score: str | tuple[str, ...] | None, expected: dict[str, float]) -> None:
    nbest = make_list("x", ac=[-1.0], total=[-2.0])
    assert default_weights(nbest, score, ["lm"]) == Weights(expected)


def test_the_order_counts_where_nothing_else_does() -> None:
    plain, scored = make_list("x"), make_list("x", am=[-1.0])
    assert default_weights(plain, None, ["lm"]) == Weights({"rank": 1.0, "lm": 0.5})
    assert default_weights(scored, "score", ["lm"], given={"am*words": 2.0}) == Weights(
        {"lm": 0.5, "am*words": 2.0}
    )
    assert default_weights(plain, "score", ["lm"], given={"rank": 0.1}) == Weights(
        {"lm": 0.5, "rank": 0.1}
    )


def test_weights_in_place_of_the_default_ones() -> None:
    nbest = make_list("x", total=[-2.0])
    given = {"total": 0.2, "rank": 3.0, "b": 0.0}
    found = default_weights(
        nbest,
        "total",
        ["a", "b"],
        lm_weight=0.7,
        word_penalty=-1.0,
        length_normalization=0.5,
        given=given,
    )
    assert found == Weights({"total": 0.2, "a": 0.7, "b": 0.0, "rank": 3.0}, -1.0, 0.5)
    assert default_weights(None, None, ["a"]) == Weights({"a": 0.5})


def test_ranking() -> None:
    nbest = make_list("a", "b", "c", "d", am=[-2.0, float("-inf"), -1.0, -2.0])
    assert ranking(nbest, Weights({"am": 1.0})) == [2, 0, 3, 1]
    assert ranking(nbest, Weights({"am": 0.0}, word_penalty=0.0)) == [0, 1, 2, 3]
    assert ranking(make_list(), Weights({"am": 1.0})) == []


def test_gain() -> None:
    nbest = make_list("a", "b", "a")  # the last says the same as the first
    gain = Gain.of(nbest, 1) + Gain.of(nbest, 2) + Gain.of(make_list("a"), 0)
    gain += Gain.of(make_list(), None)
    assert (gain.lists, gain.empty, gain.changed) == (4, 1, 1)
    assert gain.statistics is None


def test_gain_by_a_metric() -> None:
    pytest.importorskip("rapidfuzz")
    wer = METRICS["wer"]
    assert Gain().values(wer) is None
    gain = Gain.of(make_list("the cat", "the dog", reference="the dog"), 1, wer)
    gain += Gain.of(make_list(reference="so long"), None, wer)  # deletes both words
    assert gain.values(wer) == (75.0, 50.0)
    with pytest.raises(InputError, match="list 'u' has no reference"):
        Gain.of(make_list("the cat"), 0, wer)
