"""Models mixed word by word."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import exp, log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import InputError, OptionError
from lmscore.runtime.load import load
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.models.list_scorer import RecurrentScorer, WordScorer, score_of_words
from lmscore.runtime.rescoring.models.mixture import Mixture, fit_mixture
from lmscore.runtime.scoring.score import Score, Summary, WordScore
from tests.models import WORDS, make_model
from tests.runtime.rescoring.toys import END, UNK, Unigram

A = Unigram("a-model", {"a": 0.5, "b": 0.2, END: 0.2, UNK: 0.1})
B = Unigram("b-model", {"a": 0.1, "c": 0.2, END: 0.6, UNK: 0.1})

TEXTS = st.lists(st.lists(st.sampled_from([*WORDS, "xyzzy"]), max_size=5).map(" ".join), max_size=4)


def probabilities(score: Score) -> list[float]:
    return [exp(word.log_prob) for word in score.words]


def test_the_probability_of_a_word_is_that_of_the_models_by_their_shares() -> None:
    (score,) = Mixture("mix", (A, B), (0.75, 0.25)).score_batch(["a a"])
    assert probabilities(score) == pytest.approx([0.4, 0.4, 0.3])
    assert score.log_prob == pytest.approx(log(0.4 * 0.4 * 0.3))
    assert (score.num_tokens, score.num_words, score.num_oov) == (3, 2, 0)


def test_a_model_says_nothing_of_a_word_that_only_it_does_not_know() -> None:
    (score,) = Mixture("mix", (A, B), (0.75, 0.25)).score_batch(["b c d"])
    assert probabilities(score) == pytest.approx([0.15, 0.05, 0.1, 0.3])
    assert [word.is_oov for word in score.words] == [False, False, True, False]
    assert score.num_oov == 1
    assert score.oov_log_prob == pytest.approx(log(0.1))


@st.composite
def unigrams(draw: st.DrawFn, name: str) -> Unigram:
    words = [*draw(st.lists(st.sampled_from("abcdef"), unique=True)), END, UNK]
    counts = np.array([draw(st.integers(1, 9)) for _ in words])
    return Unigram(name, dict(zip(words, (counts / counts.sum()).tolist(), strict=True)))


@given(unigrams("one"), unigrams("two"), unigrams("three"), st.floats(0, 1), st.floats(0, 1))
def test_probabilities_sum_to_1(
    one: Unigram, two: Unigram, three: Unigram, share: float, rest: float
) -> None:
    weights = (share, (1 - share) * rest, (1 - share) * (1 - rest))
    mixture = Mixture("mix", (one, two, three), weights)
    (score,) = mixture.score_batch(["a b c d e f"])
    # What nobody knows is one event, whichever word stands for it.
    known = [exp(word.log_prob) for word in score.words if not word.is_oov]
    unknown = [
        exp(word.log_prob) for word in mixture.score_batch(["xyzzy"])[0].words if word.is_oov
    ]
    assert sum(known) + sum(unknown) == pytest.approx(1)


@given(TEXTS)
def test_a_model_mixed_with_itself_is_that_model(lm: LanguageModel, texts: list[str]) -> None:
    one, other = RecurrentScorer("one", lm), RecurrentScorer("other", lm)
    for score in Mixture("mix", (one, other), (0.3, 0.7)).score_batch(texts):
        alone = lm.score(score.text, words=True)
        assert score.log_prob == pytest.approx(alone.log_prob)
        assert score.num_oov == alone.num_oov
        assert [word.text for word in score.words] == [word.text for word in alone.words]


@given(TEXTS)
def test_a_weight_of_1_is_that_model(
    lm: LanguageModel, bpe_lm: LanguageModel, texts: list[str]
) -> None:
    one, other = RecurrentScorer("one", lm), RecurrentScorer("other", bpe_lm)
    for models, weights in (((one, other), (1, 0)), ((other, one), (0, 1))):
        found = Mixture("mix", models, weights).score_batch(texts)
        expected = lm.score_batch(texts)
        assert [s.log_prob for s in found] == pytest.approx([s.log_prob for s in expected])


@given(TEXTS, st.floats(0.01, 0.99))
def test_models_of_different_vocabularies_agree_on_words(
    lm: LanguageModel, bpe_lm: LanguageModel, texts: list[str], share: float
) -> None:
    one, other = RecurrentScorer("one", lm), RecurrentScorer("other", bpe_lm)
    mixture = Mixture("mix", (one, other), (share, 1 - share))
    streams = [mixture.score_stream(texts), one.score_stream(texts), other.score_stream(texts)]
    for mixed, *parts in zip(*streams, strict=True):
        for word, first, second in zip(mixed.words, *[part.words for part in parts], strict=True):
            known = 0 if first.is_oov else exp(first.log_prob)
            expected = share * known + (1 - share) * exp(second.log_prob)
            assert exp(word.log_prob) == pytest.approx(expected)
            assert (word.text, word.start, word.end) == (first.text, first.start, first.end)


@given(lists=st.lists(TEXTS, max_size=3))
def test_lists_are_scored_as_their_texts(lists: list[list[str]]) -> None:
    mixture = Mixture("mix", (A, B), (0.5, 0.5))
    found = [some.scores for some in mixture.score_lists(lists)]
    assert found == [mixture.score_batch(texts) for texts in lists]


def test_equal_hypotheses_are_scored_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    score_batch = Mixture.score_batch

    def spy(self: Mixture, texts: Iterable[str]) -> list[Score]:
        seen.append(list(texts))
        return score_batch(self, seen[-1])

    monkeypatch.setattr(Mixture, "score_batch", spy)
    mixture = Mixture("mix", (A, B), (0.5, 0.5))
    found = [some.scores for some in mixture.score_lists([["a", "b", "a"], [], ["b"]])]
    assert seen == [["a", "b"]]
    assert [[score.text for score in scores] for scores in found] == [["a", "b", "a"], [], ["b"]]


def test_nothing_is_read_ahead_of_need() -> None:
    read = []

    def texts() -> Iterator[str]:
        for number in range(10):
            read.append(number)
            yield "a"

    stream = Mixture("mix", (A, B), (0.5, 0.5)).score_stream(texts())
    next(stream)
    assert read == [0]


def test_a_text_without_words_or_end_scores_nothing(lm: LanguageModel) -> None:
    models = RecurrentScorer("one", lm, eos=False), RecurrentScorer("other", lm, eos=False)
    empty, blank, word = Mixture("mix", models, (0.5, 0.5)).score_batch(["", "  ", "cat"])
    assert [score.log_prob for score in (empty, blank)] == [0, 0]
    assert word.log_prob == pytest.approx(lm.score("cat", eos=False).log_prob)


def test_scores_add_up_to_perplexities_per_word() -> None:
    summary = Summary()
    summary.extend(Mixture("mix", (A, B), (0.5, 0.5)).score_batch(["a", "d"]))
    assert summary.perplexity == summary.ppl == pytest.approx((0.3 * 0.4 * 0.1 * 0.4) ** (-1 / 4))
    assert summary.perplexity_excluding_oovs == pytest.approx((0.3 * 0.4 * 0.4) ** (-1 / 3))


def test_backward_models_can_be_mixed_with_each_other(tmp_path: Path) -> None:
    scorers = []
    for seed in (0, 1):
        path = tmp_path / str(seed)
        make_model(path, direction="backward", seed=seed, variants=["fp32"])
        scorers.append(RecurrentScorer(str(seed), load(path)))
    mixture = Mixture("mix", tuple(scorers), (0.5, 0.5))
    assert mixture.direction == "backward"
    (score,) = mixture.score_batch(["the cat sat"])
    parts = [next(scorer.score_stream(["the cat sat"])) for scorer in scorers]
    for word, *both in zip(score.words, *[part.words for part in parts], strict=True):
        assert exp(word.log_prob) == pytest.approx(sum(exp(w.log_prob) for w in both) / 2)


class Joining(Unigram):
    """Two words are one token to it."""

    def score_stream(self, texts: Iterable[str]) -> Iterator[Score]:
        for text in texts:
            yield score_of_words(text, [WordScore(text, -1, False, 0, 0, 1)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b", "'a' to 'a-model' is 'a b' to 'joining'"),
        ("a", "'</s>' to 'a-model' is '' to 'joining'"),
    ],
)
def test_models_that_divide_a_text_differently(text: str, message: str) -> None:
    mixture = Mixture("mix", (A, Joining("joining", {})), (0.5, 0.5))
    advice = ", so their words cannot be mixed; use the models as features of their own"
    with pytest.raises(InputError) as caught:
        mixture.score_batch([text])
    assert str(caught.value) == f"text 1: {message}{advice}"
    with pytest.raises(InputError) as caught:
        list(mixture.score_lists([[], [text]]))
    assert str(caught.value) == f"list 2, hypothesis 1: {message}{advice}"


@pytest.mark.parametrize(
    ("models", "weights", "message"),
    [
        ((), (), "a mixture needs at least one model"),
        ((A, B), (1.0,), "1 weights for a mixture of 2"),
        ((A, B), (0.5, 0.4), "the weights of a mixture sum to 0.9, not to 1"),
        ((A, B), (1.5, -0.5), "a weight of a mixture is -0.5, expected 0 to 1"),
        ((A, B), (float("nan"), 1), "a weight of a mixture is nan, expected 0 to 1"),
        (
            (A, Unigram("back", B.probabilities, "backward")),
            (0.5, 0.5),
            "'a-model' is a forward model and 'back' a backward one",
        ),
    ],
)
def test_what_is_no_mixture(
    models: tuple[WordScorer, ...], weights: tuple[float, ...], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        Mixture("mix", models, weights)


def sampled(probabilities: Mapping[str, float], count: int, seed: int) -> list[str]:
    words = [word for word in probabilities if word not in (END, UNK)]
    weights = np.array([probabilities[word] for word in words])
    random = np.random.default_rng(seed)
    return list(map(str, random.choice(words, count, p=weights / weights.sum())))


def test_weights_are_fitted_to_a_text() -> None:
    texts = sampled({"a": 0.5, "b": 0.4, "c": 0.1}, 200, seed=0)
    mixture = fit_mixture("mix", [A, B], [*texts, "d"])
    assert mixture.fit is not None
    assert (mixture.fit.num_words, mixture.fit.num_left_out) == (401, 1)
    assert sum(mixture.weights) == pytest.approx(1)
    summary, equal = Summary(), Summary()
    summary.extend(mixture.score_batch(texts))
    equal.extend(Mixture("mix", (A, B), (0.5, 0.5)).score_batch(texts))
    assert summary.perplexity < equal.perplexity
    for step in (-0.02, 0.02):
        near = Summary()
        weights = (mixture.weights[0] + step, mixture.weights[1] - step)
        near.extend(Mixture("mix", (A, B), weights).score_batch(texts))
        assert summary.perplexity < near.perplexity


def test_the_perplexity_of_a_fit_is_that_of_the_text() -> None:
    texts = ["a b", "c", "a"]
    mixture = fit_mixture("mix", [A, B], texts)
    summary = Summary()
    summary.extend(mixture.score_batch(texts))
    assert mixture.fit is not None
    assert summary.perplexity == pytest.approx(mixture.fit.perplexities[-1])
    assert str(mixture).startswith(f"{mixture.weights[0]:.4f} a-model + ")
    assert str(mixture).endswith(str(mixture.fit))
    assert str(Mixture("mix", (A, B), (0.25, 0.75))) == "0.2500 a-model + 0.7500 b-model"


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        (lambda: fit_mixture("mix", [A, B], []), "no text to fit the mixture to"),
        (lambda: fit_mixture("mix", [], ["a"]), "a mixture needs at least one model"),
    ],
)
def test_nothing_to_fit(fit: Callable[[], Mixture], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        fit()
