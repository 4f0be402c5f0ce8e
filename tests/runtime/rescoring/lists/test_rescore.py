"""Scores into lists, default weights, and what ranking changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import InputError, OptionError
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.lists.metrics import METRICS
from lmscore.runtime.rescoring.lists.nbest import Hypothesis, NBestList
from lmscore.runtime.rescoring.lists.rescore import (
    Gain,
    Totals,
    add_scores,
    default_weights,
    peek,
    ranking,
)
from lmscore.runtime.rescoring.lists.weights import Weights
from lmscore.runtime.rescoring.models import list_windows
from lmscore.runtime.rescoring.models.list_scorer import RecurrentScorer
from lmscore.runtime.scoring.score import Score


def make_list(
    *texts: str, key: str = "u", reference: str | None = None, **features: Sequence[float]
) -> NBestList:
    hypotheses = (
        Hypothesis(text, {name: values[i] for name, values in features.items()})
        for i, text in enumerate(texts)
    )
    return NBestList(key, tuple(hypotheses), reference)


@dataclass
class Lengths:
    """A scorer: minus the characters; it reads lists some at a time."""

    name: str
    ahead: int = 1
    seen: list[str] = field(default_factory=list)

    def score_lists(self, lists: Iterable[Sequence[str]]) -> Iterator[list[Score]]:
        held = []
        for texts in lists:
            self.seen += texts
            held.append([Score(t, -float(len(t)), 1, len(t.split()), 0, 0.0) for t in texts])
            if len(held) == self.ahead:
                yield from held
                held.clear()
        yield from held


TEXTS = st.sampled_from(["the", "the cat", "a dog sat", "", "zebra"])


@given(st.lists(st.lists(TEXTS, max_size=4), max_size=9), st.integers(1, 4), st.integers(1, 4))
def test_lists_stay_in_order_whatever_is_read_ahead(
    texts: list[list[str]], one: int, other: int
) -> None:
    lists = [make_list(*some, key=str(i)) for i, some in enumerate(texts)]
    totals = Totals()
    found = list(add_scores(lists, [Lengths("a", one), Lengths("b", other)], totals=totals))
    assert [nbest.id for nbest in found] == [nbest.id for nbest in lists]
    for nbest, some in zip(found, texts, strict=True):
        assert [h.text for h in nbest.hypotheses] == some
        lengths = [-len(text) for text in some]
        assert [dict(h.features) for h in nbest.hypotheses] == [
            {"a": length, "b": length} for length in lengths
        ]
    every = [text for some in texts for text in some]
    assert (totals.lists, totals.hypotheses) == (len(texts), len(every))
    assert totals.words == sum(len(text.split()) for text in every)
    assert totals.tokens == 2 * len(every)


def test_memory_is_bounded(lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more lists are read than the scorer looks ahead."""
    monkeypatch.setattr(list_windows, "_HYPOTHESES", 10)
    read = 0

    def lists() -> Iterator[NBestList]:
        nonlocal read
        for read in range(1, 1001):
            yield make_list("the cat", "the dog", key=str(read))

    for done, _ in enumerate(
        add_scores(lists(), [RecurrentScorer("a", lm), RecurrentScorer("b", lm)])
    ):
        assert read - done <= 10


def test_the_model_sees_prepared_texts() -> None:
    scorer = Lengths("a")
    (found,) = add_scores([make_list("THE cat")], [scorer], prepare=str.lower)
    assert scorer.seen == ["the cat"]
    assert found.hypotheses[0].text == "THE cat"


def test_scores_are_log_probabilities(lm: LanguageModel) -> None:
    texts = ["the cat", "the zebra", ""]
    totals = Totals()
    (found,) = add_scores([make_list(*texts)], [RecurrentScorer("lm", lm)], totals=totals)
    for hypothesis in found.hypotheses:
        expected = lm.score(hypothesis.text).log_prob
        assert hypothesis.features["lm"] == pytest.approx(expected, abs=1e-5)
        assert hypothesis.features["lm"] == round(hypothesis.features["lm"], 6)
    assert totals.oovs == {"lm": 1}


def test_a_feature_of_that_name() -> None:
    with pytest.raises(OptionError, match="feature 'a' already"):
        list(add_scores([make_list("x", a=[1.0])], [Lengths("a")]))


def test_no_scorer() -> None:
    with pytest.raises(OptionError, match="no scorer: give at least one"):
        list(add_scores([make_list("a")], []))


def test_peek() -> None:
    lists = [make_list(key="1"), make_list("x", key="2"), make_list("y", key="3")]
    first, all_of_them = peek(iter(lists))
    assert first is lists[1]
    assert list(all_of_them) == lists
    first, all_of_them = peek(iter(lists[:1]))
    assert first is None
    assert list(all_of_them) == lists[:1]


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        ("total", {"total": 1.0, "lm": 0.5}),
        (None, {"ac": 1.0, "total": 1.0, "lm": 0.5}),
        ("elsewhere", {"lm": 0.5}),
    ],
)
def test_default_weights(score: str | None, expected: dict[str, float]) -> None:
    nbest = make_list("x", ac=[-1.0], total=[-2.0])
    assert default_weights(nbest, score, ["lm"]) == Weights(expected)


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
    gain = Gain()
    gain.add(make_list("a", "b", "a"), 1)
    gain.add(make_list("a", "b", "a"), 2)  # another one that says the same
    gain.add(make_list("a"), 0)
    gain.add(make_list(), None)
    assert (gain.lists, gain.empty, gain.changed) == (4, 1, 1)
    assert gain.values() is None


def test_gain_by_a_metric() -> None:
    pytest.importorskip("rapidfuzz")
    gain = Gain(METRICS["wer"])
    assert gain.values() is None
    gain.add(make_list("the cat", "the dog", reference="the dog"), 1)
    gain.add(make_list(reference="so long"), None)  # deletes both words
    assert gain.values() == (75.0, 50.0)
    with pytest.raises(InputError, match="list 'u' has no reference"):
        gain.add(make_list("the cat"), 0)
