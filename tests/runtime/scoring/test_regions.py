"""Regions: which tokens they have, and scores that agree with those of words and texts."""

from __future__ import annotations

import pickle
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import InputError, OptionError
from lmscore.runtime.load import load
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.scoring.regions import region_tokens
from tests.models import WORDS, make_model

texts = st.one_of(
    st.text(max_size=12),
    st.text(st.sampled_from("ab🐟é\u0301 \t\u00a0"), max_size=12),
    st.lists(st.sampled_from([*WORDS, " ", "\u00a0"]), max_size=6).map(" ".join),
)


@pytest.fixture(scope="module")
def models(
    lm: LanguageModel, bpe_lm: LanguageModel, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, LanguageModel]:
    path = tmp_path_factory.mktemp("char") / "model"
    char = load(make_model(path, tokenizer="char", variants=("fp32",)).path)
    return {"word": lm, "bpe": bpe_lm, "char": char}


@pytest.mark.parametrize(
    ("text", "tokens", "spans", "eos", "owners", "exact"),
    [
        # The white space before a region belongs to it, and that between regions to none.
        ("a bc d", [(0, 1), (1, 4), (4, 6)], [(0, 1), (2, 4)], True, [0, 1, 2, 2], "11"),
        ("a b c", [(0, 1), (1, 3), (3, 5)], [(0, 3), (4, 5)], True, [0, 0, 1, 2], "11"),
        ("a b", [(i, i + 1) for i in range(3)], [(0, 1), (2, 3)], False, [0, 1, 1], "11"),
        # A token that reaches into another region, or past the last one.
        ("abc", [(0, 2), (2, 3)], [(0, 1), (1, 3)], True, [0, 1, 2], "00"),
        ("abc", [(0, 2), (2, 3)], [(0, 1)], True, [0, 1, 1], "0"),
        ("abc", [(0, 2), (2, 3)], [(1, 3)], True, [0, 0, 1], "0"),
        ("a b", [(0, 3)], [(0, 1), (2, 3)], True, [0, 2], "00"),
        # Without a character to print there is no token.
        ("a b", [(0, 1), (1, 3)], [(0, 1), (1, 2), (3, 3)], True, [0, 3, 3], "111"),
        ("a b", [(0, 1), (1, 3)], [], True, [0, 0, 0], ""),
        # White space at the end is that of </s>, else of the last region if it ends the text.
        ("a ", [(0, 1), (1, 2)], [(0, 1)], True, [0, 1, 1], "1"),
        ("a ", [(0, 1), (1, 2)], [(0, 1)], False, [0, 0], "1"),
        ("a b ", [(0, 1), (1, 3), (3, 4)], [(0, 1)], False, [0, 1, 1], "1"),
        # The bytes of one character, and a token without a character.
        ("🐟b", [(0, 1), (0, 1), (1, 2)], [(0, 1), (1, 2)], True, [0, 0, 1, 2], "11"),
        ("ab", [(0, 0), (0, 1), (1, 2)], [(0, 1)], True, [0, 0, 1, 1], "1"),
        ("", [], [(0, 0)], True, [1], "1"),
    ],
)
def test_whose_tokens(
    text: str,
    tokens: list[tuple[int, int]],
    spans: list[tuple[int, int]],
    eos: bool,
    owners: list[int],
    exact: str,
) -> None:
    found = region_tokens(text, np.array(tokens, np.int64).reshape(-1, 2), spans, eos=eos)
    assert found.owners.tolist() == owners
    assert found.is_exact.tolist() == [flag == "1" for flag in exact]


@pytest.mark.parametrize("name", ["word", "bpe", "char"])
@given(text=texts, bos=..., eos=...)
def test_words_are_regions(
    models: dict[str, LanguageModel], name: str, text: str, bos: bool, eos: bool
) -> None:
    score = models[name].score(text, bos=bos, eos=eos, words=True)
    words = [word for word in score.words if word.start < word.end]
    if any(len(word.text.split()) > 1 for word in words):
        return  # a token joins words
    found = score.regions([(word.start, word.end) for word in words])
    assert [(one.text, one.num_tokens) for one in found] == [(w.text, w.num_tokens) for w in words]
    assert [one.log_prob for one in found] == pytest.approx([w.log_prob for w in words], abs=1e-5)
    assert [one.num_oov > 0 for one in found] == [word.is_oov for word in words]


@pytest.mark.parametrize("name", ["word", "bpe", "char"])
@given(text=texts, cuts=st.sets(st.integers(1, 11)), order=st.randoms(use_true_random=False))
def test_regions_of_a_whole_text_sum_to_it(
    models: dict[str, LanguageModel], name: str, text: str, cuts: set[int], order: object
) -> None:
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    spans = list(pairwise(places))
    order.shuffle(spans)  # type: ignore[attr-defined]
    score = models[name].score(text, words=True)
    found = score.regions(spans)
    end = score.words[-1]
    assert [(one.start, one.end) for one in found] == spans
    assert sum(one.num_tokens for one in found) + end.num_tokens == score.num_tokens
    total = sum(one.log_prob for one in found) + end.log_prob
    assert total == pytest.approx(score.log_prob, rel=1e-5, abs=1e-5)
    for one in found:
        own = score.tokens[one.first_token : one.first_token + one.num_tokens]
        printed = [token for token in own if text[token.start : token.end].strip()]
        assert all(token.start < one.end and token.end > one.start for token in printed)


def test_regions_of_lines(lm: LanguageModel) -> None:
    text = "the cat\n\nsat on a mat"
    score = lm.score(text, words=True, split="lines")
    both, last = score.regions([(4, 12), (18, 21)])
    words = {word.text: word.log_prob for word in score.words}
    assert both.text == "cat\n\nsat"
    assert both.log_prob == pytest.approx(words["cat"] + words["sat"])
    assert last.log_prob == pytest.approx(words["mat"])
    assert [score.tokens[one.first_token].text for one in (both, last)] == ["cat", "mat"]
    assert (both.num_tokens, both.num_words, both.is_exact) == (2, 2, True)
    assert both.surprisal == pytest.approx(-both.log_prob / np.log(2))


def test_spans_that_cannot_be(lm: LanguageModel) -> None:
    score = lm.score("the cat", words=True)
    for span in ((-1, 2), (3, 2), (0, 8)):
        with pytest.raises(InputError, match=f"region 1 is {span[0]}:{span[1]}, which is not with"):
            score.regions([span])
    with pytest.raises(InputError, match=r"regions 2 \(0:4\) and 1 \(3:5\) overlap"):
        score.regions([(3, 5), (0, 4)])


def test_scores_without_words(lm: LanguageModel) -> None:
    whole = lm.score("the cat", words=True)
    for score in (lm.score("the cat"), pickle.loads(pickle.dumps(whole))):
        with pytest.raises(OptionError, match="regions need a score that was made here with words"):
            score.regions([(0, 3)])


def test_a_backward_model(tmp_path: Path) -> None:
    """It needs no Z: the token that begins a word is the last of it to be read."""
    score = load(
        make_model(tmp_path / "back", direction="backward", variants=("fp32",)).path
    ).score("the cat sat", words=True)
    found = score.regions([(0, 7), (8, 11)])
    words = [word.log_prob for word in score.words]
    assert [one.log_prob for one in found] == pytest.approx([words[0] + words[1], words[2]])
