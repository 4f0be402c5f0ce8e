"""Models that read sentences from their end: the scores are of the text, in its order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.bundle import Bundle
from lmscore.errors import OptionError
from lmscore.runtime.load import load
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.models.list_scoring import score_lists
from tests.models import WORDS, make_model

TEXTS = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)


@pytest.fixture(scope="module", params=["word", "bpe"])
def pair(request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[LanguageModel, ...]:
    """The same weights, read forward and backward."""
    models = []
    for direction in ("forward", "backward"):
        path = tmp_path_factory.mktemp(direction) / "model"
        make_model(path, tokenizer=request.param, direction=direction, variants=["fp32"])
        assert Bundle.read(path).config.direction == direction
        models.append(load(path))
    return tuple(models)


@given(texts=st.lists(TEXTS, min_size=1, max_size=5), eos=st.booleans())
def test_it_reads_the_tokens_from_the_end(
    pair: tuple[LanguageModel, LanguageModel], texts: list[str], eos: bool
) -> None:
    forward, backward = pair
    for text, score in zip(texts, backward.score_batch(texts, eos=eos, words=True), strict=True):
        ids = forward.tokenizer.encode(text)
        reversed_ids = [*ids[::-1].tolist(), *[forward.config.eos_token_id] * eos]
        expected = by_steps(forward, reversed_ids)
        found = [token.log_prob for token in score.tokens]
        in_text_order = expected[: len(ids)][::-1] + expected[len(ids) :]
        assert found == pytest.approx(in_text_order, abs=1e-4)
        assert [token.id for token in score.tokens][: len(ids)] == ids.tolist()
        assert score.log_prob == pytest.approx(sum(expected), abs=1e-4)
        assert sum(word.log_prob for word in score.words) == pytest.approx(score.log_prob)


def by_steps(lm: LanguageModel, ids: list[int]) -> list[float]:
    """The log-probability of each id after those before it."""
    log_probs, state = lm.step([lm.config.bos_token_id], lm.initial_state())
    found = []
    for token in ids:
        found.append(float(log_probs[0, token]))
        log_probs, state = lm.step([token], state)
    return found


def test_offsets_are_those_of_the_text(pair: tuple[LanguageModel, LanguageModel]) -> None:
    text = "the cat sat on hello mat"
    for token in pair[1].score(text).tokens[:-1]:
        assert token.text.strip("Ġ") == text[token.start : token.end].strip()


@given(lists=st.lists(st.lists(TEXTS, max_size=4), max_size=3))
def test_lists_are_scored_alike(
    pair: tuple[LanguageModel, LanguageModel], lists: list[list[str]]
) -> None:
    for texts, found in zip(lists, score_lists(pair[1], lists, method="tree"), strict=True):
        expected = [pair[1].score(text).log_prob for text in texts]
        assert [score.log_prob for score in found.scores] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda lm: lm.score("a", bos=False), "bos=False is not for a backward model"),
        (lambda lm: lm.score("a", context="document"), "context='document' is not for"),
        (lambda lm: lm.score("a", prefix="so"), "a prefix is not for a backward model"),
        (lambda lm: lm.sample("a"), "cannot continue one"),
        (lambda lm: lm.stream("a"), "cannot continue one"),
        (lambda lm: lm.beam_search("a"), "cannot continue one"),
        (lambda lm: lm.next_words("a"), "cannot continue one"),
    ],
)
def test_what_it_cannot_do(
    pair: tuple[LanguageModel, LanguageModel],
    ask: Callable[[LanguageModel], object],
    message: str,
) -> None:
    with pytest.raises(OptionError, match=message):
        ask(pair[1])


def test_info_shows_the_direction(tmp_path: Path, capsysbinary: Any) -> None:
    from lmscore.cli import main

    make_model(tmp_path / "model", direction="backward")
    assert main(["info", str(tmp_path / "model")]) == 0
    assert b"backward" in capsysbinary.readouterr().out
