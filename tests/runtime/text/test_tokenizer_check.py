"""What tokenizer.json may do: files of known families pass, and growth and time are bounded."""

from __future__ import annotations

import copy
import json
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from lmscore.errors import ModelError
from lmscore.runtime.text import read_tokenizer
from lmscore.runtime.text.tokenizer_check import check_tokenizer
from lmscore.runtime.text.tokenizer_file import panics_as_errors
from lmscore.train.normalization import make_normalizer
from lmscore.train.options import NORMALIZATION_STEPS
from tests.runtime.text.test_charsmap import charsmap

Document = dict[str, Any]


def replace(pattern: str, content: str, kind: str = "String") -> Document:
    return {"type": "Replace", "pattern": {kind: pattern}, "content": content}


def split(pattern: str, kind: str = "Regex", invert: bool = False) -> Document:
    found = {kind: pattern}
    return {"type": "Split", "pattern": found, "behavior": "Isolated", "invert": invert}


def normalizing(*steps: Document) -> Document:
    return {"normalizer": {"type": "Sequence", "normalizers": list(steps)}}


def pre_tokenizing(*steps: Document) -> Document:
    return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": list(steps)}}


def decoding(*steps: Document) -> Document:
    return {"decoder": {"type": "Sequence", "decoders": list(steps)}}


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
OLD_METASPACE = {"type": "Metaspace", "replacement": "▁", "str_rep": "▁", "add_prefix_space": True}
METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
BERT = {
    "type": "BertNormalizer",
    "clean_text": True,
    "handle_chinese_chars": True,
    "strip_accents": None,
    "lowercase": True,
}
CHARSMAP = {"type": "Precompiled", "precompiled_charsmap": charsmap({"\ufb03": "ffi"})}
UNIGRAM = {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["▁", -1.0], ["a", -2.0]]}
BPE = {"type": "BPE", "vocab": {"a": 0, "Ġ": 1, "<unk>": 2}, "merges": []}
WORDPIECE = {
    "type": "WordPiece",
    "vocab": {"[UNK]": 0, "a": 1},
    "unk_token": "[UNK]",
    "continuing_subword_prefix": "##",
    "max_input_chars_per_word": 100,
}

ONE_SEQUENCE = {
    "single": [{"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [],
    "special_tokens": {},
}

# The steps of tokenizers that people share, as tokenizers and the converters of transformers write
# them; the vocabularies are toys.
FAMILIES: dict[str, Document] = {
    "GPT-2": {"pre_tokenizer": {**BYTES, "use_regex": True}, "decoder": BYTES, "model": BPE},
    "Llama 2": {
        **normalizing({"type": "Prepend", "prepend": "▁"}, replace(" ", "▁")),
        **decoding(
            replace("▁", " "),
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ),
        "model": BPE,
    },
    "Llama 3": {
        **pre_tokenizing(split(r"\p{N}{1,3}| ?[^\s\p{N}]+|\s+(?!\S)"), BYTES),
        "model": BPE,
    },
    "Gemma": {
        "normalizer": replace(" ", "▁"),
        "pre_tokenizer": split(" ", "String"),
        "model": BPE,
    },
    "BERT": {
        "normalizer": BERT,
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": "[UNK]", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
            ],
            "pair": [],
            "special_tokens": {"[UNK]": {"id": "[UNK]", "ids": [0], "tokens": ["[UNK]"]}},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": WORDPIECE,
    },
    "RoBERTa": {
        "pre_tokenizer": {**BYTES, "add_prefix_space": True, "use_regex": True},
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": ["<unk>", 2],
            "cls": ["<unk>", 2],
            "trim_offsets": True,
            "add_prefix_space": False,
        },
        "decoder": BYTES,
        "model": BPE,
    },
    "T5": {
        "normalizer": CHARSMAP,
        **pre_tokenizing({"type": "WhitespaceSplit"}, OLD_METASPACE),
        "decoder": OLD_METASPACE,
        "model": UNIGRAM,
    },
    "ALBERT": {
        **normalizing(
            replace("``", '"'),
            {"type": "NFKD"},
            {"type": "StripAccents"},
            {"type": "Lowercase"},
            CHARSMAP,
            {"type": "Strip", "strip_left": False, "strip_right": True},
            replace(" {2,}", " ", "Regex"),
        ),
        "pre_tokenizer": METASPACE,
        "decoder": METASPACE,
        "model": UNIGRAM,
    },
    "ALBERT, saved again by transformers": {  # which writes all steps twice
        **normalizing(
            *[
                replace("''", '"'),
                {"type": "NFKD"},
                {"type": "StripAccents"},
                {"type": "Lowercase"},
                replace(" {2,}", " ", "Regex"),
            ]
            * 2,
        ),
        **pre_tokenizing({"type": "WhitespaceSplit"}, METASPACE),
        "decoder": METASPACE,
        "model": UNIGRAM,
    },
    "Cohere": {
        **normalizing({"type": "NFC"}),
        **pre_tokenizing({"type": "Digits", "individual_digits": True}, BYTES),
        "post_processor": {**ONE_SEQUENCE, **BYTES, "type": "TemplateProcessing"},
        "decoder": BYTES,
        "model": BPE,
    },
    "CLIP": {
        **normalizing({"type": "NFC"}, replace(r"\s+", " ", "Regex"), {"type": "Lowercase"}),
        **pre_tokenizing(split(r"'s|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", invert=True), BYTES),
        "model": {**BPE, "end_of_word_suffix": "</w>"},
    },
    "Falcon": {
        **pre_tokenizing(
            {"type": "Punctuation", "behavior": "Contiguous"},
            BYTES,
            {"type": "Digits", "individual_digits": False},
            split("[0-9][0-9][0-9]"),
        ),
        "model": BPE,
    },
}


def written(document: Document) -> bytes:
    whole: Document = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": []}
    parts = dict.fromkeys(("normalizer", "pre_tokenizer", "post_processor", "decoder"))
    return json.dumps({**whole, **parts, **document}).encode()


@pytest.mark.parametrize("document", FAMILIES.values(), ids=FAMILIES.keys())
def test_known_families_load(document: Document) -> None:
    assert read_tokenizer(written(document), "t.json").encode("a a") is not None


@pytest.mark.parametrize("count", range(1, len(NORMALIZATION_STEPS) + 1))
def test_whatever_training_writes_loads(count: int) -> None:
    for names in combinations(NORMALIZATION_STEPS, count):
        tokenizer = Tokenizer(models.BPE())
        tokenizer.normalizer = make_normalizer("+".join(names))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
        tokenizer.decoder = decoders.ByteLevel()
        assert check_tokenizer(json.loads(tokenizer.to_str()), "t.json") <= 200


DOUBLING = replace("a", "aa")
LONG_TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [{"Sequence": {"id": "A", "type_id": 0}}] * 2,
    "pair": [],
    "special_tokens": {},
}


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (normalizing(*[DOUBLING] * 10), "may make a text more than 1000 times longer"),
        (normalizing(normalizing(*[DOUBLING] * 10)["normalizer"]), "more than 1000 times longer"),
        (decoding(*[DOUBLING] * 10), "more than 1000 times longer"),
        (pre_tokenizing(*[BYTES] * 10), "more than 1000 times longer"),
        ({**normalizing(*[DOUBLING] * 5), **pre_tokenizing(*[METASPACE] * 3)}, "more than 1000"),
        (normalizing(replace("", "x" * 1000)), "more than 1000 times longer"),
        (normalizing(replace("b*", "x" * 1000, "Regex")), "more than 1000 times longer"),
        (normalizing({"type": "Prepend", "prepend": "x" * 1000}), "more than 1000 times longer"),
        (
            normalizing(*[{"type": "NFKD"}, replace("q", "\ufdfa")] * 2, {"type": "NFKD"}),
            "more than 1000 times longer",
        ),
        (
            {"normalizer": {**CHARSMAP, "precompiled_charsmap": charsmap({"a": "b" * 1001})}},
            "more than 1000 times longer",
        ),
        (normalizing(*[{"type": "Nmt"}] * 101), "normalizer has more than 100 steps"),
        (
            {"normalizer": replace("(a+)+$", "", "Regex")},
            r"normalizer: the pattern '\(a\+\)\+\$' may take too long: it repeats",
        ),
        (
            pre_tokenizing(BYTES, split("(a|b)*c")),
            r"pre_tokenizer.pretokenizers\[1\]: the pattern '\(a\|b\)\*c' may take too long",
        ),
        (
            {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "?"}},
            "normalizer: its precompiled_charsmap cannot be used: it is not base64",
        ),
        (
            {"normalizer": {"type": "Magic"}},
            "normalizer is of the type 'Magic', which is not known",
        ),
        ({"pre_tokenizer": {"type": "NFC"}}, "pre_tokenizer is of the type 'NFC'"),
        ({"normalizer": {"type": "\x1b[2J" * 40}}, r"'\\x1b\[2J.*\.\.\.', which is not known"),
        ({"normalizer": replace("a", "b") | {"type": "NFC"}}, "has the key '(pattern|content)'"),
        ({"normalizer": BERT | {"normalizers": []}}, "has the key 'normalizers', which a Bert"),
        ({"normalizer": {"pattern": 1, "content": ""}}, "normalizer is not a step with a type"),
        ({"normalizer": [1]}, "normalizer is not a step with a type"),
        ({"normalizer": {"type": "Sequence"}}, "is not a sequence of `normalizers`"),
        (normalizing(replace("a", "b", "Literal")), "pattern is not one String or Regex"),
        (normalizing({"type": "Replace", "pattern": "a", "content": ""}), "is not one String"),
        (normalizing(replace("a", "b") | {"content": 1}), "its content is not a text"),
        ({"post_processor": LONG_TEMPLATE}, "template `single` repeats the text"),
        ({"added_tokens": {"a": 1}}, "added_tokens is not a list of tokens"),
        (
            normalizing(*[DOUBLING] * 9) | {"added_tokens": [{"content": "a" * (1 << 18)}]},
            "its normaliser may make the added tokens too long",
        ),
        ({"model": {**WORDPIECE, "max_input_chars_per_word": 10**9}}, "word is more than 200"),
        ({"model": {**WORDPIECE, "max_input_chars_per_word": "9"}}, "word is more than 200"),
        ({"model": {**BPE, "continuing_subword_prefix": "x" * 65}}, "more than 64 characters"),
        ({"model": {**BPE, "end_of_word_suffix": "x" * 65}}, "more than 64 characters"),
        ({"model": {**UNIGRAM, "vocab": [["é" * 129, 0.0]]}}, "piece .* more than 256 bytes"),
    ],
)
def test_what_could_do_harm_is_refused(part: Document, message: str) -> None:
    with pytest.raises(
        ModelError, match=rf"^t.json: .*{message}.*; .* only with trust=True"
    ) as found:
        read_tokenizer(written({"model": BPE, **part}), "t.json")
    assert "\n" not in str(found.value)


def test_whoever_trusts_a_file_may_load_it() -> None:
    data = written({"model": BPE, **pre_tokenizing(split("(?:a|b)+"))})
    with pytest.raises(ModelError, match="trust=True"):
        read_tokenizer(data, "t.json")
    assert read_tokenizer(data, "t.json", trust=True).encode("aba").ids == [0, 0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff", "not UTF-8"),
        (b"[]", "expected a JSON object"),
        (b'{"model": 1, "model": 2}', "key 'model' is there twice"),
        (b'{"normalizer": ' + b"[" * 10_000, "recursion"),
        (b"{}", "not a tokenizer that tokenizers can read"),
    ],
)
def test_what_is_no_tokenizer(data: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=f"^t.json: .*{message}"):
        read_tokenizer(data, "t.json")


STEPS = st.one_of(
    st.sampled_from(
        [
            *({"type": name} for name in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Nmt")),
            *({"type": "StripAccents"}, {"type": "ByteLevel"}, BERT, CHARSMAP),
            {"type": "Strip", "strip_left": True, "strip_right": True},
            {"type": "Prepend", "prepend": "▁"},
        ]
    ),
    st.builds(
        replace,
        st.sampled_from(["a", "aé", "[a-c]", "b*", "İ|ﷺ", ""]),
        st.text("aé\ufdfa", max_size=4),
        st.just("Regex"),
    ),
)


@given(st.lists(STEPS, max_size=4), st.text("abcéİ \ufdfa\ufb03\u4e00\U0001d160", max_size=8))
@settings(max_examples=200)
def test_no_text_grows_more_than_the_bound(steps: list[Document], text: str) -> None:
    document = normalizing(*copy.deepcopy(steps))
    try:
        bound = check_tokenizer(document, "t.json")
    except ModelError:
        return
    normalizer = read_tokenizer(written({"model": BPE, **document}), "t.json").normalizer
    assert isinstance(normalizer, normalizers.Normalizer)
    try:
        with panics_as_errors():  # tokenizers 0.23 does for some texts
            grown = normalizer.normalize_str(text)
    except RuntimeError:
        return
    assert len(grown.encode()) <= bound * len(text.encode()) + 1e-6
