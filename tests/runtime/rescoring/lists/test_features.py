"""The scores of models as features of hypotheses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import OptionError
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.lists.features import Counts, add_scores, peek, scored_lists
from lmscore.runtime.rescoring.lists.nbest import NBestList
from lmscore.runtime.rescoring.models import list_windows
from lmscore.runtime.rescoring.models.list_scorer import RecurrentScorer
from lmscore.runtime.rescoring.models.list_scoring import ListScores
from lmscore.runtime.scoring.score import Score
from tests.runtime.rescoring.toys import make_list


@dataclass
class Lengths:
    """A scorer: minus the characters; it reads lists some at a time."""

    name: str
    ahead: int = 1
    seen: list[str] = field(default_factory=list)

    def score_lists(self, lists: Iterable[Sequence[str]]) -> Iterator[ListScores]:
        held: list[ListScores] = []
        for texts in lists:
            self.seen += texts
            scores = [Score(t, -float(len(t)), 1, len(t.split()), 0, 0.0) for t in texts]
            held.append(ListScores(scores))
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
    scored = list(scored_lists(lists, [Lengths("a", one), Lengths("b", other)]))
    found = [some.nbest for some in scored]
    assert [nbest.id for nbest in found] == [nbest.id for nbest in lists]
    for nbest, some in zip(found, texts, strict=True):
        assert [h.text for h in nbest.hypotheses] == some
        lengths = [-len(text) for text in some]
        assert [dict(h.features) for h in nbest.hypotheses] == [
            {"a": length, "b": length} for length in lengths
        ]
    every = [text for some in texts for text in some]
    counts = sum((some.counts for some in scored), Counts())
    assert (counts.lists, counts.hypotheses) == (len(texts), len(every))
    assert counts.words == sum(len(text.split()) for text in every)
    assert counts.tokens == 2 * len(every)
    assert counts.tokens_saved is None


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
    (found,) = scored_lists([make_list(*texts)], [RecurrentScorer("lm", lm)])
    for hypothesis in found.nbest.hypotheses:
        expected = lm.score(hypothesis.text).log_prob
        assert hypothesis.features["lm"] == pytest.approx(expected, abs=1e-5)
        assert hypothesis.features["lm"] == round(hypothesis.features["lm"], 6)
    assert found.counts.oovs == {"lm": 1}


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
