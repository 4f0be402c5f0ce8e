"""Entropies, ranks and alternatives against `step`; choices against whole texts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmscore.errors import InputError, OptionError
from lmscore.runtime.engine import Engine
from lmscore.runtime.load import load
from lmscore.runtime.model import LanguageModel
from tests.models import make_model

TEXT = "the cat sat  on zebras"


@pytest.mark.parametrize("name", ["lm", "lm_int8", "bpe_lm"])
def test_measures_are_those_of_step(request: pytest.FixtureRequest, name: str) -> None:
    lm: LanguageModel = request.getfixturevalue(name)
    found = lm.measure(TEXT, alternatives=3)
    score = lm.score(TEXT, words=True)
    state, token = lm.initial_state(), lm.config.bos_token_id
    for measured, scored in zip(found.tokens, score.tokens, strict=True):
        log_probs, state = lm.step([token], state)
        row, token = log_probs[0], scored.id
        place = (scored.id, scored.text, scored.start, scored.end)
        assert (measured.id, measured.text, measured.start, measured.end) == place
        assert measured.log_prob == pytest.approx(scored.log_prob, abs=1e-4)
        entropy = -np.sum(np.exp(row) * row, dtype=np.float64)
        assert measured.entropy == pytest.approx(entropy, abs=1e-4)
        assert measured.rank == 1 + np.count_nonzero(row > row[token])
        best = np.argsort(-row, kind="stable")[:3].tolist()
        assert [text for text, _ in measured.alternatives] == list(map(lm.tokenizer.token, best))
        assert [p for _, p in measured.alternatives] == pytest.approx(row[best], abs=1e-4)
    assert [word.text for word in found.words] == [word.text for word in score.words]


@pytest.mark.parametrize("name", ["lm", "bpe_lm"])
def test_texts_measured_together_are_measured_alone(
    request: pytest.FixtureRequest, name: str
) -> None:
    lm: LanguageModel = request.getfixturevalue(name)
    texts = [TEXT, "", "the", "the cat the cat the cat", "é 🐟"] * 3
    runs: list[tuple[int, int]] = []
    with lm.engine.observe(lambda B, T: runs.append((B, T))):
        together = list(lm.measure_stream(iter(texts), alternatives=2, words=True))
    assert sum(B for B, _ in runs) == len(texts)  # each text is read once
    expected = lm.score_batch(texts, words=True)
    for text, found, score in zip(texts, together, expected, strict=True):
        alone = lm.measure(text, alternatives=2)
        assert (found.text, found.score.num_tokens) == (text, score.num_tokens)
        assert [word.text for word in found.words] == [word.text for word in alone.words]
        assert found.score.log_prob == pytest.approx(score.log_prob, abs=1e-4)
        for word, other in zip(found.score.words, score.words, strict=True):
            assert word.log_prob == pytest.approx(other.log_prob, abs=1e-4)
        for one, other_one in zip(found.tokens, alone.tokens, strict=True):
            assert (one.id, one.start, one.end) == (other_one.id, other_one.start, other_one.end)
            assert one.rank == other_one.rank
            assert one.entropy == pytest.approx(other_one.entropy, abs=1e-4)
            assert [t for t, _ in one.alternatives] == [t for t, _ in other_one.alternatives]


def test_the_onset_is_the_first_token(bpe_lm: LanguageModel) -> None:
    found = bpe_lm.measure("the zebras")
    zebras = found.words[1]
    at = next(token for token in found.tokens if token.end > 3)
    assert len(found.tokens) > 3
    assert (zebras.onset_entropy, zebras.onset_rank) == (at.entropy, at.rank)
    assert found.words[-1].text == "</s>"
    assert found.words[-1].onset_entropy == found.tokens[-1].entropy


def test_an_equal_distribution_has_the_highest_entropy(lm: LanguageModel) -> None:
    for token in lm.measure("the cat").tokens:
        assert 0 <= token.entropy <= math.log(lm.vocab_size)
        assert 1 <= token.rank <= lm.vocab_size


def test_long_texts_go_in_pieces(lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = lm.measure(TEXT, alternatives=2)
    monkeypatch.setattr(Engine, "token_budget", 2)
    pieces = lm.measure(TEXT, alternatives=2)
    for one, other in zip(whole.tokens, pieces.tokens, strict=True):
        assert one.entropy == pytest.approx(other.entropy, abs=1e-5)
        assert (one.rank, one.start) == (other.rank, other.start)


@pytest.mark.parametrize("kind", ["classes", "backward", "self-normalised"])
def test_other_models(kind: str, tmp_path: Path) -> None:
    options = {
        "classes": {"cutoffs": (20, 40)},
        "backward": {"direction": "backward"},
        "self-normalised": {"self_normalized": True},
    }[kind]
    model = make_model(tmp_path / "model", variants=("fp32",), **options)  # type: ignore[arg-type]
    lm = load(model.path)
    found, score = lm.measure(TEXT), lm.score(TEXT)
    assert [token.text for token in found.tokens] == [token.text for token in score.tokens]
    for measured, scored in zip(found.tokens, score.tokens, strict=True):
        assert measured.log_prob == pytest.approx(scored.log_prob, abs=1e-4)
    choices = lm.choose("the ", ["cat", "dog sat", "cat sat"], " on")
    for choice in choices:
        assert choice.log_prob == pytest.approx(
            lm.score(f"the {choice.text} on").log_prob, abs=1e-4
        )


@pytest.mark.parametrize("name", ["lm", "lm_int8", "bpe_lm"])
def test_a_choice_is_the_score_of_the_whole_text(request: pytest.FixtureRequest, name: str) -> None:
    lm: LanguageModel = request.getfixturevalue(name)
    for left, right in (("the ", " sat"), ("", ""), ("the cat sat on ", "")):
        candidates = ["cat", "dog", "", "cat", "the cat and the dog"]
        found = lm.choose(left, candidates, right)
        assert sorted(choice.number for choice in found) == [0, 1, 2, 3, 4]
        assert sum(choice.probability for choice in found) == pytest.approx(1)
        scores = [lm.score(left + candidate + right).log_prob for candidate in candidates]
        for choice in found:
            assert choice.text == candidates[choice.number]
            assert choice.log_prob == pytest.approx(scores[choice.number], abs=1e-3)
            share = math.exp(choice.log_prob - found[0].log_prob)
            assert choice.probability == pytest.approx(found[0].probability * share, rel=1e-4)
        assert found[0].log_prob == max(choice.log_prob for choice in found)


@pytest.mark.parametrize("name", ["lm", "bpe_lm"])
def test_beginnings_that_some_candidates_share_are_read_once(
    request: pytest.FixtureRequest, name: str
) -> None:
    lm: LanguageModel = request.getfixturevalue(name)
    ends = ["cat", "dog", "mat", "fish", "world", "saw", "ran", "good"]
    groups = ("a big dog with all of the", "the cat and the dog saw a")
    candidates = [f"{begin} {end}" for begin in groups for end in ends]
    read = 0

    def note(B: int, T: int) -> None:
        nonlocal read
        read += B * T

    with lm.engine.observe(note):
        found = lm.choose("we saw ", candidates, ".")
    texts = [f"we saw {candidate}." for candidate in candidates]
    rows = [tuple(lm.encode(text).tolist()) for text in texts]
    # <s>, and each distinct beginning once; the last token of what all share is read again.
    distinct = {row[:size] for row in rows for size in range(len(row) + 1)}
    assert read <= len(distinct) + 1
    assert read < sum(map(len, rows)) / 2
    for choice, score in zip(
        sorted(found, key=lambda one: one.number), lm.score_batch(texts), strict=True
    ):
        assert choice.log_prob == pytest.approx(score.log_prob, abs=1e-4)


def test_errors(lm: LanguageModel) -> None:
    with pytest.raises(OptionError, match=r"alternatives must be an integer in 0..60, not 61"):
        lm.measure("the", alternatives=61)
    with pytest.raises(InputError, match="text 1: expected a string, got int"):
        lm.measure(3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="expected several texts, got str"):
        lm.measure_stream("the")
    with pytest.raises(InputError, match="text 2: expected a string, got int"):
        list(lm.measure_stream(["the", 2]))  # type: ignore[list-item]
    with pytest.raises(OptionError, match="window"):
        lm.measure_stream(["the"], window=0)
    wrong: tuple[Any, ...] = ("cat", [], None)
    for candidates in wrong:
        with pytest.raises(InputError, match="expected a list of at least one candidate"):
            lm.choose("the", candidates)
    with pytest.raises(InputError, match="candidate 2: expected a string, got int"):
        lm.choose("the", ["a", 2])  # type: ignore[list-item]
    with pytest.raises(InputError, match="left 1: expected a string"):
        lm.choose(None, ["a"])  # type: ignore[arg-type]


def test_perplexities(lm: LanguageModel) -> None:
    texts = ["the cat", "", "zebra on"]
    summary = lm.summarize(texts)
    scores = lm.score_batch(texts)
    total = sum(score.log_prob for score in scores)
    assert lm.perplexity(texts) == pytest.approx(math.exp(-total / (4 + 3)))
    assert lm.perplexity(texts, per="token") == pytest.approx(math.exp(-total / 7))
    characters = sum(map(len, texts)) + 3
    assert lm.perplexity(texts, per="character") == pytest.approx(math.exp(-total / characters))
    assert lm.perplexity(texts, per="byte") == pytest.approx(math.exp(-total / characters))
    assert lm.perplexity(texts, eos=False) != lm.perplexity(texts)
    assert summary.perplexity_per_word == summary.ppl
    assert summary.perplexity_per_token == summary.perplexity
    assert (summary.oovs, summary.oov_rate) == (1, 1 / 4)
    assert "25.00 % of the tokens" in str(summary)
    assert "too low: OOVs are not spelt" in str(summary)
    assert math.isnan(lm.summarize([]).oov_rate)
    with pytest.raises(OptionError, match="per must be one of word, token, character, byte"):
        lm.perplexity(texts, per="line")  # type: ignore[arg-type]
