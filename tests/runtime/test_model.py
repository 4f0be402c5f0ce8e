"""A text has one probability, whichever way it is asked for."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import InputError, ModelError, OptionError
from lmscore.runtime.engine import Engine, Graph, State
from lmscore.runtime.load import load
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.scoring import stream_windows as windows
from lmscore.runtime.scoring.score import Score
from tests.models import make_model

TOLERANCE = 1e-4  # nats per token, fp32
INT8_TOLERANCE = 0.1  # nats per token: int8 takes one scale for all that shares a batch

TEXTS = [
    "thanks for all the fish",
    "",
    "the cat",
    "  the\tdog  ",
    "Ünïcödé 詩 🐟 \x00\x1b",
    "the cat sat on the mat " * 12,
    "</s> <s> <unk>",
]

texts = st.lists(st.one_of(st.text(max_size=40), st.sampled_from(TEXTS)), min_size=1, max_size=6)


def by_steps(
    lm: LanguageModel, text: str, state: State, *, bos: bool = True, eos: bool = True
) -> tuple[list[float], State]:
    """The log-probs of a text's scored tokens, one `step` per token, and the state after it."""
    ids = lm.tokenizer.encode(text).tolist()
    row = [lm.config.bos_token_id] * bos + ids + [lm.config.eos_token_id] * eos
    inputs = row[: bos + len(ids)]
    log_probs = []
    for token, target in itertools.zip_longest(inputs, row[1:]):
        if token is None:
            break
        values, state = lm.step([token], state)
        if target is not None:
            log_probs.append(float(values[0, target]))
    return log_probs, state


def token_log_probs(score: Score) -> list[float]:
    return [token.log_prob for token in score.tokens]


def assert_same(scores: Iterable[Score], expected: Iterable[Score], tolerance: float) -> None:
    for score, other in zip(scores, expected, strict=True):
        assert score.text == other.text
        assert token_log_probs(score) == pytest.approx(token_log_probs(other), abs=tolerance)


@given(texts, st.booleans(), st.booleans())
def test_scoring_is_stepping(lm: LanguageModel, texts: list[str], bos: bool, eos: bool) -> None:
    for text, score in zip(texts, lm.score_batch(texts, bos=bos, eos=eos), strict=True):
        log_probs, _ = by_steps(lm, text, lm.initial_state(), bos=bos, eos=eos)
        assert token_log_probs(score) == pytest.approx(log_probs, abs=TOLERANCE)
        assert score.log_prob == pytest.approx(sum(log_probs), abs=TOLERANCE * (1 + len(log_probs)))


@given(texts)
def test_batched_is_one_by_one(lm: LanguageModel, texts: list[str]) -> None:
    assert_same(lm.score_batch(texts), map(lm.score, texts), TOLERANCE)


@given(texts)
def test_batched_is_one_by_one_within_bounds_in_int8(
    lm_int8: LanguageModel, texts: list[str]
) -> None:
    assert_same(lm_int8.score_batch(texts), map(lm_int8.score, texts), INT8_TOLERANCE)


@given(texts)
def test_a_byte_model_knows_every_text(bpe_lm: LanguageModel, texts: list[str]) -> None:
    scores = bpe_lm.score_batch(texts)
    assert_same(scores, map(bpe_lm.score, texts), TOLERANCE)
    for text, score in zip(texts, scores, strict=True):
        assert (score.num_oov, score.oov_log_prob) == (0, 0.0)
        log_probs, _ = by_steps(bpe_lm, text, bpe_lm.initial_state())
        assert token_log_probs(score) == pytest.approx(log_probs, abs=TOLERANCE)


@pytest.mark.parametrize("budget", [1, 7, 100])
@pytest.mark.parametrize("context", ["sentence", "document"])
def test_chunked_is_whole(
    lm: LanguageModel, context: Any, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = lm.score_batch(TEXTS, context=context)
    monkeypatch.setattr(Engine, "target_budget", budget)
    assert_same(lm.score_batch(TEXTS, context=context), whole, TOLERANCE)


@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize("eos", [True, False])
@pytest.mark.parametrize("window", [1, 2, 1000])
def test_document_context_carries_the_state(
    lm: LanguageModel, bos: bool, eos: bool, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "_WINDOW_TEXTS", window)
    state = lm.initial_state()
    scores = lm.score_batch(TEXTS, context="document", bos=bos, eos=eos)
    for text, score in zip(TEXTS, scores, strict=True):
        log_probs, state = by_steps(lm, text, state, bos=bos, eos=eos)
        assert token_log_probs(score) == pytest.approx(log_probs, abs=TOLERANCE)


def test_the_model_says_which_context_is_meant(
    lm: LanguageModel, document_lm: LanguageModel
) -> None:
    for model, own, other in (
        (lm, "sentence", "document"),
        (document_lm, "document", "sentence"),
    ):
        by_default = model.score_batch(TEXTS)
        assert by_default == model.score_batch(TEXTS, context=own)  # type: ignore[arg-type]
        different = model.score_batch(TEXTS, context=other)  # type: ignore[arg-type]
        assert by_default[0].log_prob == pytest.approx(different[0].log_prob, abs=1e-3)
        assert by_default[2].log_prob != pytest.approx(different[2].log_prob, abs=1e-6)


def test_streamed_is_listed(lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = lm.score_batch(TEXTS)
    monkeypatch.setattr(windows, "_WINDOW_TEXTS", 3)
    assert_same(lm.score_stream(iter(TEXTS)), listed, TOLERANCE)


def test_streams_may_be_endless(lm: LanguageModel) -> None:
    def numbers() -> Iterator[str]:
        yield from map(str, itertools.count())

    scores = list(itertools.islice(lm.score_stream(numbers(), tokens=False), 1500))
    assert [score.text for score in scores] == [str(n) for n in range(1500)]


def test_a_window_of_one_answers_before_it_reads_on(lm: LanguageModel) -> None:
    read = []

    def lines() -> Iterator[str]:
        for text in TEXTS:
            read.append(text)
            yield text

    for number, score in enumerate(lm.score_stream(lines(), window=1), 1):
        assert read == TEXTS[:number]
        assert score.text == TEXTS[number - 1]


def test_nothing_in_nothing_out(lm: LanguageModel) -> None:
    assert lm.score_batch([]) == []
    assert list(lm.score_stream(iter([]))) == []


def test_what_a_score_counts(lm: LanguageModel) -> None:
    score = lm.score("the cat zyzzyva")
    assert (score.num_words, score.num_tokens, score.num_oov) == (3, 4, 1)
    assert [token.text for token in score.tokens] == ["the", "cat", "<unk>", "</s>"]
    assert [token.is_oov for token in score.tokens] == [False, False, True, False]
    assert score.oov_log_prob == score.tokens[2].log_prob
    assert score.log_prob == pytest.approx(sum(token_log_probs(score)))
    assert score.perplexity == pytest.approx(np.exp(-score.log_prob / 4))


def test_the_empty_line_is_the_end_of_sentence(lm: LanguageModel) -> None:
    log_probs, _ = lm.step([lm.config.bos_token_id], lm.initial_state())
    score = lm.score("")
    assert score.num_tokens == 1
    assert score.log_prob == pytest.approx(log_probs[0, lm.config.eos_token_id], abs=TOLERANCE)


@pytest.mark.parametrize(
    ("bos", "eos", "expected"),
    [
        (True, True, ["the", "cat", "</s>"]),
        (True, False, ["the", "cat"]),
        (False, True, ["cat", "</s>"]),
        (False, False, ["cat"]),
    ],
)
def test_which_tokens_are_scored(
    lm: LanguageModel, bos: bool, eos: bool, expected: list[str]
) -> None:
    score = lm.score("the cat", bos=bos, eos=eos)
    assert [token.text for token in score.tokens] == expected
    assert lm.score("", bos=bos, eos=eos).num_tokens == (bos and eos)


def test_typed_control_tokens_are_unknown_words(lm: LanguageModel) -> None:
    score = lm.score("the </s> cat <s>")
    assert [token.text for token in score.tokens] == ["the", "<unk>", "cat", "<unk>", "</s>"]
    assert score.num_oov == 2


def test_tokens_can_be_left_out(lm: LanguageModel) -> None:
    for score, lean in zip(lm.score_batch(TEXTS), lm.score_batch(TEXTS, tokens=False), strict=True):
        assert lean.tokens == ()
        assert lean.log_prob == score.log_prob
        assert lean.num_tokens == score.num_tokens == len(score.tokens)


def test_long_lines_are_not_truncated(lm: LanguageModel) -> None:
    score = lm.score("the cat sat " * 20_000, tokens=False)
    assert score.num_tokens == 60_001
    assert np.isfinite(score.log_prob)


def test_option_errors(lm: LanguageModel) -> None:
    with pytest.raises(OptionError, match="window must be an integer, 1 or more, not 0"):
        lm.score_stream([], window=0)
    with pytest.raises(OptionError, match="context must be one of sentence, document, not 'x'"):
        lm.score("the", context="x")  # type: ignore[arg-type]


def test_columns_are_texts_and_tables_are_not(lm: LanguageModel) -> None:
    pa = pytest.importorskip("pyarrow")
    texts = ["the cat", "so long"]
    expected = [score.log_prob for score in lm.score_batch(texts)]
    table = pa.table({"text": texts})
    columns: list[Any] = [table["text"], table["text"].combine_chunks(), np.array(texts)]
    for column in columns:
        assert [score.log_prob for score in lm.score_batch(column)] == expected
    tables: list[Any] = [table, table.to_batches()[0], {"text": texts}]
    for whole in tables:
        for call in (lm.score_batch, lm.next_words_batch, lambda t: list(lm.measure_stream(t))):
            with pytest.raises(InputError, match=r"got a table, \w+: give the column of the texts"):
                call(whole)


def test_input_errors_name_the_item(lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "_WINDOW_TEXTS", 2)
    with pytest.raises(InputError, match="text 3: lone surrogate at character 5"):
        lm.score_batch(["the", "cat", "the \ud800"])
    with pytest.raises(InputError, match="text 4: expected a string, got NoneType"):
        lm.score_batch(["the", "cat", "the", None])  # type: ignore[list-item]
    with pytest.raises(InputError, match="got one string; use score, or a list"):
        lm.score_batch("the cat")
    with pytest.raises(InputError, match="text 1: expected a string, got int"):
        lm.score(7)  # type: ignore[arg-type]


def test_scores_that_are_not_finite_are_an_error(
    lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Graph.run

    def broken(*args: Any, **kwargs: Any) -> list[Any]:
        first, *rest = run(*args, **kwargs)
        return [np.full_like(first, np.nan), *rest]

    monkeypatch.setattr(Graph, "run", broken)
    with pytest.raises(ModelError, match=r"model\.onnx: yields log-probabilities that are not"):
        lm.score("the cat")
    with pytest.raises(ModelError, match="not finite"):
        lm.step([1], lm.initial_state())


def test_threads_share_a_model(lm: LanguageModel) -> None:
    expected = lm.score_batch(TEXTS)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: lm.score_batch(TEXTS), range(24)))
    assert all(scores == expected for scores in results)


def test_attributes(lm: LanguageModel, lm_int8: LanguageModel) -> None:
    assert (lm.variant, lm_int8.variant) == ("fp32", "int8")
    assert lm.device == "cpu"
    assert lm.vocab_size == lm.config.vocab_size
    assert repr(lm) == f"LanguageModel({str(lm.path)!r}, variant='fp32', device='cpu')"


@pytest.mark.parametrize("name", ["lm", "bpe_lm", "document_lm"])
@pytest.mark.parametrize("text", ["", "the cat sat", "so long and thanks"])
def test_ids_spell_the_text_that_they_were_made_of(
    name: str, text: str, request: pytest.FixtureRequest
) -> None:
    lm: LanguageModel = request.getfixturevalue(name)
    ids = lm.encode(text)
    assert (str(ids.dtype), ids.ndim) == ("int64", 1)
    assert lm.decode(ids) == lm.decode(ids.tolist()) == text
    assert lm.decode([lm.config.bos_token_id, *ids, lm.config.eos_token_id]) == text
    score = lm.score(text)
    assert [*ids.tolist(), lm.config.eos_token_id] == [token.id for token in score.tokens]


def test_what_ids_are_made_of_and_spell(lm: LanguageModel, bpe_lm: LanguageModel) -> None:
    assert lm.decode(lm.encode("  the  cat ")) == "the cat"
    assert lm.decode(lm.encode("the </s> xyz")) == "the <unk> <unk>"
    for text in ("caf\u00e9 \U0001f41f", "  two  spaces ", "</s>"):
        assert bpe_lm.decode(bpe_lm.encode(text)) == text
    part = bpe_lm.encode("\u00e9")[:1]
    assert bpe_lm.decode(part) == "\ufffd"


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([3, 60], "token id 60 is not in the vocabulary"),
        ([-1], "token id -1 is not in the vocabulary"),
        ([0.5], "ids must be a list or 1-d array of integers"),
        ([[1]], "ids must be a list or 1-d array of integers"),
        ([[1], [1, 2]], "ids must be a list or 1-d array of integers: "),
    ],
)
def test_ids_that_spell_nothing(lm: LanguageModel, ids: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        lm.decode(ids)
    with pytest.raises(InputError, match="text 1: expected a string, got int"):
        lm.encode(3)  # type: ignore[arg-type]


def test_only_a_forward_model_continues_texts(lm: LanguageModel, tmp_path: Path) -> None:
    lm.check_forward()
    lm.check_forward("anything")
    backward = load(make_model(tmp_path / "model", direction="backward", variants=["fp32"]).path)
    assert backward.decode(backward.encode("the cat")) == "the cat"
    with pytest.raises(OptionError, match="model: a backward model reads texts from their end and"):
        backward.check_forward()
    with pytest.raises(OptionError, match="model: a prefix is not for a backward model, which rea"):
        backward.check_forward("a prefix")


def test_reprs_are_short(lm: LanguageModel) -> None:
    assert repr(lm) == f"LanguageModel({str(lm.path)!r}, variant='fp32', device='cpu')"
    score = lm.score("the cat", words=True)
    assert len(repr(score)) < 200
    assert repr(score).startswith("Score(text='the cat', log_prob=-")
    assert len(repr(lm.sample("the", max_tokens=20, seed=1)[0])) < 300


def test_a_keyword_that_is_none_of_score(lm: LanguageModel) -> None:
    expected = "unexpected keyword argument 'window'; there are bos, eos, context, tokens, words, j"
    with pytest.raises(TypeError, match=expected):
        lm.score("the cat", window=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=expected):
        lm.score_batch(["the cat"], window=3)  # type: ignore[call-arg]
