"""Two models as one, against the product of what each says by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import lmscore
from lmscore.errors import InputError, OptionError
from lmscore.runtime.bidirectional import BidirectionalModel, bidirectional_model
from lmscore.runtime.engine import Engine
from lmscore.runtime.model import LanguageModel
from tests.models import WORDS, make_model

Floats = NDArray[np.float64]


def loaded(path: Path, **options: object) -> LanguageModel:
    return lmscore.load(make_model(path, variants=["fp32"], **options).path)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> BidirectionalModel:
    """Two word models."""
    folder = tmp_path_factory.mktemp("both")
    forward = loaded(folder / "forward")
    return lmscore.bidirectional(forward, loaded(folder / "back", direction="backward", seed=1))


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> BidirectionalModel:
    """Two models of pieces of words."""
    folder = tmp_path_factory.mktemp("pieces")
    forward = loaded(folder / "forward", tokenizer="bpe")
    back = loaded(folder / "back", tokenizer="bpe", direction="backward", seed=1)
    return lmscore.bidirectional(forward, back)


def predicted(engine: Engine, ids: list[int]) -> Floats:
    """log P(next token | <s>, ids), [V], token by token."""
    state = engine.initial_state()
    for token in [engine.config.bos_token_id, *ids]:
        step = engine.step([token], state)
        state = step.state
    return np.asarray(step.log_probs[0], np.float64)


def expected(both: BidirectionalModel, ids: list[int], place: int) -> Floats:
    """log P(token | all others), [V], by the formula."""
    config = both.forward.config
    joint = predicted(both.forward.engine, ids[:place])
    joint += predicted(both.backward.engine, ids[:place:-1])
    if both._unigram is not None:
        joint -= both._unigram
    joint[[config.bos_token_id, config.eos_token_id]] = -np.inf
    return np.asarray(joint - np.log(np.exp(joint).sum()))


TEXTS = st.lists(st.lists(st.sampled_from([*WORDS[:9], "zzz"]), max_size=7), min_size=1, max_size=5)


@settings(max_examples=25)
@given(TEXTS)
def test_scores_follow_the_formula(both: BidirectionalModel, words: list[list[str]]) -> None:
    texts = [" ".join(text) for text in words]
    for text, score in zip(texts, both.score_stream(texts, words=True), strict=True):
        ids = both.forward.encode(text).tolist()
        wanted = [expected(both, ids, place)[token] for place, token in enumerate(ids)]
        assert [token.log_prob for token in score.tokens] == pytest.approx(wanted, abs=1e-4)
        assert score.log_prob == pytest.approx(sum(wanted), abs=1e-3)
        assert [word.log_prob for word in score.words] == pytest.approx(wanted, abs=1e-4)
        assert (score.num_tokens, score.num_ends) == (len(ids), 0)
        assert score.num_oov == text.split().count("zzz")


def test_measures_follow_the_formula(both: BidirectionalModel) -> None:
    text = "the cat sat on the mat"
    ids = both.forward.encode(text).tolist()
    (found,) = both.measure_stream([text], alternatives=3, words=True)
    assert len(found.tokens) == len(found.words) == 6
    for place, token in enumerate(found.tokens):
        row = expected(both, ids, place)
        finite = row[np.isfinite(row)]
        assert token.entropy == pytest.approx(-(np.exp(finite) * finite).sum(), abs=1e-4)
        assert token.rank == 1 + (row > row[ids[place]]).sum()
        names = both.forward.tokenizer.tokens(np.argsort(-row)[:3].tolist())
        assert [name for name, _ in token.alternatives] == names
    assert found.score.log_prob == pytest.approx(both.score(text).log_prob)


def test_a_long_text_is_read_in_parts(
    both: BidirectionalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = " ".join(WORDS * 2)
    whole = both.score(text)
    monkeypatch.setattr(Engine, "token_budget", 10)
    assert both.score(text).log_prob == pytest.approx(whole.log_prob, abs=1e-3)
    several = both.score_stream([text, "the cat", "", text])
    wanted = [whole.log_prob, both.score("the cat").log_prob, 0, whole.log_prob]
    assert [score.log_prob for score in several] == pytest.approx(wanted, abs=1e-3)


def test_the_unigram_is_divided_out(both: BidirectionalModel) -> None:
    lines = ["the the cat", "the dog"]
    divided = lmscore.bidirectional(both.forward, both.backward, unigram=lines)
    V = both.forward.vocab_size
    assert divided._unigram is not None
    (the,) = both.forward.encode("the").tolist()
    assert divided._unigram[the] == pytest.approx(np.log(4 / (V + 5)))
    ids = both.forward.encode("a cat ran").tolist()
    wanted = sum(expected(divided, ids, place)[token] for place, token in enumerate(ids))
    assert divided.score("a cat ran").log_prob == pytest.approx(wanted, abs=1e-3)


def test_a_gap_is_filled_over_the_whole_vocabulary(both: BidirectionalModel) -> None:
    ids = both.forward.encode("the cat sat on").tolist()
    row = expected(both, ids, 2)
    found = both.fill("the cat", "on", k=4)
    order = [token for token in np.argsort(-row).tolist() if token != 0]  # 0 is <unk>
    assert [word for word, _ in found] == both.forward.tokenizer.tokens(order[:4])
    assert [p for _, p in found] == pytest.approx(np.exp(row[order[:4]]).tolist(), abs=1e-5)
    chosen = both.choose("the cat ", [word for word, _ in found], " on")
    assert [choice.text for choice in chosen] == [word for word, _ in found]
    every = dict(both.fill("the cat", "on", k=1000))
    assert len(every) == both.forward.vocab_size - 3
    assert not {"<s>", "</s>", "<unk>"} & every.keys()


@pytest.mark.parametrize("kind", ["both", "pieces"])
def test_candidates_are_words_with_their_boundaries(
    kind: str, request: pytest.FixtureRequest
) -> None:
    model: BidirectionalModel = request.getfixturevalue(kind)
    candidates = ["cat", "dog fish", "thanks"]
    found = model.choose("the ", candidates, " ran")
    assert sum(choice.probability for choice in found) == pytest.approx(1)
    for choice in found:
        texts = f"the {choice.text} ran"
        words = [m.score(texts, words=True).words[1:-2] for m in (model.forward, model.backward)]
        wanted = sum(word.log_prob for of_model in words for word in of_model)
        assert choice.log_prob == pytest.approx(wanted, abs=1e-4)
    assert [c.log_prob for c in found] == sorted((c.log_prob for c in found), reverse=True)


def test_a_gap_of_pieces_is_filled_with_likely_words(
    pieces: BidirectionalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bidirectional_model, "_CANDIDATES", 8)
    found = pieces.fill("the cat", "on the mat", k=3)
    assert len(found) == 3
    assert all(0 < p <= 1 for _, p in found)
    assert pieces.fill("", k=1)


def test_totals(both: BidirectionalModel) -> None:
    summary = both.summarize(["the cat", "so long"])
    assert (summary.tokens, summary.words) == (4, 4)
    wanted = sum(both.score(text).log_prob for text in ("the cat", "so long"))
    assert summary.log_prob == pytest.approx(wanted)


MISTAKES: list[tuple[Callable[[BidirectionalModel], object], type[Exception], str]] = [
    (lambda m: lmscore.bidirectional(m.backward, m.forward), OptionError, "reads backward, and is"),
    (lambda m: lmscore.bidirectional(m.forward, m.forward), OptionError, "reads forward, and is"),
    (lambda m: lmscore.bidirectional("a", m.backward), OptionError, "two models that"),  # type: ignore[arg-type]
    (
        lambda m: lmscore.bidirectional(m.forward, m.backward, unigram="text"),
        InputError,
        "unigram takes several texts",
    ),
    (lambda m: list(m.score_stream("text")), InputError, "expected several texts, got str"),
    (lambda m: m.score(3), InputError, "text 1"),  # type: ignore[arg-type]
    (lambda m: m.choose("a", []), InputError, "at least one candidate"),
    (lambda m: m.choose("a", [3]), InputError, "candidate 1"),  # type: ignore[list-item]
    (lambda m: m.fill("a", k=0), OptionError, "k must be"),
    (lambda m: list(m.score_stream(["a"], window=0)), OptionError, "window must be"),
]


@pytest.mark.parametrize(("call", "error", "message"), MISTAKES)
def test_mistakes(
    both: BidirectionalModel,
    call: Callable[[BidirectionalModel], object],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        call(both)


def test_other_tokens(both: BidirectionalModel, pieces: BidirectionalModel) -> None:
    mixed = lmscore.bidirectional(both.forward, pieces.backward)
    assert mixed.choose("the ", ["cat", "dog"])
    with pytest.raises(OptionError, match="has another tokenizer"):
        mixed.score("the cat")
