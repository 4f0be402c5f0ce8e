"""SentencePiece models as tokenizers: the same ids as the sentencepiece package gives."""

from __future__ import annotations

import functools
import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, normalizers

from lmscore.errors import ModelError
from lmscore.runtime.text import looks_like_model, read_tokenizer, tokenizer_from_model
from lmscore.runtime.text.sentencepiece import charsmap, convert
from lmscore.runtime.text.sentencepiece.model import read_sentencepiece
from lmscore.train.options import TrainOptions
from lmscore.train.tokenizers import load_vocabulary
from tests.train.toy import sentences

RANGES = [
    "\t !<>0x41@",
    "AEIaei",
    "éÀîǖ",
    "\u0301\u0302\u0308\u0323\u0345",
    "αΆᾳ",
    "각ᄀ\u1161\u11a8",
    "ﬁ㎏Ａ１ｶﾞ",
]
RANGES += ["か\u3099", "\u00a0\u3000\u200b\u2581", "😀\u200d\ufe0f", "\x01\x0b", "नी\u093c", "明月"]


def odd_texts(number: int) -> list[str]:
    draw = random.Random(1)
    texts = ["".join(draw.choice(draw.choice(RANGES)) for _ in range(12)) for _ in range(number)]
    return [
        *texts,
        "",
        "  ",
        "<s>",
        "a</s>",
        "<unk>",
        "<pad>",
        "a@@b@@@",
        "<0x41>",
        "\u2581",
        "aaaa",
    ]


TEXTS = [*sentences(60), *odd_texts(400)]
LEARNT = [*sentences(200), *(text.replace("\x01", " ") for text in odd_texts(60)), "明月光 naïve"]


@functools.cache
def trained(kind: str = "bpe", rule: str = "identity", size: int = 250, **options: Any) -> bytes:
    """A model that the package trains."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LEARNT),
        model_writer=written,
        model_type=kind,
        normalization_rule_name=rule,
        vocab_size=size + (256 if options.get("byte_fallback") else 0),
        hard_vocab_limit=False,
        character_coverage=0.98,
        minloglevel=2,
        **options,
    )
    return written.getvalue()


@pytest.fixture(autouse=True)
def _each_charsmap_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "make_normalizers", cached)


@functools.cache
def made(blob: bytes) -> list[normalizers.Normalizer]:
    return charsmap.make_normalizers(blob, source="a model")


def cached(blob: bytes, *, source: str) -> list[normalizers.Normalizer]:
    return made(blob)


KINDS: list[dict[str, Any]] = [
    {},
    {"byte_fallback": True, "user_defined_symbols": "@@,<ctc>"},
    {"unk_id": 2, "bos_id": -1, "eos_id": -1, "user_defined_symbols": "<blk>,<sos/eos>"},  # icefall
    {"control_symbols": "<pad>", "remove_extra_whitespaces": False},
    {"add_dummy_prefix": False, "byte_fallback": True},
]


@pytest.mark.parametrize("options", KINDS, ids=lambda options: "-".join(options) or "plain")
@pytest.mark.parametrize("rule", ["identity", "nmt_nfkc", "nmt_nfkc_cf"])
@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_the_same_ids(kind: str, rule: str, options: dict[str, Any]) -> None:
    model = trained(kind, rule, **options)
    reference = sentencepiece.SentencePieceProcessor(model_proto=model)
    tokenizer = tokenizer_from_model(model, source="a model", approximate=kind == "unigram")
    # What is stored is safe to load, and does the same.
    stored = read_tokenizer(tokenizer.to_str().encode(), "tokenizer.json")
    for text in TEXTS:
        found, expected = stored.encode(text).ids, reference.encode(text)
        if kind == "unigram" and found != expected:  # rounding chose among equal probabilities
            assert sum(map(reference.get_score, found)) == pytest.approx(
                sum(map(reference.get_score, expected)), rel=1e-5
            )
            found, expected = sorted(found), sorted(expected)
        assert found == expected, ascii(text)


@functools.cache
def folding() -> tuple[dict[str, str], Callable[[str], str]]:
    """The charsmap that also folds case, and the normalizers made of it."""
    blob = read_sentencepiece(trained("bpe", "nmt_nfkc_cf"), source="a model").charsmap
    return charsmap.read_charsmap(blob), normalizers.Sequence(made(blob)).normalize_str


LETTERS = "aAiIeêỆᾳηΩｶがかㅎᄒ각ﬁ½㎏Ａĳ™°'\u00a8\u1fed "
MARKS = "\u0300\u0301\u0302\u0307\u0308\u0313\u0323\u031b\u0338\u0345\u0340\u3099\uff9e"
MARKS += "\u1161\u11a8\uffc2\u20dd\ufe0f"


@given(st.text(st.sampled_from(LETTERS + MARKS), max_size=12))
def test_the_longest_key_at_each_place_is_replaced(text: str) -> None:
    mapping, normalize = folding()
    assert normalize(text) == charsmap.normalized(text, mapping)


def test_a_charsmap_is_read() -> None:
    mapping, _ = folding()
    assert mapping["A"] == "a"
    assert mapping["ﬁ"] == "fi"
    assert mapping["e\u0301"] == "é"
    assert mapping["\x01"] == ""
    assert "ê\u0301" not in mapping
    assert len(mapping) > 200_000


def test_control_symbols_have_names_that_no_text_has(tmp_path: Path) -> None:
    path = tmp_path / "m.model"
    path.write_bytes(trained("unigram"))
    options = TrainOptions(
        train=("text",), output="model", tokenizer=str(path), approximate_tokenizer=True
    )
    vocabulary = load_vocabulary(path, options)
    assert (vocabulary.unk, vocabulary.bos, vocabulary.eos) == (0, 1, 2)
    assert vocabulary.kind == "custom"
    assert not {1, 2} & set(vocabulary.tokenizer.encode("<s> </s>").ids)


def test_decoding_gives_the_text_back() -> None:
    for kind in ("bpe", "unigram"):
        model = trained(kind, byte_fallback=True)
        tokenizer = tokenizer_from_model(model, source="a model", approximate=True)
        for text in ("the cat sat", "naïve ☃ 明月光"):
            assert tokenizer.decode(tokenizer.encode(text).ids) == text


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: trained("word"), "of the type word"),
        (lambda: trained("char"), "of the type char"),
        (lambda: trained("unigram"), "of the type unigram, to which a tokenizer.json comes close"),
        (lambda: trained(treat_whitespace_as_suffix=True), "white space at the ends of words"),
        (
            lambda: trained("bpe", "nmt_nfkc_cf", user_defined_symbols="<CTC>"),
            "the user-defined symbol '<CTC>', which the normalisation would make '<ctc>' of",
        ),
        (lambda: trained()[:-3], "not a SentencePiece model"),
        (lambda: b"\n\x03\n\x01a\n\x03\n\x01a", "without one unknown piece"),
        (lambda: b"\x12\x00", "it has no pieces"),
    ],
)
def test_what_has_no_equivalent_is_refused(model: Callable[[], bytes], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        tokenizer_from_model(model(), source="m.model")
    assert str(caught.value).startswith("m.model: ")
    assert message in str(caught.value)


def test_a_piece_that_no_merge_makes_is_refused() -> None:
    """Its parts are no pieces, so SentencePiece never finds it, and tokenizers could."""
    pieces = [(b"<unk>", 2), (b"a", 1), (b"b", 1), (b"c", 1), (b"abc", 1)]
    written = b""
    for text, kind in pieces:
        piece = b"\n" + bytes([len(text)]) + text + b"\x18" + bytes([kind])
        written += b"\n" + bytes([len(piece)]) + piece
    with pytest.raises(ModelError, match="with the piece 'abc', which its merges do not make"):
        tokenizer_from_model(written + b"\x12\x02\x18\x02", source="m.model")


def test_models_are_told_from_tokenizer_files() -> None:
    model = trained()
    assert looks_like_model(model)
    assert not looks_like_model(tokenizer_from_model(model, source="m").to_str().encode())
    assert not looks_like_model(b"\n\n{")
    assert isinstance(tokenizer_from_model(model, source="m"), Tokenizer)
