"""Words of scripts without spaces: user-perceived characters."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import OptionError
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.text import character_spans, count_characters

POEM = "\u5e8a\u524d\u660e\u6708"
SPACE = "\u3000"

_texts = st.text(
    st.sampled_from("a \t\u00e9\u0301\u660e\u6708\u3000\uff0c\u0e01\u0e34\u200d\U0001f469")
)


@given(text=_texts)
def test_characters_are_counted_as_they_are_cut(text: str) -> None:
    pieces = [text[start:end] for start, end in character_spans(text)]
    assert count_characters(text) == sum(not piece.isspace() for piece in pieces)


def test_the_vocabulary_says_what_a_word_is(
    chinese_lm: LanguageModel, lm: LanguageModel, bpe_lm: LanguageModel
) -> None:
    assert chinese_lm.segmentation == "characters"
    assert (lm.segmentation, bpe_lm.segmentation) == ("spaces", "spaces")


def test_a_word_is_a_character_with_its_marks(chinese_lm: LanguageModel) -> None:
    text = f"{POEM}\u0301"
    score = chinese_lm.score(text, words=True)
    assert [word.text for word in score.words] == [*POEM[:3], "\u6708\u0301", "</s>"]
    assert [word.num_tokens for word in score.words] == [1, 1, 1, 2, 1]
    assert math.fsum(word.log_prob for word in score.words) == pytest.approx(score.log_prob)
    assert (score.num_words, score.count("word")) == (4, 5)
    # The mark may follow any character, so the end of one is a part of its score.
    end = chinese_lm.score(text).tokens[-1]
    assert score.words[-1].log_prob > end.log_prob


def test_where_a_token_is_a_character_its_score_is_the_word_s(chinese_lm: LanguageModel) -> None:
    score = chinese_lm.score(POEM, words=True)
    words = [word.log_prob for word in score.words]
    log_probs, _ = chinese_lm.step([chinese_lm.config.bos_token_id], chinese_lm.initial_state())
    first = float(log_probs[0, chinese_lm.encode(POEM)[0]])
    assert words[0] < first  # less the probability that a mark would follow
    assert sum(words) == pytest.approx(score.log_prob)


def test_white_space_belongs_to_the_character_after_it(chinese_lm: LanguageModel) -> None:
    score = chinese_lm.score(f"\u5e8a {SPACE}\u524d ", words=True)
    assert [(word.text, word.num_tokens) for word in score.words] == [
        ("\u5e8a", 1),
        ("\u524d", 3),
        ("</s>", 2),
    ]
    assert score.num_words == 2
    assert chinese_lm.score("", words=True).num_words == 0


def test_a_given_segmentation(chinese_lm: LanguageModel, bpe_lm: LanguageModel) -> None:
    text = "\u5e8a\u524d \u660e\u6708"
    spaces = chinese_lm.score(text, words=True, segmentation="spaces")
    assert [word.text for word in spaces.words] == [*text.split(), "</s>"]
    assert spaces.num_words == 2
    letters = bpe_lm.score("the cat", words=True, segmentation="characters")
    pieces = [word.text for word in letters.words[:-1]]  # a token of several letters joins them
    assert "".join("".join(pieces).split()) == "thecat"
    assert letters.num_words == 6
    assert math.fsum(word.log_prob for word in letters.words) == pytest.approx(
        letters.log_prob, abs=1e-4
    )
    with pytest.raises(OptionError, match="segmentation must be one of auto, spaces, characters"):
        bpe_lm.score("a", segmentation="letters")  # type: ignore[arg-type]


def test_perplexities_and_parts(chinese_lm: LanguageModel) -> None:
    texts = [POEM, f"{POEM}\n{POEM[:2]}"]
    summary = chinese_lm.summarize(texts, split="lines")
    assert (summary.words, summary.sentences) == (10, 3)
    assert summary.perplexity_per_word == pytest.approx(math.exp(-summary.log_prob / 13))
    (score,) = chinese_lm.score_batch(texts[1:], split="lines", words=True)
    assert score.num_words == 6
    assert [part.num_words for part in score.parts] == [4, 2]
    measured = chinese_lm.measure(POEM)
    assert [word.text for word in measured.words] == [*POEM, "</s>"]


def test_what_reads_words_by_spaces_still_does(chinese_model_path: Path) -> None:
    from lmscore.runtime.adapters import kenlm

    model = kenlm.Model(str(chinese_model_path))
    assert len(list(model.full_scores("\u5e8a\u524d \u660e\u6708"))) == 3
