"""Looking up: by hand, one way as the other, and as the package kenlm does it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.runtime.ngram import BOS, EOS, LN10, NgramModel, read_arpa
from tests.runtime.ngram.golden import DATA

MODELS = {name: read_arpa(DATA / f"{name}.arpa") for name in ("unigrams", "trigrams", "pruned")}
words = st.sampled_from(["the", "cat", "dog", "a", "sees", "old", "sleeps", "in", "strange", "<s>"])
sentences = st.lists(st.lists(words, max_size=12), min_size=1, max_size=4)


def tokens_of(model: NgramModel, text: list[list[str]]) -> tuple[np.ndarray, np.ndarray]:
    """Sentences in a row, and where each begins."""
    tokens = np.concatenate([[BOS, *model.encode(sentence), EOS] for sentence in text])
    return tokens.astype(np.int64), tokens == BOS


@given(st.sampled_from(list(MODELS)), sentences)
def test_a_text_is_scored_as_word_by_word(name: str, text: list[list[str]]) -> None:
    model = MODELS[name]
    tokens, starts = tokens_of(model, text)
    found = model.log_probs(tokens, starts)
    place = 0
    for sentence in text:
        ids = tokens[place : place + len(sentence) + 2]
        for i in range(1, len(ids)):
            expected = model.next_log_probs(ids[:i])[ids[i]]
            assert found[place + i] == pytest.approx(expected, abs=1e-5)
        place += len(ids)


@given(st.sampled_from(list(MODELS)), st.lists(st.lists(words, min_size=4, max_size=4), min_size=1))
def test_rows_are_scored_as_word_by_word(name: str, rows: list[list[str]]) -> None:
    model = MODELS[name]
    ids = np.array([model.encode(row) for row in rows])
    expected = [model.next_log_probs(row[:-1])[row[-1]] for row in ids]
    assert model.log_probs_of(ids.astype(np.int32)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", ["trigrams", "pruned"])
def test_scores_are_those_of_kenlm(name: str) -> None:
    model = MODELS[name]
    text = [line.split() for line in (DATA / "probes.txt").read_text().splitlines()]
    tokens, starts = tokens_of(model, text)
    expected = [float(line) for line in (DATA / f"{name}.scores").read_text().splitlines()]
    assert model.log_probs(tokens, starts)[~starts] / LN10 == pytest.approx(expected, abs=1e-5)
