"""Tokenizers of all kinds, and what of them ends up in tokenizer.json."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from lmscore.bundle import TokenizerKind
from lmscore.errors import InputFileError, ModelError, OptionError
from lmscore.runtime.text.tokenizer import TextTokenizer
from lmscore.train.normalization import choose_normalization
from lmscore.train.options import NORMALIZATION_STEPS, TrainOptions
from lmscore.train.prepare import make_config
from lmscore.train.tokenizers import Vocabulary, load_vocabulary, make_vocabulary
from tests.train.toy import sentences

TEXT = [*sentences(50), "<s> and </s> and <unk> are text", "床前明月光", "naïve cafés"]
KINDS: tuple[TokenizerKind, ...] = ("bpe", "unigram", "word", "char")


def options_for(tokenizer: str, **changes: object) -> TrainOptions:
    values = {"train": ("text",), "output": "model", "tokenizer": tokenizer, "vocab_size": 300}
    return TrainOptions(**{**values, **changes})  # type: ignore[arg-type]


def make(kind: str, text: list[str] = TEXT, **changes: object) -> Vocabulary:
    return make_vocabulary(text, options_for(kind, **changes))


def runtime(vocabulary: Vocabulary) -> TextTokenizer:
    """What scoring makes of the saved file."""
    saved = Tokenizer.from_str(vocabulary.tokenizer.to_str())
    config = make_config(options_for(vocabulary.kind), vocabulary, "")
    return TextTokenizer(saved, config, source="tokenizer.json")


def spell(vocabulary: Vocabulary, text: str) -> list[str]:
    tokenizer = runtime(vocabulary)
    return [tokenizer.token(int(index)) for index in tokenizer.encode(text)]


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_come_first(kind: TokenizerKind) -> None:
    vocabulary = make(kind)
    assert (vocabulary.kind, vocabulary.bos, vocabulary.eos) == (kind, 0, 1)
    assert vocabulary.unk == (2 if kind in ("word", "char") else None)
    assert vocabulary.size <= 300


@pytest.mark.parametrize("kind", KINDS)
def test_a_document_needs_no_begin(kind: TokenizerKind) -> None:
    vocabulary = make(kind, context="document")
    assert vocabulary.bos == vocabulary.eos == 0
    assert vocabulary.tokenizer.token_to_id("<s>") is None or kind == "word"


@pytest.mark.parametrize("kind", KINDS)
def test_typed_control_tokens_are_text(kind: TokenizerKind) -> None:
    ids = runtime(make(kind)).encode("<s> the cat </s>")
    assert 0 not in ids
    assert 1 not in ids


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
@given(text=st.text(st.characters(codec="utf-8")))
def test_bytes_spell_everything(kind: str, text: str) -> None:
    tokenizer = _made_once(kind)
    ids = tokenizer.encode(text)
    assert tokenizer._tokenizer.decode(ids.tolist()).removeprefix(" ") == text.removeprefix(" ")


_once: dict[str, TextTokenizer] = {}


def _made_once(kind: str) -> TextTokenizer:
    if kind not in _once:
        _once[kind] = runtime(make(kind))
    return _once[kind]


def test_a_piece_spelt_like_unk_is_text_to_bytes() -> None:
    vocabulary = make("bpe", ["unk"] * 9, unk_token="Ġunk")
    assert vocabulary.tokenizer.token_to_id("Ġunk") is not None
    assert vocabulary.unk is None


def test_words() -> None:
    vocabulary = make("word")
    assert spell(vocabulary, "the  cat sees\tnothing . <unk>") == (
        ["the", "cat", "sees", "<unk>", ".", "<unk>"]
    )


def test_characters() -> None:
    vocabulary = make("char", ["床前明月光", "a b"])
    assert spell(vocabulary, "明月 b c") == ["明", "月", " ", "b", " ", "<unk>"]
    assert vocabulary.tokenizer.decode(list(runtime(vocabulary).encode("明月 b"))) == "明月 b"


def test_most_frequent_first_ties_alphabetical() -> None:
    vocabulary = make("word", ["d c b a", "c c", "b z"], vocab_size=6)
    assert [vocabulary.tokenizer.id_to_token(index) for index in range(vocabulary.size)] == (
        ["<s>", "</s>", "<unk>", "c", "b", "a"]
    )


def test_special_words_in_the_text_leave_no_holes() -> None:
    vocabulary = make("word", ["<unk> <unk> <s> </s> </s> a b"], vocab_size=5)
    assert vocabulary.size == 5
    assert [vocabulary.tokenizer.id_to_token(index) for index in range(5)] == (
        ["<s>", "</s>", "<unk>", "a", "b"]
    )


def test_minimum_count() -> None:
    assert spell(make("word", ["a a b"], min_count=2), "a b") == ["a", "<unk>"]
    assert spell(make("char", ["aab"], min_count=2), "ab") == ["a", "<unk>"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_smaller_text_makes_a_smaller_vocabulary(kind: str) -> None:
    vocabulary = make(kind, ["a"], vocab_size=400)
    assert vocabulary.size <= 2 + 256 + 2
    runtime(vocabulary)  # no holes in the ids


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("normalization", "typed", "same"),
    [
        ("nfc", "cafe\u0301", "caf\u00e9"),
        ("nfkc", "\ufb01sh", "fish"),
        ("lowercase", "The Cat", "the cat"),
        ("nfkc+lowercase", "\uff34he \ufb01sh", "the fish"),
        ("punctuation", "\u2018the\u2019 \u201ccat\u201d", "'the' \"cat\""),
        ("punctuation", "the\u2014cat\u2026 sat\u00a0on", "the-cat... sat on"),
        ("punctuation", "\ufb03 \ufb04 \ufb01 \u2212\u2011 \u2032\u2033", "ffi ffl fi -- '\""),
        ("nfc+punctuation+lowercase", "Cafe\u0301\u2019s", "caf\u00e9's"),
        ("lowercase+punctuation+nfc", "Cafe\u0301\u2019s", "caf\u00e9's"),
        ("punctuation+nfkc", "don\u00b4t \u2033", "don't \""),  # in an order of its own
        ("digits", "in 1999, \u0663", "in 0000, 0"),
        ("accents", "nai\u0308ve \u00e9t\u00e9 \uac01", "naive ete \uac01"),
        ("detokenize", "he said ( or so ) , I do n't .", "he said (or so), I don't."),
        ("detokenize", "`` I 'm , '' they 've 10 @,@ 000", "\"I'm,\" they've 10,000"),
    ],
)
def test_normalization_is_saved(kind: str, normalization: str, typed: str, same: str) -> None:
    text = [*TEXT, "caf\u00e9 the fish", same]
    tokenizer = runtime(make(kind, text, normalization=normalization))
    assert tokenizer.encode(typed).tolist() == tokenizer.encode(same).tolist()
    plain = runtime(make(kind, text, normalization="none"))
    assert plain.encode(typed).tolist() != plain.encode(same).tolist()


def test_offsets_refer_to_the_text_as_it_was_typed() -> None:
    text = "the cat said: 'sat...' the"
    tokenizer = runtime(make("char", [text], normalization="punctuation"))
    typed = "the\u00a0cat said: \u2018sat\u2026\u2019 the"
    (encoded,) = tokenizer.encode_spans([typed])
    assert [typed[start:end] for start, end in encoded.spans][-8:] == [
        *("\u2026",) * 3,
        "\u2019",
        " ",
        *"the",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_offsets_of_a_composed_character_cover_all_of_it(kind: str) -> None:
    text = [*TEXT, "caf\u00e9 noir", "\ub9cc", "cafe"]
    for normalization in ("nfc", "nfkc", "punctuation+nfc"):
        tokenizer = runtime(make(kind, text, normalization=normalization))
        (accent,) = tokenizer.encode_spans(["cafe\u0301 noir"])
        assert 5 in accent.spans[:, 1]
        assert 4 not in accent.spans[:, 1]
        (syllable,) = tokenizer.encode_spans(["\u1106\u1161\u11ab"])
        assert {tuple(span) for span in syllable.spans.tolist()} - {(0, 0)} == {(0, 3)}
    tokenizer = runtime(make(kind, text, normalization="accents"))
    (dropped,) = tokenizer.encode_spans(["cafe\u0301 noir"])
    assert 5 in dropped.spans[:, 1]


def test_offsets_of_composed_characters() -> None:
    tokenizer = runtime(make("char", ["caf\u00e9 \ub9cc"], normalization="nfc"))
    (encoded,) = tokenizer.encode_spans(["cafe\u0301 \u1106\u1161\u11ab"])
    assert encoded.spans.tolist() == [[0, 1], [1, 2], [2, 3], [3, 5], [5, 6], [6, 9]]


@pytest.mark.parametrize(
    ("lines", "chosen"),
    [
        (["It\u2019s the caf\u00e9."], "punctuation"),
        (["\u5e8a\u524d\u660e\u6708\u5149"], "none"),
        (["abcdefghi", *["not looked at"] * 9, "\u0436"], "punctuation"),  # nine of ten
        (["abcdefgh", *["not looked at"] * 9, "\u0436"], "none"),
        (["1 2 3"], "none"),
        ([], "none"),
    ],
)
def test_punctuation_is_normalised_in_latin_text(lines: list[str], chosen: str) -> None:
    assert choose_normalization("auto", lines) == chosen
    assert choose_normalization("nfc", lines) == "nfc"


def test_every_step_is_made() -> None:
    make("char", normalization="+".join(NORMALIZATION_STEPS))
    for wrong in ("nfd", "nfc+", "nfc,lowercase", "auto+nfc"):
        with pytest.raises(OptionError, match=f"normalization is '{re.escape(wrong)}', expected"):
            options_for("char", normalization=wrong)


@pytest.mark.parametrize(
    ("kind", "size", "message"),
    [
        ("bpe", 257, "vocab_size is 257; a bpe tokenizer needs 258 or more for the bytes and"),
        ("unigram", 258, "vocab_size is 258; a unigram tokenizer needs 259"),
        ("word", 3, "vocab_size is 3: no room beside <s>, </s>, <unk>"),
        ("char", 1, "vocab_size is 1: no room beside <s>, </s>, <unk>"),
    ],
)
def test_too_small(kind: str, size: int, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make(kind, vocab_size=size)


@pytest.mark.parametrize("kind", KINDS)
def test_just_large_enough(kind: str) -> None:
    size = {"bpe": 258, "unigram": 259, "word": 4, "char": 4}[kind]
    vocabulary = make(kind, vocab_size=size)
    assert vocabulary.size == size
    runtime(vocabulary)


@pytest.mark.parametrize("kind", ["bpe", "word"])
def test_ctrl_c_ends_it_at_once(kind: str) -> None:
    def many() -> Iterator[str]:
        os.kill(os.getpid(), signal.SIGINT)
        yield from itertools.repeat("the cat sat", 5_000_000)

    lines, before = many(), set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        make_vocabulary(lines, options_for(kind))
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
    assert next(lines) == "the cat sat"  # most of them are left


def given_file(path: Path, *names: str, unk: str = "[UNK]") -> str:
    vocabulary = {name: index for index, name in enumerate(names)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=unk))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(path))
    return str(path)


def test_a_given_tokenizer(tmp_path: Path) -> None:
    path = given_file(tmp_path / "own.json", "[UNK]", "[CLS]", "[SEP]", "a")
    vocabulary = make(path, bos_token="[CLS]", eos_token="[SEP]")

    assert vocabulary.kind == "custom"
    assert (vocabulary.bos, vocabulary.eos, vocabulary.unk) == (1, 2, 0)  # it knows its own <unk>
    assert spell(vocabulary, "a b a a") == ["a", "[UNK]", "a", "a"]
    saved = json.loads(vocabulary.tokenizer.to_str())
    assert saved["truncation"] is saved["padding"] is None


def test_a_given_tokenizer_without_the_special_tokens(tmp_path: Path) -> None:
    path = given_file(tmp_path / "own.json", "[UNK]", "</s>")
    with pytest.raises(ModelError, match=r"own.json: no token '<s>' .* name it with `bos_token`"):
        make(path)
    assert make(path, context="document").bos == 1


def test_a_control_token_is_no_unknown_word(tmp_path: Path) -> None:
    path = given_file(tmp_path / "own.json", "<s>", "</s>", unk="</s>")
    with pytest.raises(ModelError, match="'</s>' stands for unknown words and for the begin or"):
        make(path)


def test_no_such_kind() -> None:
    with pytest.raises(OptionError, match="tokenizer is 'bep', expected bpe, unigram, word, char"):
        make("bep")


def test_not_a_tokenizer(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    path.write_text("{}")
    with pytest.raises(ModelError, match=r"own.json: not a tokenizer that tokenizers can read"):
        make(str(path))
    path.unlink()
    with pytest.raises(InputFileError, match=r"own\.json: cannot be read"):
        load_vocabulary(path, options_for(str(path)))


def test_a_tokenizer_with_a_hole_in_its_ids(tmp_path: Path) -> None:
    path = given_file(tmp_path / "own.json", "[UNK]", "<s>", "</s>", "a")
    made = json.loads(Path(path).read_text())
    made["model"]["vocab"]["a"] = 4
    Path(path).write_text(json.dumps(made))
    with pytest.raises(ModelError) as raised:
        make(path)
    assert str(raised.value) == (
        f"{path}: no token has the id 3, but others have higher ones; number the 4 tokens from 0 "
        "to 3"
    )


def test_a_tokenizer_of_words_without_an_unknown_one(tmp_path: Path) -> None:
    path = given_file(tmp_path / "own.json", "<s>", "</s>", "a")
    with pytest.raises(ModelError) as raised:
        make(path)
    assert str(raised.value) == (
        f"{path}: its words have no unknown token, so that no other word can be read; add "
        "'[UNK]', which its unk_token names, to the vocabulary"
    )
