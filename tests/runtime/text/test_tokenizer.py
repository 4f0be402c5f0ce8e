"""Typed text is only ever text, and a tokenizer that does not fit the model is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from lmscore.bundle import TOKENIZER_FILE, Bundle, Config
from lmscore.errors import InputError, ModelError, ModelNotFoundError
from lmscore.files import sha256_file
from lmscore.runtime.text.tokenizer import TextTokenizer

CORPUS = ["the cat sat on the mat", "thanks for all the fish"] * 4
WORDS = ["<unk>", "<s>", "</s>", "the", "cat"]


def word_tokenizer(words: list[str] = WORDS, unk: str | None = "<unk>") -> Tokenizer:
    """A word model, its control tokens ordinary entries of the vocabulary."""
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(
        models.WordLevel(vocabulary, unk_token=unk) if unk else models.WordLevel(vocabulary)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def byte_tokenizer() -> Tokenizer:
    """Byte-level BPE: every text has tokens, none is unknown."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=300,
            special_tokens=["<s>", "</s>"],
            initial_alphabet=alphabet,
            show_progress=False,
        ),
    )
    return tokenizer


def wrap(
    tokenizer: Tokenizer, *, bos: str = "<s>", eos: str = "</s>", unk: str | None = "<unk>"
) -> TextTokenizer:
    return TextTokenizer(tokenizer, config_of(tokenizer, bos, eos, unk), source="here.json")


def config_of(
    tokenizer: Tokenizer, bos: str = "<s>", eos: str = "</s>", unk: str | None = "<unk>"
) -> Config:
    vocabulary = tokenizer.get_vocab()
    return Config(
        cell="lstm",
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=4,
        num_hidden_layers=1,
        tie_word_embeddings=True,
        bos_token_id=vocabulary[bos],
        eos_token_id=vocabulary[eos],
        unk_token_id=vocabulary[unk] if unk else None,
        context="sentence",
        tokenizer="custom",
        tokenizer_sha256="",
    )


def spelled(tokenizer: TextTokenizer, text: str) -> list[str]:
    return [tokenizer.token(i) for i in tokenizer.encode(text).tolist()]


def test_ids_are_int64_and_empty_text_has_none() -> None:
    ids = wrap(word_tokenizer()).encode("the cat")
    assert ids.dtype == np.int64
    assert ids.tolist() == [3, 4]
    empty = wrap(word_tokenizer()).encode("")
    assert empty.dtype == np.int64
    assert empty.shape == (0,)


def test_words_out_of_vocabulary_are_unk() -> None:
    assert spelled(wrap(word_tokenizer()), "the dog") == ["the", "<unk>"]


def test_typed_control_tokens_of_a_word_model_are_unk() -> None:
    tokenizer = wrap(word_tokenizer())
    assert spelled(tokenizer, "the <s> cat </s>") == ["the", "<unk>", "cat", "<unk>"]


@pytest.mark.parametrize("special", [True, False])
def test_typed_control_tokens_are_unk_when_added_to_the_vocabulary(special: bool) -> None:
    tokenizer = word_tokenizer()
    tokenizer.add_tokens([AddedToken("</s>", special=special)])
    assert spelled(wrap(tokenizer), "cat</s>") in (["<unk>"], ["cat", "<unk>"])


def test_typed_control_tokens_of_a_byte_model_are_letters() -> None:
    tokens = spelled(wrap(byte_tokenizer(), unk=None), "a <s> b </s>")
    assert "".join(tokens) == "ĠaĠ<s>ĠbĠ</s>"
    assert not {"<s>", "</s>"} & set(tokens)


def test_only_names_of_bytes_are_bytes() -> None:
    names = ["<0x41>", "<0xZZ>", "<0xc3>", "<0xA9>", "<0x+A>", "<0x A>", "<0xé>", "<0x041>"]
    words = word_tokenizer(WORDS + names)
    words.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    tokenizer = wrap(words)
    ids = np.array([words.get_vocab()[name] for name in names])
    pieces = [tokenizer.pieces[number] for number in ids.tolist()]
    texts = ["<0xZZ>", "<0x A>", "<0xé>", "<0x041>"]
    assert pieces[:1] + pieces[2:5] == [b"A", b"\xc3", b"\xa9", b"\n"]
    assert [pieces[1], *pieces[5:]] == [text.encode() for text in texts]
    assert tokenizer.decode(ids) == words.decode(ids.tolist())


def test_a_decoder_that_fails() -> None:
    words = word_tokenizer([*WORDS, "a"])
    words.decoder = decoders.Strip("a", 1, 1)  # of "a" it would cut two characters
    tokenizer = wrap(words)
    assert tokenizer.encode("a").tolist() == [5]
    with pytest.raises(ModelError, match=r"^here\.json: its decoder fails: slice index"):
        tokenizer.decode(np.array([5]))


def test_typed_control_token_without_unk_is_an_error() -> None:
    tokenizer = wrap(word_tokenizer(["<s>", "</s>", "the"], unk=None), unk=None)
    with pytest.raises(InputError, match=r"text 2: '</s>' is reserved, .* no unknown token"):
        tokenizer.encode_batch(["the", "the </s>"])


def test_word_without_unk_is_an_error() -> None:
    tokenizer = wrap(word_tokenizer(["<s>", "</s>", "the"], unk=None), unk=None)
    with pytest.raises(InputError, match=r"text 7: cannot be tokenized: .*Missing"):
        tokenizer.encode_batch(["the", "dog"], first=6)


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_batch_is_one_by_one_and_bytes_survive(texts: list[str]) -> None:
    tokenizer = BYTES
    together = tokenizer.encode_batch(texts)
    for text, ids in zip(texts, together, strict=True):
        np.testing.assert_array_equal(ids, tokenizer.encode(text))
        assert not np.isin(ids, [BYTES_CONFIG.bos_token_id, BYTES_CONFIG.eos_token_id]).any()
        assert len(ids) <= len(text.encode()) + 1


BYTES_CONFIG = config_of(byte_tokenizer(), unk=None)
BYTES = TextTokenizer(byte_tokenizer(), BYTES_CONFIG, source="here.json")


def normalizing() -> Tokenizer:
    tokenizer = byte_tokenizer()
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    return tokenizer


NORMALIZING = TextTokenizer(normalizing(), BYTES_CONFIG, source="here.json")


def spans_of(tokenizer: TextTokenizer, text: str) -> list[tuple[str, str]]:
    """Each token with the piece of the text that it stands for."""
    (encoded,) = tokenizer.encode_spans([text])
    assert encoded.ids.tolist() == tokenizer.encode(text).tolist()
    return [
        (tokenizer.token(token), text[start:end])
        for token, (start, end) in zip(encoded.ids.tolist(), encoded.spans.tolist(), strict=True)
    ]


def test_spans_of_words() -> None:
    found = spans_of(wrap(word_tokenizer()), " the\tzebra\u3000cat ")
    assert found == [("the", "the"), ("<unk>", "zebra"), ("cat", "cat")]
    (empty,) = wrap(word_tokenizer()).encode_spans([""])
    assert empty.spans.shape == (0, 2)


def test_bytes_of_a_character_share_its_span() -> None:
    found = spans_of(wrap(byte_tokenizer(), unk=None), "the 🐟")
    assert found[0] == ("Ġthe", "the")
    assert [piece for _, piece in found[1:]] == [" ", "🐟", "🐟", "🐟", "🐟"]


def test_spans_are_of_the_text_as_given() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    found = spans_of(wrap(tokenizer, unk=None), "e\u0301 THE ﬁsh")
    assert ("Ġthe", " THE") in found
    assert [piece for token, piece in found if "sh" in token] in (["sh"], ["ﬁsh"], [" ﬁsh"])


@given(st.text())
def test_spans_go_forward(text: str) -> None:
    for tokenizer in (BYTES, NORMALIZING):
        (encoded,) = tokenizer.encode_spans([text])
        starts, ends = encoded.spans[:, 0], encoded.spans[:, 1]
        assert encoded.spans.shape == (len(encoded.ids), 2)
        assert ((starts >= 0) & (starts <= ends) & (ends <= len(text))).all()
        assert (np.diff(starts) >= 0).all()
        assert (np.diff(ends) >= 0).all()


def test_nothing_is_truncated_padded_or_added() -> None:
    tokenizer = word_tokenizer()
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=9)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    assert wrap(tokenizer).encode("the cat the cat the").tolist() == [3, 4, 3, 4, 3]


def test_bpe_dropout_is_off() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.model.dropout = 0.9
    wrapped = wrap(tokenizer, unk=None)
    whole = wrap(byte_tokenizer(), unk=None).encode("thanks for all the fish").tolist()
    assert all(wrapped.encode("thanks for all the fish").tolist() == whole for _ in range(5))


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["the", None], "text 2: expected a string, got NoneType"),
        ([("the", "cat")], "text 1: expected a string, got tuple"),
        (["the", "c\ud800t"], "text 2: lone surrogate at character 2"),
        (["\udfff"], "text 1: lone surrogate at character 1"),
    ],
)
def test_bad_items_are_named(texts: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        wrap(word_tokenizer()).encode_batch(texts)


def test_token_outside_the_vocabulary() -> None:
    with pytest.raises(InputError, match="token id 99 is not in the vocabulary"):
        wrap(word_tokenizer()).token(99)


def fitting(**changes: object) -> Callable[[], TextTokenizer]:
    config = dataclasses.replace(config_of(word_tokenizer()), **changes)  # type: ignore[arg-type]
    return lambda: TextTokenizer(word_tokenizer(), config, source="here.json")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (fitting(vocab_size=6), "here.json: 5 tokens do not fill the ids below vocab_size 6"),
        (fitting(unk_token_id=3), "'<unk>' has the id 0, unk_token_id of config.json is 3"),
        (fitting(unk_token_id=None), "'<unk>' has the id 0, unk_token_id of config.json is None"),
        (fitting(eos_token_id=5), "no token has the id 5, eos_token_id of config.json"),
    ],
)
def test_tokenizer_that_does_not_fit_the_config(
    make: Callable[[], TextTokenizer], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        make()


def test_vocabulary_with_gaps_does_not_fit() -> None:
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "<s>": 1, "</s>": 5}, unk_token="<unk>"))
    with pytest.raises(ModelError, match="3 tokens do not fill the ids below vocab_size 3"):
        wrap(tokenizer)


def bundle_with(path: Path, content: str) -> Bundle:
    (path / TOKENIZER_FILE).write_text(content, encoding="utf-8")
    sha256 = sha256_file(path / TOKENIZER_FILE)
    return Bundle(path, dataclasses.replace(config_of(word_tokenizer()), tokenizer_sha256=sha256))


def test_load_reads_the_file(tmp_path: Path) -> None:
    tokenizer = TextTokenizer.load(bundle_with(tmp_path, word_tokenizer().to_str()))
    assert tokenizer.encode("cat").tolist() == [4]


def test_load_errors(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"tokenizer\.json: not a tokenizer .*: Model missing"):
        TextTokenizer.load(bundle_with(tmp_path, "{}"))
    bundle = bundle_with(tmp_path, word_tokenizer().to_str())
    (tmp_path / TOKENIZER_FILE).write_text(word_tokenizer(WORDS[:4]).to_str())
    with pytest.raises(ModelError, match="does not match tokenizer_sha256"):
        TextTokenizer.load(bundle)
    (tmp_path / TOKENIZER_FILE).unlink()
    with pytest.raises(ModelNotFoundError, match=r"tokenizer\.json is missing"):
        TextTokenizer.load(bundle)
