"""The parts of a long text have the ids, and the offsets, of the whole."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)

import lmscore
from lmscore.errors import InputError
from lmscore.runtime.text import encoding
from lmscore.runtime.text.cut_patterns import RUNS, WORDS
from lmscore.runtime.text.cuts import Cuts, find_cuts
from lmscore.runtime.text.encoding import PART
from lmscore.runtime.text.tokenizer import TextTokenizer
from lmscore.train.normalization import TOKENISED, make_normalizer
from tests.runtime.text.test_tokenizer import config_of

CORPUS = [
    "the cat sat on the mat, don't it? she 's gone .",
    "thanks for all the fish and the naïve café",
    "кот сидел на ковре и смотрел на рыбу",
    "고양이가 매트 위에 앉았다 漢字と仮名 漢字漢字",
    "1,234 words  with   spaces -LRB- and @-@ marks -RRB-",
] * 3
STEPS = "punctuation nfkc detokenize accents digits lowercase".split()
BUNDLED = Path(lmscore.__file__).parent / "models" / "english" / "tokenizer.json"


def trained(
    kind: str, *, normalizer: Any = None, pre_tokenizer: Any = None, size: int = 400, **options: Any
) -> Tokenizer:
    """A tokenizer of a kind, trained on a few lines of several scripts."""
    model: Any
    trainer: Any
    if kind == "bpe":
        model, trainer = models.BPE(**options), trainers.BpeTrainer
    elif kind == "unigram":
        model, trainer = models.Unigram(), trainers.UnigramTrainer
    elif kind == "wordpiece":
        model, trainer = models.WordPiece(unk_token="<unk>"), trainers.WordPieceTrainer
    else:
        model, trainer = models.WordLevel(unk_token="<unk>"), trainers.WordLevelTrainer
    tokenizer = Tokenizer(model)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    special = ["<s>", "</s>", "<unk>"]
    more = {"unk_token": "<unk>"} if kind == "unigram" else {}
    made = trainer(vocab_size=size, special_tokens=special, show_progress=False, **more)
    tokenizer.train_from_iterator(CORPUS, made)
    tokenizer.encode_special_tokens = True
    return tokenizer


def by_pattern(pattern: str) -> Callable[[], Tokenizer]:
    return lambda: trained("bpe", pre_tokenizer=split_by(pattern))


def split_by(pattern: str, *, invert: bool = False) -> Any:
    parts = [
        pre_tokenizers.Split(Regex(pattern), "removed" if invert else "isolated", invert=invert),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
    return pre_tokenizers.Sequence(parts)


def metaspace(scheme: str = "always", *, split: bool = True) -> Any:
    return pre_tokenizers.Metaspace("\u2581", prepend_scheme=scheme, split=split)


def with_added_word() -> Tokenizer:
    tokenizer = trained("bpe", pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=True))
    tokenizer.add_tokens([AddedToken("cat", normalized=True), AddedToken("fi", single_word=True)])
    return tokenizer


def llama() -> Tokenizer:
    """BPE without a pre-tokenizer, like that of Llama: no merge goes over a space."""
    tokenizer = trained(
        "bpe", pre_tokenizer=metaspace(), unk_token="<unk>", fuse_unk=True, byte_fallback=True
    )
    steps = [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    document = json.loads(tokenizer.to_str()) | {"pre_tokenizer": None}
    tokenizer = Tokenizer.from_str(json.dumps(document))
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.encode_special_tokens = True
    return tokenizer


def llama_with_end() -> Tokenizer:
    """Like that of some Llamas: a token that is not special takes the white space behind it."""
    tokenizer = llama()
    tokenizer.add_tokens([AddedToken("<end>", rstrip=True, normalized=False)])
    return tokenizer


def gpt2_with_blanks() -> Tokenizer:
    """Like that of Phi: GPT-2's, with tokens for indentation."""
    tokenizer = trained("bpe", pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=False))
    tokenizer.add_tokens([AddedToken(" " * size) for size in (4, 3, 2)] + [AddedToken("\t\t")])
    return tokenizer


def llama_of_sentencepiece() -> Tokenizer:
    """The steps that `sentencepiece/convert.py` gives a model."""
    tokenizer = llama()
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Replace(Regex("\\A +|[ \u2581]+\\z"), ""),
            normalizers.Replace(Regex("  +"), " "),
            normalizers.Prepend(" "),
            normalizers.Replace(" ", "\u2581"),
        ]
    )
    return tokenizer


def gemma() -> Tokenizer:
    tokenizer = llama()
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    return tokenizer


def unprefixed_llama() -> Tokenizer:
    tokenizer = llama()
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = metaspace("first", split=False)
    return tokenizer


WHITESPACE = pre_tokenizers.WhitespaceSplit()
CHARACTERS = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
MARKS = [pre_tokenizers.Digits(), pre_tokenizers.Punctuation(), WHITESPACE]
ALBERT = [
    normalizers.Replace("``", '"'),
    normalizers.NFKD(),
    normalizers.StripAccents(),
    normalizers.Lowercase(),
    normalizers.Replace(Regex(" {2,}"), " "),
]
DEEPSEEK = [
    pre_tokenizers.Split(Regex(pattern), "isolated")
    for pattern in (*sorted(RUNS), next(word for word in WORDS if word.startswith("[!")))
]
T5 = [
    normalizers.NFKC(),
    normalizers.Strip(left=False, right=True),
    normalizers.Replace(Regex(" {2,}"), "\u2581"),
]
MADE = {
    "bundled": lambda: Tokenizer.from_file(str(BUNDLED)),
    "byte-level": lambda: trained("bpe", pre_tokenizer=pre_tokenizers.ByteLevel()),
    "byte-level unigram": lambda: trained("unigram", pre_tokenizer=pre_tokenizers.ByteLevel()),
    "gpt-2": lambda: trained("bpe", pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=False)),
    "added words": with_added_word,
    **{f"pattern {number}": by_pattern(pattern) for number, pattern in enumerate(sorted(WORDS))},
    "inverted": lambda: trained("bpe", pre_tokenizer=split_by(min(WORDS), invert=True)),
    "word": lambda: trained("word", pre_tokenizer=WHITESPACE),
    "char": lambda: trained(
        "char", pre_tokenizer=pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    ),
    "char of normal forms": lambda: trained(
        "char",
        normalizer=make_normalizer("nfkc+lowercase"),
        pre_tokenizer=CHARACTERS,
    ),
    "every step": lambda: trained(
        "bpe", normalizer=make_normalizer("+".join(STEPS)), pre_tokenizer=pre_tokenizers.ByteLevel()
    ),
    "bert": lambda: trained(
        "wordpiece",
        normalizer=normalizers.BertNormalizer(),
        pre_tokenizer=pre_tokenizers.BertPreTokenizer(),
    ),
    "punctuation": lambda: trained(
        "word",
        pre_tokenizer=pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(), pre_tokenizers.Punctuation(), WHITESPACE]
        ),
    ),
    "metaspace": lambda: trained("unigram", pre_tokenizer=metaspace()),
    "metaspace first": lambda: trained("bpe", pre_tokenizer=metaspace("first"), unk_token="<unk>"),
    "t5": lambda: trained(
        "unigram", normalizer=normalizers.Sequence(T5), pre_tokenizer=metaspace()
    ),
    "albert": lambda: trained(
        "unigram",
        normalizer=normalizers.Sequence(ALBERT),
        pre_tokenizer=pre_tokenizers.Sequence([WHITESPACE, metaspace()]),
    ),
    "runs": lambda: trained(
        "bpe",
        pre_tokenizer=pre_tokenizers.Sequence(
            [*DEEPSEEK, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
        ),
    ),
    "llama": llama,
    "llama with end": llama_with_end,
    "gpt-2 with blanks": gpt2_with_blanks,
    "sentencepiece bpe": llama_of_sentencepiece,
    "gemma": gemma,
    "llama without prefix": unprefixed_llama,
}

_made: dict[str, tuple[Tokenizer, Cuts]] = {}


def made(name: str) -> tuple[Tokenizer, Cuts]:
    if name not in _made:
        tokenizer = MADE[name]()
        tokenizer.encode_special_tokens = True
        cuts = find_cuts(tokenizer)
        assert cuts is not None
        _made[name] = tokenizer, cuts
    return _made[name]


ODD = (
    "n't 's `` '' -LRB- a\u0301 \u0301 \u02bc \ufb01 ﷺ ﺪ 각 ᄀ ᅡ ᆨ "
    "<s> <unk> <end> 漢 字 。 0 x É İ ß \u2581 @ ½ ª ʰ \u200d 😀"
).split()
PIECES = st.sampled_from([*" ".join(CORPUS).split(), *[" "] * 3, "  ", "\t", "\n", *ODD])
TEXTS = st.lists(PIECES | st.text(max_size=3), max_size=30).map("".join) | st.lists(
    PIECES, max_size=30
).map(" ".join)


@pytest.mark.parametrize("name", MADE)
@settings(max_examples=60)
@given(text=TEXTS, size=st.integers(1, 12))
@example(text="do n't go n\u02bct at  all the fish", size=1)
@example(text="漢字漢字 漢字 the 漢字", size=1)
def test_parts_have_the_ids_and_offsets_of_the_whole(name: str, text: str, size: int) -> None:
    tokenizer, cuts = made(name)
    whole = tokenizer.encode(text, add_special_tokens=False)
    parts = [part for _, part in cuts.parts(text, size)]
    encoded = tokenizer.encode_batch(parts, add_special_tokens=False)
    assert [token for part in encoded for token in part.ids] == whole.ids
    with patch.object(encoding, "PART", size):
        ids, offsets = encoding.spans_in_parts(tokenizer.encode_batch, text, cuts, 1)
    assert ids.tolist() == whole.ids
    assert [*map(tuple, offsets.tolist())] == whole.offsets


@pytest.mark.parametrize("name", MADE)
def test_words_are_cut(name: str) -> None:
    _, cuts = made(name)
    text = "thanks for all the fish " * 10
    parts = list(cuts.parts(text, 20))
    assert len(parts) > 8
    assert all(len(part) < 30 for _, part in parts)
    assert all(text.startswith(part, begin) for begin, part in parts)


def test_ideographs_are_cut_where_every_character_is_a_token() -> None:
    for name in ("char", "bert"):
        assert len(list(made(name)[1].parts("漢字" * 10, 5))) > 2
    assert len(list(made("bundled")[1].parts("漢字" * 10, 5))) == 1


@given(st.lists(st.sampled_from(["漢", "字", " ", "ab", "c", "1", "\n"])).map("".join))
def test_a_cut_is_at_the_first_place_of_either_kind(text: str) -> None:
    def is_cut(place: int) -> bool:
        if set(text[place - 1 : place + 1]) <= set("漢字"):
            return True
        beside = text[place - 1] + text[place + 1 : place + 3]
        return text[place] == " " and len(beside) == 3 and beside.isalpha()

    (_, first), *_ = Cuts(ideographs=True).parts(text, 1)
    assert len(first) == next(filter(is_cut, range(1, len(text))), len(text))


def test_a_long_text_of_ideographs_is_searched_once() -> None:
    text = "漢字" * 500_000
    parts = list(Cuts(ideographs=True).parts(text, 1000))
    assert len(parts) == 1000
    assert "".join(part for _, part in parts) == text


def replaced(pattern: Any, content: str) -> Any:
    return normalizers.Replace(pattern, content)


UNSAFE = {
    "unigram of whole lines": lambda: trained("unigram"),
    "merges over spaces": lambda: trained("bpe", unk_token="<unk>"),
    "no space in the vocabulary": lambda: Tokenizer(models.BPE({"a": 0}, [], unk_token="a")),
    "strips": lambda: trained("word", normalizer=normalizers.Strip(), pre_tokenizer=WHITESPACE),
    "unknown pattern": lambda: trained("bpe", pre_tokenizer=split_by(r"\p{L}+ ?")),
    "fixed lengths": lambda: trained(
        "word", pre_tokenizer=pre_tokenizers.Sequence([pre_tokenizers.FixedLength(3), WHITESPACE])
    ),
    "space behind words": lambda: trained(
        "word", pre_tokenizer=pre_tokenizers.Split(" ", "merged_with_previous")
    ),
    "a letter becomes a space": lambda: trained(
        "word", normalizer=replaced("a", " "), pre_tokenizer=WHITESPACE
    ),
    "letters by a class become spaces": lambda: trained(
        "word", normalizer=replaced(Regex("[a-c]"), " "), pre_tokenizer=WHITESPACE
    ),
    "letters vanish": lambda: trained(
        "word", normalizer=replaced(Regex("[a-c]"), ""), pre_tokenizer=WHITESPACE
    ),
    "a space in a string": lambda: trained(
        "word", normalizer=replaced("e f", "-"), pre_tokenizer=WHITESPACE
    ),
    "spaces by a class": lambda: trained(
        "word", normalizer=replaced(Regex(r"\s"), "_"), pre_tokenizer=WHITESPACE
    ),
    "a pattern over several characters": lambda: trained(
        "word", normalizer=replaced(Regex("a.b"), "-"), pre_tokenizer=WHITESPACE
    ),
    "two prefixes": lambda: trained(
        "word",
        normalizer=normalizers.Sequence([normalizers.Prepend(" "), normalizers.Prepend(" ")]),
        pre_tokenizer=WHITESPACE,
    ),
    "a prefix of letters": lambda: trained(
        "word", normalizer=normalizers.Prepend("x"), pre_tokenizer=WHITESPACE
    ),
}


@pytest.mark.parametrize("name", UNSAFE)
def test_texts_of_other_tokenizers_are_read_whole(name: str) -> None:
    assert find_cuts(UNSAFE[name]()) is None


@pytest.mark.parametrize(
    "token", [AddedToken("the fish"), AddedToken("a", lstrip=True), AddedToken("b", rstrip=True)]
)
def test_added_tokens_may_not_lie_across_a_cut(token: AddedToken) -> None:
    tokenizer = trained("bpe", pre_tokenizer=pre_tokenizers.ByteLevel())
    assert find_cuts(tokenizer) is not None
    tokenizer.add_tokens([token])
    assert find_cuts(tokenizer) is None


@pytest.mark.parametrize("content", [" fish", "fish ", " "])
def test_added_tokens_may_not_hold_a_space_that_a_part_has_lost(content: str) -> None:
    tokenizer = llama()
    assert find_cuts(tokenizer) is not None
    tokenizer.add_tokens([AddedToken(content, normalized=False)])
    assert find_cuts(tokenizer) is None


def test_patterns_of_detokenize_are_known() -> None:
    for step in STEPS:
        tokenizer = trained(
            "word", normalizer=make_normalizer(step), pre_tokenizer=pre_tokenizers.ByteLevel()
        )
        assert find_cuts(tokenizer) is not None, step
    assert TOKENISED


def long_text() -> str:
    draw = random.Random(7)
    words = [word for line in CORPUS for word in line.split()]
    return " ".join(draw.choice(words) for _ in range(3 * PART // 4))


def test_a_long_text_is_read_in_parts() -> None:
    tokenizer, _ = made("byte-level")
    text, short = long_text(), "the cat"
    assert len(text) > 2 * PART
    wrapped = TextTokenizer(tokenizer, config_of(tokenizer, unk=None), source="here")
    rows = wrapped.encode_batch([short, text, "", short])
    whole = tokenizer.encode(text, add_special_tokens=False)
    np.testing.assert_array_equal(rows[1], whole.ids)
    assert [len(row) for row in rows] == [
        len(wrapped.encode(short)),
        len(whole.ids),
        0,
        len(rows[0]),
    ]
    spans = wrapped.spans(text)
    assert [*zip(spans.starts, spans.ends, strict=True)] == whole.offsets
    (begun, alone) = wrapped.encode_spans(["the cat", text])
    assert begun.offsets == tokenizer.encode("the cat", add_special_tokens=False).offsets
    assert alone.ids.tolist() == whole.ids
    assert alone.offsets == whole.offsets


def test_a_long_text_that_cannot_be_read_is_named() -> None:
    tokenizer, _ = made("byte-level")
    wrapped = TextTokenizer(tokenizer, config_of(tokenizer, unk=None), source="here")
    text = long_text()
    with pytest.raises(InputError, match=f"text 2: lone surrogate at character {len(text) + 1},"):
        wrapped.encode_batch(["a", text + "\ud800"])
    with pytest.raises(InputError, match=f"text 2: lone surrogate at character {len(text) + 1},"):
        wrapped.encode_spans(["a", text + "\ud800"])
