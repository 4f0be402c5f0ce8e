"""Tokens and words that are computed when they are read are those of any other Score."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.runtime.model import LanguageModel
from lmscore.runtime.scoring.score import Score
from lmscore.runtime.scoring.scored_text import ScoredText
from tests.models import WORDS

LINES = st.lists(st.lists(st.sampled_from([*WORDS, "é", "🐟"]), max_size=6).map(" ".join))


def written_out(score: Score) -> Score:
    """A Score of the same fields, made by the constructor."""
    return Score(**{field.name: getattr(score, field.name) for field in dataclasses.fields(score)})


@given(LINES, st.booleans(), st.booleans())
def test_a_score_is_the_value_that_its_fields_make(
    bpe_lm: LanguageModel, lines: list[str], tokens: bool, words: bool
) -> None:
    found = bpe_lm.score_batch(lines, tokens=tokens, words=words)
    again = bpe_lm.score_batch(lines, tokens=tokens, words=words)
    expected = [written_out(score) for score in again]
    assert found == again == expected
    assert [hash(score) for score in found] == [hash(score) for score in expected]
    assert [repr(score) for score in found] == [repr(score) for score in expected]


def test_copies_have_all_that_was_not_read_yet(bpe_lm: LanguageModel) -> None:
    expected = written_out(bpe_lm.score("thanks for all", words=True))
    for again in (
        lambda score: pickle.loads(pickle.dumps(score)),
        copy.copy,
        copy.deepcopy,
        dataclasses.replace,
    ):
        other = again(bpe_lm.score("thanks for all", words=True))
        assert other == expected
        assert (other.tokens, other.words) == (expected.tokens, expected.words)
    assert dataclasses.asdict(bpe_lm.score("a b"))["tokens"][0]["start"] == 0


def test_tokens_are_computed_when_they_are_read_and_once(
    bpe_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[str] = []
    tokens = ScoredText.tokens

    def watched(self: ScoredText, text: str) -> object:
        computed.append(text)
        return tokens(self, text)

    monkeypatch.setattr(ScoredText, "tokens", watched)
    score = bpe_lm.score("so long")
    assert (score.num_tokens > 1, score.num_words, computed) == (True, 2, [])
    assert score.tokens is score.tokens
    assert computed == ["so long"]
    assert bpe_lm.score("so long", tokens=False).tokens == ()
    assert computed == ["so long"]


def test_a_kept_score_keeps_nothing_of_the_others(bpe_lm: LanguageModel) -> None:
    kept = bpe_lm.score_batch(["thanks for all", "so long"] * 100, words=True)[0]
    parts = parts_of(kept)
    arrays = (parts.ids, parts.log_probs, parts.log_z)
    # Bytes are a copy, where an array might be a view of its whole window.
    assert all(isinstance(array, bytes) and len(array) == 4 * kept.num_tokens for array in arrays)
    assert parts.spans is None
    assert len(kept.tokens) == kept.num_tokens


def parts_of(score: Score) -> ScoredText:
    assert isinstance(score._parts, ScoredText)
    return score._parts


def test_regions_after_all_has_been_read(bpe_lm: LanguageModel) -> None:
    score = bpe_lm.score("thanks for all", words=True)
    first, second, third, _ = score.words
    assert score.tokens
    (region,) = score.regions([(0, 10)])
    assert region.log_prob == pytest.approx(first.log_prob + second.log_prob, rel=1e-5)
    assert third.start == 11


def test_threads_may_read_one_score(bpe_lm: LanguageModel) -> None:
    expected = bpe_lm.score("thanks for all the fish", words=True)
    pair = (expected.tokens, expected.words)
    together = threading.Barrier(4)

    def read(score: Score) -> object:
        together.wait()
        return score.tokens, score.words

    with ThreadPoolExecutor(4) as pool:
        for score in bpe_lm.score_batch(["thanks for all the fish"] * 50, words=True):
            assert list(pool.map(read, [score] * 4)) == [pair] * 4


def test_a_score_has_no_other_attributes(bpe_lm: LanguageModel) -> None:
    score = bpe_lm.score("thanks")
    with pytest.raises(AttributeError, match="'Score' object has no attribute 'token'"):
        score.token  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError):
        score.tokens = ()  # type: ignore[misc]
