"""What unknown words cost: a number of nats, or their spelling."""

from __future__ import annotations

import math

import pytest

from lmscore.errors import OptionError
from lmscore.runtime.load import load
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.scoring import Score, TokenScore, WordScore
from tests.models import make_model

TEXTS = ["the zebra sat", "zebra", "", "the cat", "zoo  zebra the zoo"]
UNKNOWN = [["zebra"], ["zebra"], [], [], ["zoo", "zebra", "zoo"]]


def parts_of(score: Score) -> list[TokenScore | WordScore]:
    return [*score.tokens, *score.words]


@pytest.fixture(scope="module")
def speller(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    """Printable ASCII characters."""
    path = tmp_path_factory.mktemp("speller") / "model"
    return load(make_model(path, tokenizer="char", hidden=8, variants=("fp32",)).path)


def test_the_same_cost_for_each(lm: LanguageModel) -> None:
    plain = lm.score_batch(TEXTS, words=True)
    dear = lm.score_batch(TEXTS, words=True, oov_cost=10)
    for before, after in zip(plain, dear, strict=True):
        cost = 10 * before.num_oov
        assert after.log_prob == pytest.approx(before.log_prob - cost, abs=1e-4)
        assert after.oov_log_prob == pytest.approx(before.oov_log_prob - cost, abs=1e-4)
        for part, other in zip(parts_of(before), parts_of(after), strict=True):
            less = 10 if part.is_oov else 0
            assert other.log_prob == pytest.approx(part.log_prob - less, abs=1e-4)


@pytest.mark.parametrize("name", ["lm", "document_lm"])
def test_a_spelling_is_a_sentence_of_the_other_model(
    request: pytest.FixtureRequest, name: str, speller: LanguageModel
) -> None:
    lm: LanguageModel = request.getfixturevalue(name)
    plain, spelt = lm.score_batch(TEXTS), lm.score_batch(TEXTS, oov_cost=speller)
    for before, after, words in zip(plain, spelt, UNKNOWN, strict=True):
        cost = -sum(speller.score(word).log_prob for word in words)
        assert after.log_prob == pytest.approx(before.log_prob - cost, abs=1e-3)
        assert math.fsum(token.log_prob for token in after.tokens) == pytest.approx(
            after.log_prob, abs=1e-4
        )


def test_each_word_is_spelt_once(lm: LanguageModel, speller: LanguageModel) -> None:
    runs: list[int] = []
    with speller.engine.observe(lambda B, T: runs.append(B * T)):
        lm.score_batch(["zebra zoo"] * 50, oov_cost=speller)
    assert sum(runs) <= 2 * 6


def test_prefixes_parts_and_sentences_without_a_beginning(
    lm: LanguageModel, speller: LanguageModel
) -> None:
    zebra, zoo = (speller.score(word).log_prob for word in ("zebra", "zoo"))
    for options, words in (
        ({"prefix": "the zip"}, zebra + zoo),
        ({"bos": False}, zoo),  # zebra is read only
        ({"eos": False}, zebra + zoo),
        ({"split": "lines"}, zebra + zoo),
    ):
        text = "zebra\nzoo" if "split" in options else "zebra zoo"
        before = lm.score(text, **options)
        after = lm.score(text, oov_cost=speller, **options)
        assert after.log_prob == pytest.approx(before.log_prob + words, abs=1e-3)


def test_a_character_that_nothing_knows_is_one_of_all_code_points(
    lm: LanguageModel, speller: LanguageModel
) -> None:
    more = lm.score("x\u03a9y").log_prob - lm.score("x\u03a9y", oov_cost=speller).log_prob
    found = speller.score("x\u03a9y")
    assert found.num_oov == 1
    assert more == pytest.approx(math.log(0x110000) - found.log_prob, abs=1e-3)


def test_bits_per_character_are_comparable_once_words_are_spelt(
    lm: LanguageModel, bpe_lm: LanguageModel, speller: LanguageModel
) -> None:
    plain, spelt = lm.summarize(TEXTS), lm.summarize(TEXTS, oov_cost=speller)
    assert "not comparable across vocabularies" in str(plain)
    assert "not comparable" not in str(spelt)
    assert "not comparable" in str(lm.summarize(TEXTS, oov_cost=10))
    assert spelt.bits_per_character > plain.bits_per_character
    assert spelt.perplexity_excluding_oovs == pytest.approx(plain.perplexity_excluding_oovs)
    assert (spelt.oovs, spelt.tokens) == (plain.oovs, plain.tokens)
    without = bpe_lm.summarize(TEXTS)
    assert bpe_lm.summarize(TEXTS, oov_cost=10).log_prob == without.log_prob  # no OOVs


def test_impossible_costs(lm: LanguageModel, bpe_lm: LanguageModel) -> None:
    for wrong in (-1, math.nan, math.inf, "3"):
        with pytest.raises(OptionError, match="oov_cost must be a model of characters or subwords"):
            lm.score("the", oov_cost=wrong)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="a model of words does not spell"):
        lm.score("the", oov_cost=lm)
    assert lm.score("zebra", oov_cost=bpe_lm).log_prob < lm.score("zebra").log_prob
