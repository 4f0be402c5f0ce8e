"""Scores and summaries against figures worked out by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from lmscore.names import Unit
from lmscore.runtime.scoring.score import Score, Summary, TokenScore, WordScore


def make_score(text: str, log_probs: list[float], oov: int | None = None) -> Score:
    return Score(
        text=text,
        log_prob=sum(log_probs),
        num_tokens=len(log_probs),
        num_words=len(text.split()),
        num_oov=0 if oov is None else 1,
        oov_log_prob=0.0 if oov is None else log_probs[oov],
    )


HALF, QUARTER = math.log(1 / 2), math.log(1 / 4)


def two_sentences() -> list[Score]:
    """Five words, one of them unknown, two sentence ends; "ü" is two bytes."""
    return [
        make_score("a b c", [HALF, QUARTER, HALF, HALF], oov=1),  # 5 bits
        make_score("ü d", [QUARTER, QUARTER, HALF]),  # 5 bits
    ]


def summary_of(scores: list[Score], *, eos: bool = True) -> Summary:
    summary = Summary(eos=eos)
    summary.extend(scores)
    return summary


def test_perplexity_of_a_score() -> None:
    assert make_score("a", [HALF, HALF]).perplexity == pytest.approx(2)
    assert math.isnan(make_score("", []).perplexity)
    assert make_score("a", [-1e6]).perplexity == math.inf


@pytest.mark.parametrize(
    ("unit", "ends", "count"),
    [
        ("token", 1, 3),
        ("word", 1, 3),
        ("word", 0, 2),
        ("character", 1, 4),
        ("byte", 1, 5),
        ("byte", 2, 6),
    ],
)
def test_units_of_a_score(unit: Unit, ends: int, count: int) -> None:
    score = replace(make_score("ü d", [QUARTER, QUARTER, HALF]), num_ends=ends)
    assert score.count(unit) == count
    assert score.perplexity_per(unit) == pytest.approx(2 ** (5 / count))
    assert score.perplexity_per_word == score.perplexity_per("word")
    assert score.perplexity_per_token == score.perplexity == pytest.approx(2 ** (5 / 3))


def test_nothing_has_no_bits() -> None:
    assert str(make_score("", []).surprisal) == "0.0"
    summary = summary_of([make_score("a", [0.0])])
    assert str(summary.bits_per_character) == str(summary.bits_per_byte) == "0.0"


def test_score_is_a_frozen_value() -> None:
    score = make_score("a", [HALF])
    assert score == make_score("a", [HALF])
    token = TokenScore(3, "a", HALF, False, 0, 1)
    assert hash(token) == hash(TokenScore(3, "a", HALF, False, 0, 1))
    with pytest.raises(AttributeError):
        score.log_prob = 0.0  # type: ignore[misc]


def test_surprisal_is_in_bits() -> None:
    assert TokenScore(3, "a", QUARTER, False, 0, 1).surprisal == pytest.approx(2)
    assert WordScore("a", HALF, False, 0, 1, 1).surprisal == pytest.approx(1)
    assert make_score("a b", [HALF, QUARTER]).surprisal == pytest.approx(3)


def test_summary_by_hand() -> None:
    summary = summary_of(two_sentences())
    assert (summary.sentences, summary.words, summary.tokens, summary.oovs) == (2, 5, 7, 1)
    assert (summary.characters, summary.bytes) == (6 + 4, 6 + 5)
    assert summary.log_prob == pytest.approx(-10 * math.log(2))
    assert summary.oov_log_prob == pytest.approx(QUARTER)
    assert summary.perplexity == pytest.approx(2 ** (10 / 7))
    assert summary.perplexity_excluding_oovs == pytest.approx(2 ** (8 / 6))
    assert summary.ppl == pytest.approx(2 ** (10 / 7))  # 5 words + 2 ends
    assert summary.ppl1 == pytest.approx(2 ** (10 / 5))
    assert summary.bits_per_character == pytest.approx(10 / 10)
    assert summary.bits_per_byte == pytest.approx(10 / 11)


def test_summary_of_scores_without_sentence_ends() -> None:
    summary = summary_of(two_sentences(), eos=False)
    assert (summary.characters, summary.bytes) == (5 + 3, 5 + 4)
    assert summary.ppl == summary.ppl1 == pytest.approx(2 ** (10 / 5))
    assert "perplexity per word   4.0000 (</s> was not scored)\n" in str(summary)


def test_empty_summary_is_undefined_not_zero() -> None:
    summary = Summary()
    assert math.isnan(summary.perplexity)
    assert math.isnan(summary.bits_per_byte)
    figures = summary.as_dict()
    assert figures["log_prob"] == 0.0
    assert figures["ppl"] is None
    assert "nan" in str(summary)


def test_as_dict_is_json_with_null_for_infinity() -> None:
    summary = Summary()
    summary.add(make_score("a", [-1e6]))
    assert json.loads(json.dumps(summary.as_dict(), allow_nan=False)) == {
        "sentences": 1,
        "words": 1,
        "tokens": 1,
        "oovs": 0,
        "characters": 2,
        "bytes": 2,
        "log_prob": -1e6,
        "oov_log_prob": 0.0,
        "perplexity": None,
        "perplexity_per_token": None,
        "perplexity_per_word": None,
        "oov_rate": None,  # one token, which make_score takes for the sentence end
        "perplexity_excluding_oovs": None,
        "ppl": None,
        "ppl1": None,
        "bits_per_character": pytest.approx(5e5 / math.log(2)),
        "bits_per_byte": pytest.approx(5e5 / math.log(2)),
    }


def test_perplexities_of_words_that_are_whole_lines() -> None:
    summary = summary_of([make_score("床前明月光", [-40.0])])
    assert "perplexity per token  2.3539e+17 (" in str(summary)
    assert "perplexity per word   485165195.4098 with </s> (ppl), " in str(summary)


def test_text_block() -> None:
    void = " (too low: OOVs are not spelt; not comparable across vocabularies)"
    summary = summary_of(two_sentences())
    assert str(summary).splitlines() == [
        "sentences             2",
        "words                 5",
        "tokens                7 (1 OOV)",
        "log-probability       -6.9315 nats (-1.3863 from OOVs)",
        "perplexity per token  2.6918 (without OOVs 2.5198)",
        "perplexity per word   2.6918 with </s> (ppl), 4.0000 without (ppl1)",
        "OOV rate              20.00 % of the tokens without </s>",
        f"bits per character    1.0000{void}",
        f"bits per byte         0.9091{void}",
    ]
