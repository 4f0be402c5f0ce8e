"""Offsets from the bytes of tokens are those that the tokenizer itself reports."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    normalizers,
    pre_tokenizers,
    processors,
)

from lmscore.runtime.text.byte_spans import ByteSpans, Spans
from lmscore.runtime.text.tokenizer import TextTokenizer
from tests.runtime.text.test_tokenizer import byte_tokenizer, config_of, word_tokenizer

TEXTS = st.text(st.sampled_from("the cat's  \n\té\u0301☃🐟ﬁ<s>…"), max_size=20) | st.text(
    max_size=9
)


def made(change: Callable[[Tokenizer], object] = lambda _: None) -> Tokenizer:
    tokenizer = byte_tokenizer()
    tokenizer.decoder = decoders.ByteLevel()
    change(tokenizer)
    tokenizer.encode_special_tokens = True
    return tokenizer


def as_of_gpt2(tokenizer: Tokenizer) -> None:
    split = pre_tokenizers.Split(Regex(r"\s+|\S+"), "isolated")
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, level])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)


def normalizing(tokenizer: Tokenizer) -> None:
    parts = [normalizers.Replace("…", "..."), normalizers.Replace(" c", "c"), normalizers.NFC()]
    tokenizer.normalizer = normalizers.Sequence(parts)


def adding(tokenizer: Tokenizer) -> None:
    tokenizer.add_tokens([AddedToken("cat", lstrip=True), AddedToken("☃🐟", rstrip=True)])


EXACT = {
    "plain": made(),
    "of GPT-2": made(as_of_gpt2),
    "normalizing": made(normalizing),
    "adding": made(adding),
}


@pytest.mark.parametrize("kind", EXACT)
@given(text=TEXTS)
def test_spans_are_those_of_the_tokenizer(kind: str, text: str) -> None:
    tokenizer, spans = EXACT[kind], ByteSpans.of(EXACT[kind])
    assert spans is not None
    encoding = tokenizer.encode(text, add_special_tokens=False)
    found = spans.find(text, encoding.ids)
    if found is not None:
        assert list(zip(*found, strict=True)) == encoding.offsets
    else:
        assert kind in ("normalizing", "adding")


def test_known_spans() -> None:
    spans = ByteSpans.of(made())
    assert spans is not None
    tokenizer = made()
    for text, expected in {
        "the cat": Spans([0, 3], [3, 7]),
        " the": Spans([0], [4]),
        # The space in front, and all bytes of a character, have its offsets.
        "☃ the": Spans([0, 0, 0, 0, 1], [1, 1, 1, 1, 5]),
        "": Spans([], []),
    }.items():
        ids = tokenizer.encode(text).ids
        if text in ("the cat", " the"):
            assert len(ids) == len(expected.starts)
        assert spans.find(text, ids) == expected
    assert spans.find("the", tokenizer.encode("cat").ids) is None
    assert spans.find("the cat", tokenizer.encode("the").ids) is None


@pytest.mark.parametrize(
    "other",
    [
        word_tokenizer(),
        byte_tokenizer(),  # without a decoder
        made(lambda it: setattr(it, "post_processor", processors.ByteLevel(trim_offsets=True))),
        made(lambda it: setattr(it, "normalizer", normalizers.Strip())),
        made(lambda it: setattr(it, "normalizer", normalizers.Prepend("x"))),
        made(lambda it: setattr(it, "pre_tokenizer", pre_tokenizers.WhitespaceSplit())),
    ],
)
def test_tokenizers_that_report_other_offsets_are_asked(other: Tokenizer) -> None:
    assert ByteSpans.of(other) is None


@given(TEXTS)
def test_known_tokens_change_no_span(text: str) -> None:
    for tokenizer in (*EXACT.values(), byte_tokenizer()):
        wrapped = TextTokenizer(tokenizer, config_of(tokenizer, unk=None), source="here.json")
        assert wrapped.spans(text, wrapped.encode(text).tolist()) == wrapped.spans(text)
