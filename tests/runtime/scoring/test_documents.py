"""The scores of documents are the sums of the scores of their parts."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmscore.errors import InputError, OptionError
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.scoring import Summary
from lmscore.runtime.text import split_text

TEXT = "the cat sat\n\nso long zebra\r\n  \nthe dog"
PARTS = ["the cat sat", "so long zebra", "the dog"]


@pytest.mark.parametrize("eos", [True, False])
@pytest.mark.parametrize("context", ["sentence", "document"])
def test_a_text_is_its_lines(lm: LanguageModel, context: str, eos: bool) -> None:
    options = {"context": context, "eos": eos, "words": True}
    whole = lm.score(TEXT, split="lines", **options)  # type: ignore[arg-type]
    lines = lm.score_batch(PARTS, **options)  # type: ignore[arg-type]
    assert whole.text == TEXT
    assert whole.log_prob == pytest.approx(math.fsum(line.log_prob for line in lines), abs=1e-4)
    for name in ("num_tokens", "num_words", "num_oov"):
        assert getattr(whole, name) == sum(getattr(line, name) for line in lines)
    assert [part.text for part in whole.parts] == PARTS
    assert [TEXT[part.start : part.end] for part in whole.parts] == PARTS
    assert [part.log_prob for part in whole.parts] == pytest.approx(
        [line.log_prob for line in lines], abs=1e-4
    )
    tokens = [token for line in lines for token in line.tokens]
    assert [token.text for token in whole.tokens] == [token.text for token in tokens]
    assert [TEXT[word.start : word.end] or "</s>" for word in whole.words] == [
        word.text for word in whole.words
    ]
    assert whole.num_sentences == 3
    assert lm.score(TEXT, split="lines", tokens=False).tokens == ()


@settings(deadline=None, max_examples=30)
@given(st.lists(st.text(st.sampled_from("ab \n\r"), max_size=12), max_size=6))
def test_totals_are_those_of_the_lines(lm: LanguageModel, texts: list[str]) -> None:
    whole, lines = Summary(), Summary()
    whole.extend(lm.score_stream(texts, split="lines"))
    lines.extend(lm.score_stream([part for text in texts for part in split_text(text, "lines")]))
    for name, value in lines.as_dict().items():
        assert whole.as_dict()[name] == pytest.approx(value, nan_ok=True), name


def test_texts_that_are_not_split_have_no_parts(lm: LanguageModel) -> None:
    score = lm.score(TEXT)
    assert (score.parts, score.num_sentences) == ((), 1)
    empty = lm.score(" \n", split="lines")
    assert empty.log_prob == pytest.approx(lm.score("").log_prob, abs=1e-5)
    assert len(empty.parts) == 1


def test_texts_come_one_by_one(lm: LanguageModel) -> None:
    read = []

    def texts() -> Iterator[str]:
        for text in (TEXT, "the cat"):
            read.append(text)
            yield text

    scores = lm.score_stream(texts(), split="lines", window=1)
    assert next(scores).text == TEXT
    assert read == [TEXT]


def test_errors(lm: LanguageModel) -> None:
    with pytest.raises(OptionError, match="split must be one of lines, sentences, none, not 'w'"):
        lm.score("a", split="w")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="split does not go with a prefix"):
        lm.score("a", split="lines", prefix="b")
    with pytest.raises(InputError, match="text 2"):
        lm.score_batch(["a\nb", 3], split="lines")  # type: ignore[list-item]
