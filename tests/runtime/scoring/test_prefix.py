"""Texts given what comes before them: the probability of both is that of one and the other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import InputError, OptionError
from lmscore.runtime.engine.graph import Graph
from lmscore.runtime.load import load
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.scoring.prefix import joiner_between
from lmscore.runtime.scoring.score import Score
from tests.models import WORDS, make_model

TOLERANCE = 1e-4  # nats per token

phrases = st.lists(st.sampled_from([*WORDS, "zebra"]), max_size=5).map(" ".join)
some_text = st.one_of(phrases, st.text(max_size=12))


@pytest.fixture(scope="module")
def models(
    lm: LanguageModel, bpe_lm: LanguageModel, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, LanguageModel]:
    path: Path = tmp_path_factory.mktemp("char") / "model"
    char = load(make_model(path, tokenizer="char", variants=("fp32",)).path)
    return {"word": lm, "bpe": bpe_lm, "char": char}


def values(score: Score) -> list[float]:
    return [token.log_prob for token in score.tokens]


def near(expected: float | list[float]) -> Any:
    return pytest.approx(expected, abs=30 * TOLERANCE)


@pytest.mark.parametrize("name", ["word", "bpe", "char"])
@given(prefix=phrases, text=phrases, eos=st.booleans())
def test_prefix_and_text_make_the_sentence(
    models: dict[str, LanguageModel], name: str, prefix: str, text: str, eos: bool
) -> None:
    lm = models[name]
    joiner = " " if prefix and text else ""
    rest = lm.score(text, prefix=prefix, eos=eos)
    whole = lm.score(prefix + joiner + text, eos=eos)
    begin = lm.score(prefix, eos=False)
    assert rest.log_prob + begin.log_prob == near(whole.log_prob)
    assert rest.num_tokens == whole.num_tokens - begin.num_tokens
    assert rest.num_words == len(text.split())
    assert rest.num_oov == whole.num_oov - begin.num_oov
    assert rest.text == text
    for token in rest.tokens:
        assert 0 <= token.start <= token.end <= len(text)


@pytest.mark.parametrize("name", ["word", "bpe", "char"])
@given(prefix=some_text, text=some_text, joiner=st.sampled_from([" ", "", "-"]), bos=...)
def test_any_text_is_read_token_by_token(
    models: dict[str, LanguageModel], name: str, prefix: str, text: str, joiner: str, bos: bool
) -> None:
    lm = models[name]
    between = joiner_between(prefix, text, joiner)
    given, before = prefix, lm.tokenizer.encode(prefix).tolist()
    if (
        prefix != prefix.rstrip()
        and lm.tokenizer.encode(prefix + "a")[: len(before)].tolist() != before
    ):
        given = prefix.rstrip()
        between = prefix[len(given) :] if text else ""
        before = lm.tokenizer.encode(given).tolist()
    ids = lm.tokenizer.encode(given + between + text).tolist()
    score = lm.score(text, prefix=prefix, joiner=joiner, bos=bos)
    if ids[: len(before)] == before and not (name == "word" and between != " "):
        ids = ids[len(before) :]
    else:
        ids = lm.tokenizer.encode(between + text).tolist()
    inputs = [lm.config.bos_token_id] * bos + before
    expected, state = [], lm.initial_state()
    row = [*inputs, *ids, lm.config.eos_token_id]
    for position, (token, target) in enumerate(itertools.pairwise(row)):
        log_probs, state = lm.step([token], state)
        if position >= len(inputs) - 1:
            expected.append(float(log_probs[0, target]))
    assert values(score) == near(expected)
    assert [token.id for token in score.tokens] == row[max(1, len(inputs)) :]


@given(prefix=some_text.filter(bool), text=some_text, bos=..., eos=...)
def test_in_a_document_it_is_the_sentence_before(
    bpe_lm: LanguageModel, prefix: str, text: str, bos: bool, eos: bool
) -> None:
    options: dict[str, Any] = {"bos": bos, "eos": eos, "context": "document", "words": True}
    _, expected = bpe_lm.score_batch([prefix, text], **options)
    found = bpe_lm.score(text, prefix=prefix, **options)
    assert values(found) == near(values(expected))
    assert [word.text for word in found.words] == [word.text for word in expected.words]
    again = bpe_lm.score_batch([text, text], prefix=[prefix, prefix], **options)
    assert [values(score) for score in again] == [near(values(expected))] * 2


pairs = st.lists(st.tuples(some_text, some_text), min_size=1, max_size=5)


@pytest.mark.parametrize("context", ["sentence", "document"])
@given(pairs=pairs, bos=..., eos=...)
def test_batched_is_alone(
    models: dict[str, LanguageModel],
    context: Any,
    pairs: list[tuple[str, str]],
    bos: bool,
    eos: bool,
) -> None:
    options: dict[str, Any] = {"bos": bos, "eos": eos, "context": context, "words": True}
    for lm in models.values():
        prefixes, texts = zip(*pairs, strict=True)
        batched = lm.score_batch(texts, prefix=prefixes, **options)
        streamed = list(lm.score_stream(iter(texts), prefix=iter(prefixes), window=2, **options))
        for prefix, text, one, other in zip(prefixes, texts, batched, streamed, strict=True):
            alone = lm.score(text, prefix=prefix, **options)
            assert values(one) == near(values(alone))
            assert values(other) == near(values(alone))
            assert sum(word.log_prob for word in alone.words) == pytest.approx(alone.log_prob)
            assert [(t.id, t.start, t.end) for t in one.tokens] == [
                (t.id, t.start, t.end) for t in alone.tokens
            ]


def test_words_and_offsets_are_of_the_text_alone(models: dict[str, LanguageModel]) -> None:
    for lm in models.values():
        score = lm.score("cat  zebra", prefix="the big", words=True)
        found = [(word.text, word.start, word.end) for word in score.words]
        assert found == [("cat", 0, 3), ("zebra", 5, 10), ("</s>", 10, 10)]
        assert score.num_words == 2
    char = models["char"].score("a", prefix="b")
    assert [(token.text, token.start, token.end) for token in char.tokens] == [
        (" ", 0, 0),
        ("a", 0, 1),
        ("</s>", 1, 1),
    ]


@pytest.mark.parametrize(
    ("prefix", "text", "joiner"),
    [
        ("a", "b", " "),
        ("a ", "b", ""),
        ("a", "\u3000b", ""),
        ("", "b", ""),
        ("a", "", ""),
    ],
)
def test_joiner(prefix: str, text: str, joiner: str) -> None:
    assert joiner_between(prefix, text, " ") == joiner


def test_without_a_joiner_a_word_may_go_on(bpe_lm: LanguageModel) -> None:
    ids = [token.text for token in bpe_lm.score("ing", prefix="all", joiner="").tokens]
    assert "".join(ids) == "ing</s>"
    spaced = [token.text for token in bpe_lm.score("ing", prefix="all").tokens]
    assert "".join(spaced) == "Ġing</s>"


def test_white_space_at_the_end_of_a_prefix_is_part_of_the_word_after_it(
    models: dict[str, LanguageModel],
) -> None:
    for prefix, name in (("the ", "bpe"), ("the", "bpe"), ("the ", "word")):
        found = models[name].score("cat sat", prefix=prefix)
        assert found == models[name].score("cat sat", prefix="the", joiner=" ")
        assert models[name].score_batch(["cat sat"], prefix=[prefix])[0].tokens == found.tokens
    assert [token.text for token in models["char"].score("a", prefix="the ").tokens] == [
        "a",
        "</s>",
    ]


def test_an_unknown_word_is_not_shared_with_the_text(lm: LanguageModel) -> None:
    score = lm.score("bra", prefix="ze", joiner="")
    assert [token.text for token in score.tokens] == ["<unk>", "</s>"]


def test_without_bos_the_prefix_gives_the_first_token_its_context(lm: LanguageModel) -> None:
    assert lm.score("cat", prefix="the", bos=False).num_tokens == 2
    assert lm.score("cat", prefix="", bos=False).num_tokens == 1
    assert lm.score("cat", prefix="the", bos=False, context="document").num_tokens == 1


def test_an_empty_prefix_is_none_but_starts_anew(lm: LanguageModel) -> None:
    texts = ["the cat", "sat"]
    anew = lm.score_batch(texts, context="sentence")
    for prefix in ("", ["", ""]):
        found = lm.score_batch(texts, prefix=prefix, context="document")
        assert [score.log_prob for score in found] == near([score.log_prob for score in anew])


def test_one_prefix_is_read_once(lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    run = Graph.run

    def counted(self: Graph, outputs: Any, tokens: Any, **options: Any) -> Any:
        lengths = options.get("lengths", tokens.shape[1])  # by default of whole rows
        read.append(int(np.sum(lengths)))
        return run(self, outputs, tokens, **options)

    monkeypatch.setattr(Graph, "run", counted)
    lm.score_batch(["cat", "dog sat"] * 50, prefix="the cat sat on the mat and saw a")
    assert sum(read) == 9 + 50 * (2 + 3)


def test_streams_of_prefixes_may_be_endless(lm: LanguageModel) -> None:
    def endless(word: str) -> Iterator[str]:
        while True:
            yield word

    stream = lm.score_stream(endless("cat"), prefix=endless("the"), tokens=False)
    assert next(stream).log_prob == near(lm.score("cat", prefix="the").log_prob)


def test_errors(lm: LanguageModel) -> None:
    with pytest.raises(InputError, match="text 2 has no prefix"):
        lm.score_batch(["a", "b"], prefix=["the"])
    with pytest.raises(InputError, match="prefix 2 has no text"):
        lm.score_batch(["a"], prefix=["the", "a"])
    with pytest.raises(InputError, match="prefix must be one string, or one per text, not 7"):
        lm.score("a", prefix=7)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="joiner must be a string, not 3"):
        lm.score("a", prefix="the", joiner=3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="prefix 2: lone surrogate at character 3"):
        lm.score_batch(["a", "b"], prefix=["the", "a \ud800"])
    with pytest.raises(InputError, match="text 2: lone surrogate at character 2"):
        lm.score_batch(["a", "b\ud800"], prefix="the")
