"""Word by word, a text scores what it scores as a whole."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lmscore
from lmscore.errors import InputError, OptionError
from lmscore.runtime.adapters.histories import History, WordHistories, WordStep
from lmscore.runtime.engine import Engine
from lmscore.runtime.model import LanguageModel
from tests.models import WORDS, make_model

TEXTS = st.lists(st.sampled_from([*WORDS[:9], "zebra", "it's", "né", "<unk>", "</s>"]), max_size=7)


def chain(scorer: WordHistories, words: list[str], history: History) -> list[WordStep]:
    """The steps of a text, and of its end."""
    steps = []
    for word in words:
        steps.append(scorer.score(history, word))
        history = steps[-1].history
    return [*steps, scorer.end(history)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(words=TEXTS)
@pytest.mark.parametrize("bos", [True, False])
def test_words_score_what_they_do_in_their_sentence(
    any_lm: LanguageModel, words: list[str], bos: bool
) -> None:
    scorer = WordHistories(any_lm)
    steps = chain(scorer, words, scorer.begin() if bos else scorer.nothing())
    expected = any_lm.score(" ".join(words), bos=bos, context="sentence", words=True)
    assert math.fsum(step.log_prob for step in steps) == pytest.approx(expected.log_prob, abs=1e-4)
    if words:
        assert [step.log_prob for step in steps] == pytest.approx(
            [word.log_prob for word in expected.words], abs=1e-4
        )
        oov = [any_lm.score(word).num_oov > 0 for word in words]  # also where it is read only
        assert [step.is_oov for step in steps] == [*oov, False]


def test_a_sentence_after_another(document_lm: LanguageModel) -> None:
    scorer = WordHistories(document_lm)
    first = chain(scorer, ["the", "cat"], scorer.begin())
    second = chain(scorer, ["a", "dog"], first[-1].history)
    expected = document_lm.score_batch(["the cat", "a dog"], context="document")
    assert math.fsum(step.log_prob for step in second) == pytest.approx(expected[1].log_prob)


def test_a_history_of_another_model_is_refused_by_its_ids(tmp_path: Path) -> None:
    large, small = (
        WordHistories(lmscore.load(make_model(tmp_path / str(V), vocab=V, variants=("fp32",)).path))
        for V in (60, 40)
    )
    history = large.score(large.begin(), "w20").history
    assert max(history.tokens) >= 40
    with pytest.raises(InputError, match=r"ids must lie in 0\.\.39, not 55\.\.55"):
        small.score(history, "the")


def test_probabilities_of_words_sum_to_one(lm: LanguageModel) -> None:
    scorer = WordHistories(lm)
    history = scorer.score(scorer.begin(), "the").history
    words = [lm.tokenizer.token(i) for i in range(lm.vocab_size) if i not in (1, 2)]
    steps = [*(scorer.score(history, word) for word in words), scorer.end(history)]
    bos = lm.step([lm.config.bos_token_id], lm.initial_state())
    log_probs, _ = lm.step(lm.tokenizer.encode("the"), bos[1])
    total = math.fsum(math.exp(step.log_prob) for step in steps)
    assert total == pytest.approx(1 - math.exp(log_probs[0, lm.config.bos_token_id]), abs=1e-5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(texts=st.lists(st.tuples(TEXTS, st.sampled_from([*WORDS[:5], "incredible", "", None]))))
def test_a_batch_scores_what_its_words_score_alone(
    any_lm: LanguageModel, texts: list[tuple[list[str], str | None]]
) -> None:
    alone, batched = WordHistories(any_lm), WordHistories(any_lm)
    queries = []
    for words, last in texts:
        history = alone.begin() if words[:1] != ["the"] else alone.nothing()
        for word in words:
            history = alone.score(history, word).history
        queries.append((history, last))
    found = batched.score_batch(queries)
    for step, (history, asked) in zip(found, queries, strict=True):
        expected = alone.end(history) if asked is None else alone.score(history, asked)
        assert step.log_prob == pytest.approx(expected.log_prob, abs=1e-5)
        assert (step.is_oov, step.history) == (expected.is_oov, expected.history)
        assert step.history.num_words == expected.history.num_words
    following = [(step.history, "fish") for step in found]
    for step, (history, _) in zip(batched.score_batch(following), following, strict=True):
        assert step.log_prob == pytest.approx(alone.score(history, "fish").log_prob, abs=1e-5)


def test_a_batch_costs_a_run_for_its_histories_and_two_for_its_words(
    bpe_lm: LanguageModel,
) -> None:
    scorer, runs = WordHistories(bpe_lm), list[tuple[int, int]]()
    words = [*WORDS, "incredible", "fishes", *WORDS]
    with bpe_lm.engine.observe(lambda rows, times: runs.append((rows, times))):
        steps = scorer.score_batch([(scorer.begin(), word) for word in words])
        assert len(runs) <= 3
        assert runs[-1] == (len(set(words)), 1)
        del runs[:]
        scorer.score_batch([(step.history, None) for step in steps])
        assert not runs


def test_a_long_word_in_a_batch_of_bounded_runs(
    char_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "token_budget", 12)
    scorer, sizes = WordHistories(char_lm), list[int]()
    words = ["incomprehensible", "a", "fishes", "fish", "it", "the"]
    with char_lm.engine.observe(lambda rows, times: sizes.append(rows * times)):
        found = scorer.score_batch([(scorer.begin(), word) for word in words])
    assert max(sizes) <= 12
    for word, step in zip(words, found, strict=True):
        expected = char_lm.score(word, words=True).words[0].log_prob
        assert step.log_prob == pytest.approx(expected, abs=1e-4)


def test_words_of_a_word_model_cost_a_run_for_each_history(lm: LanguageModel) -> None:
    scorer = WordHistories(lm)
    history = scorer.begin()
    for word in WORDS:
        scorer.score(history, word)
    assert scorer.readings.misses == 1
    assert scorer.readings.hits == len(WORDS) - 1
    scorer.score(scorer.score(history, "the").history, "cat")
    assert scorer.steps.hits == 1
    assert scorer.readings.misses == 2


def test_what_is_asked_again_is_known(bpe_lm: LanguageModel) -> None:
    scorer = WordHistories(bpe_lm)
    first = chain(scorer, ["the", "fish"], scorer.begin())
    misses = scorer.readings.misses
    assert misses == 3
    assert chain(scorer, ["the", "fish"], scorer.begin()) == first
    assert scorer.readings.misses == misses
    assert scorer.steps.hits == 3


def test_what_was_forgotten_is_read_again(bpe_lm: LanguageModel) -> None:
    scorer = WordHistories(bpe_lm, cache_size=1)
    words = ["so", "long", "and", "thanks"]
    for start in range(len(words)):
        steps = chain(scorer, words[start:], scorer.begin())
        expected = bpe_lm.score(" ".join(words[start:])).log_prob
        assert math.fsum(step.log_prob for step in steps) == pytest.approx(expected, abs=1e-4)
    old = scorer.begin()
    steps = [scorer.score(old, word) for word in words * 5]
    assert len(scorer.readings) == 1
    assert len(scorer.steps) == 8
    assert scorer.score(steps[0].history, "long") == scorer.score(steps[4].history, "long")


def test_a_word_longer_than_a_run_of_the_graph(
    char_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "token_budget", 3)
    scorer = WordHistories(char_lm)
    steps = chain(scorer, ["incomprehensible", "fish"], scorer.begin())
    expected = char_lm.score("incomprehensible fish").log_prob
    assert math.fsum(step.log_prob for step in steps) == pytest.approx(expected, abs=1e-4)


def test_an_empty_word_is_none(any_lm: LanguageModel) -> None:
    scorer = WordHistories(any_lm)
    begin = scorer.begin()
    assert scorer.score(begin, "") == WordStep(0.0, False, begin)
    after = scorer.score(begin, "the").history
    assert scorer.score(after, "") == WordStep(0.0, False, after)


def test_histories_are_values(bpe_lm: LanguageModel) -> None:
    scorer = WordHistories(bpe_lm)
    a, b = (scorer.score(scorer.begin(), word).history for word in ("the", "fish"))
    again = WordHistories(bpe_lm).score(scorer.begin(), "the").history
    assert a == again
    assert hash(a) == hash(again)
    assert a != b
    assert a != "the"
    assert (scorer.nothing().num_words, scorer.begin().num_words, a.num_words) == (0, 1, 2)


@pytest.mark.parametrize("word", ["two words", " the", "the\n"])
def test_no_word(lm: LanguageModel, word: str) -> None:
    scorer = WordHistories(lm)
    with pytest.raises(InputError, match="is not one word: score the words one after another"):
        scorer.score(scorer.begin(), word)


def test_models_and_sizes_that_do_not_do(lm: LanguageModel, backward_lm: LanguageModel) -> None:
    with pytest.raises(OptionError, match="cache_size must be"):
        WordHistories(lm, cache_size=0)
    with pytest.raises(OptionError, match="a backward model"):
        WordHistories(backward_lm)
