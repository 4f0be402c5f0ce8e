"""Whatever stands in a text, and whatever is given in its place: a score, or an error of ours."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import lmscore
from lmscore.bundle import TOKENIZER_FILE
from lmscore.encodings import LineReader
from lmscore.errors import InputError, LmscoreError, OptionError
from lmscore.runtime.load import load
from lmscore.runtime.model import LanguageModel
from tests.cli.conftest import Run
from tests.hostile.directory import copied, edit_json, forge

ODD = {
    "empty": "",
    "white space": " \t\x0b\x0c\u00a0\u3000 ",
    "NUL": "the\x00cat\x00",
    "BOM": "\ufeffthe \ufeffcat",
    "line ends": "the\rcat\r\n\u0085sat\u2028on\u2029mat\x1e",
    "combining": "e\u0301\u0323" * 300,
    "only combining": "\u0301" * 300,
    "emoji": "👩\u200d👩\u200d👧\u200d👦 🏳\ufe0f\u200d🌈 🇩🇪" * 20,
    "right to left": "\u202ethe\u2066 שלום مرحبا\u2069\u202c cat",
    "private and unassigned": "\ue000\uffff\U0010ffff\u0378",
    "special tokens": "<s> </s> <unk> <pad> [MASK]",
    "exploding": "\ufdfa" * 200,
    "zalgo": "t" + "".join(map(chr, range(0x300, 0x370))) * 10,
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_odd_text_is_scored(lm: LanguageModel, bpe_lm: LanguageModel, text: str) -> None:
    for model in (lm, bpe_lm):
        score = model.score(text)
        assert score.text == text
        assert math.isfinite(score.log_prob)
        assert score.log_prob == pytest.approx(sum(t.log_prob for t in score.tokens))
        among = model.score_batch(["the cat", text, "", "sat on the mat " * 9])[1]
        assert among.log_prob == pytest.approx(score.log_prob, abs=1e-3)


@given(st.lists(st.text(max_size=40), max_size=6))
@settings(max_examples=60)
def test_any_text_is_scored(lm: LanguageModel, bpe_lm: LanguageModel, texts: list[str]) -> None:
    for model in (lm, bpe_lm):
        streamed = list(model.score_stream(iter(texts), window=2))
        listed = model.score_batch(texts)
        assert [score.text for score in listed] == texts
        for one, other in zip(streamed, listed, strict=True):
            assert one.log_prob == pytest.approx(other.log_prob, abs=1e-3)
            assert math.isfinite(one.log_prob)


def test_text_that_a_normalizer_makes_longer(model_path: Path, tmp_path: Path) -> None:
    path = copied(model_path, tmp_path / "model")
    edit_json(path / TOKENIZER_FILE, lambda t: t.update(normalizer={"type": "NFKC"}))
    forge(path)
    # U+FDFA becomes 18 characters, four words; ligatures and widths are undone.
    score = load(path, variant="fp32").score("\ufdfa " * 500 + "\ufb01sh \uff29")
    assert score.num_tokens == 4 * 500 + 2 + 1
    assert score.num_oov == 4 * 500
    assert score.tokens[-2].text == "I"


def test_a_line_of_very_many_words(lm: LanguageModel) -> None:
    score = lm.score("the cat " * 50_000, tokens=False)
    assert (score.num_tokens, score.num_words) == (100_001, 100_000)
    assert math.isfinite(score.log_prob)


def test_a_line_without_a_space(lm: LanguageModel, bpe_lm: LanguageModel) -> None:
    text = "x" * 100_000
    assert lm.score(text, tokens=False).num_tokens == 2
    assert bpe_lm.score(text, tokens=False).num_tokens == 100_001


def test_very_many_short_lines(lm: LanguageModel) -> None:
    lines = ("the" if number % 2 else "" for number in range(20_000))
    lengths = [score.num_tokens for score in lm.score_stream(lines, tokens=False)]
    assert lengths == [1, 2] * 10_000


WRONG: list[Any] = [None, b"the", 5, 1.5, math.nan, True, object(), [["the"]], {"the": 1}.items()]


def type_name(wrong: object) -> str:
    return type(wrong).__name__


Call = Callable[[LanguageModel, Any], object]
CALLS: dict[str, Call] = {
    "score": lambda lm, wrong: lm.score(wrong),
    "score_batch": lambda lm, wrong: lm.score_batch(wrong),
    "an item": lambda lm, wrong: lm.score_batch(["the", wrong]),
    "a generated item": lambda lm, wrong: list(lm.score_stream(t for t in ["the", wrong])),
    "score_stream": lambda lm, wrong: list(lm.score_stream(wrong)),
    "encode": lambda lm, wrong: lm.tokenizer.encode(wrong),
    "encode_batch": lambda lm, wrong: lm.tokenizer.encode_batch(wrong),
    "sample": lambda lm, wrong: lm.sample(wrong, max_tokens=1),
    "sample_batch": lambda lm, wrong: lm.sample_batch(wrong, max_tokens=1),
    "a prompt": lambda lm, wrong: lm.sample_batch(["the", wrong], max_tokens=1),
    "stream": lambda lm, wrong: list(lm.stream(wrong, max_tokens=1)),
    "beam_search": lambda lm, wrong: lm.beam_search(wrong, max_tokens=1),
    "next_words": lambda lm, wrong: lm.next_words(wrong),
}


@pytest.mark.parametrize("wrong", WRONG, ids=type_name)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_what_is_no_text_is_refused(lm: LanguageModel, call: Call, wrong: Any) -> None:
    with pytest.raises(InputError) as caught:
        call(lm, wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_half_a_surrogate_pair_is_refused(lm: LanguageModel, call: Call) -> None:
    with pytest.raises(InputError):
        call(lm, "the \ud83d cat")


@pytest.mark.parametrize("name", ["score_batch", "score_stream", "encode_batch", "sample_batch"])
def test_a_string_is_no_list_of_strings(lm: LanguageModel, name: str) -> None:
    with pytest.raises(InputError, match=r"one string|got str|a list"):
        CALLS[name](lm, "the")


def test_what_is_a_list_of_texts(lm: LanguageModel) -> None:
    expected = lm.score_batch(["the cat", "sat"])
    for texts in (
        ("the cat", "sat"),
        (text for text in ["the cat", "sat"]),
        {"the cat": 1, "sat": 2}.keys(),
        np.array(["the cat", "sat"]),
        [np.str_("the cat"), np.str_("sat")],
        io.StringIO("the cat\nsat"),
    ):
        found = list(lm.score_stream(texts))
        assert [score.log_prob for score in found] == [score.log_prob for score in expected]


NUMBERS: dict[str, Call] = {
    "tokens": lambda lm, wrong: lm.step(wrong, lm.initial_state()),
    "a token": lambda lm, wrong: lm.step([wrong], lm.initial_state()),
    "state": lambda lm, wrong: lm.step([1], wrong),
    "parents": lambda lm, wrong: lm.step([1, 2], lm.initial_state(2), wrong),
    "a parent": lambda lm, wrong: lm.step([1], lm.initial_state(), [wrong]),
    "select": lambda lm, wrong: lm.initial_state(2).select(wrong),
    "a row": lambda lm, wrong: lm.initial_state(2).select([wrong]),
    "State": lambda lm, wrong: lmscore.State(wrong),
    "concat": lambda lm, wrong: lmscore.State.concat(wrong),
    "batch_size": lambda lm, wrong: lm.initial_state(wrong),
    "window": lambda lm, wrong: lm.score_stream(["the"], window=wrong),
    "context": lambda lm, wrong: lm.score("the", context=wrong),
    "device": lambda lm, wrong: load(lm.path, device=wrong),
    "threads": lambda lm, wrong: load(lm.path, threads=wrong),
    "providers": lambda lm, wrong: load(lm.path, providers=wrong),
    "variant": lambda lm, wrong: load(lm.path, variant=wrong),
}


@pytest.mark.parametrize(
    "wrong", [b"1", 1.5, math.nan, -1, True, object(), [[0]], "\ud800"], ids=type_name
)
@pytest.mark.parametrize("call", NUMBERS.values(), ids=NUMBERS.keys())
def test_impossible_arguments_are_refused(lm: LanguageModel, call: Call, wrong: Any) -> None:
    with pytest.raises(LmscoreError) as caught:
        call(lm, wrong)
    assert "\n" not in str(caught.value)


def test_ragged_arrays(lm: LanguageModel) -> None:
    ragged: Any = [[1], [1, 2]]
    for name in ("tokens", "a token", "parents", "select", "a row", "State", "concat"):
        with pytest.raises(InputError):
            NUMBERS[name](lm, ragged)


def test_a_state_that_is_not_finite(lm: LanguageModel) -> None:
    (h, c) = (np.asarray(tensor).copy() for tensor in lm.initial_state().tensors)
    c[0, 0, 3] = math.nan
    with pytest.raises(InputError, match="a state tensor holds nan or inf"):
        lmscore.State((h, c))


def test_a_state_larger_than_memory(lm: LanguageModel) -> None:
    for rows in (10**14, 10**30):
        with pytest.raises(OptionError, match="does not fit into memory"):
            lm.initial_state(rows)


def line_count(data: bytes) -> int:
    data = data.removeprefix(b"\xef\xbb\xbf")
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    return data.count(b"\n") + (not data.endswith(b"\n") if data else 0)


PACKED = (b"\x1f\x8b", b"\xfd7zXZ\x00")  # how gzip and xz begin: to be unpacked, and no text

BYTES = st.lists(
    st.one_of(
        st.binary(max_size=12),
        st.text(max_size=12).map(str.encode),
        st.sampled_from([b"\n", b"\r\n", b"\r", b"\xef\xbb\xbf", b"\x00", b"the cat\n", b"\t"]),
    ),
    max_size=12,
).map(b"".join)


def is_plain(data: bytes) -> bool:
    """Whether a file is taken for lines of UTF-8, and not for another encoding or container."""
    try:
        return not data.startswith(PACKED) and LineReader(io.BytesIO(data), "").encoding == "utf-8"
    except InputError:
        return False


@given(BYTES.filter(is_plain))
@example(b"\x00" * 6)
@example(b"\xef\xbb\xbf")
@example(b"\xef\xbb\xbf\n")
@example(b"\n\n\r\n \n")
@example(b"the\x00cat\r\r\n\xe2\x80\xa8\x0b\n\xff\xfe")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_record_out_per_line_in(run: Run, data: bytes) -> None:
    result = run("score", "--errors", "replace", "--variant", "fp32", "--threads", "1", stdin=data)
    assert len(result.rows) == line_count(data)
    assert all(math.isfinite(float(row[0])) for row in result.rows)
    assert result.status == (0 if line_count(data) else 1)


@given(st.sampled_from(PACKED), st.binary(max_size=40))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_compressed_text(run: Run, magic: bytes, data: bytes) -> None:
    result = run("score", "--threads", "1", stdin=magic + data)
    assert result.status == 1
    assert result.err.startswith("lmscore: error: standard input: damaged compressed file: ")
    assert result.out == ""


@given(st.lists(st.sampled_from([*ODD.values(), "\n", "\r\n", "the cat"]), min_size=1, max_size=6))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_filter_that_keeps_all_changes_nothing(run: Run, parts: list[str]) -> None:
    data = "".join(parts)
    result = run("filter", "--min-ppl", "0", "--threads", "1", stdin=data)
    assert result.out.removesuffix("\n") == data.removeprefix("\ufeff").removesuffix("\n")


@given(st.lists(st.text(max_size=12), min_size=1, max_size=6))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_object_out_per_object_in(run: Run, texts: list[str]) -> None:
    objects = [{"id": number, "text": text} for number, text in enumerate(texts)]
    result = run(
        *("score", "--input-format", "jsonl", "--format", "jsonl", "--threads", "1"),
        stdin="".join(f"{json.dumps(item)}\n" for item in objects),
    )
    assert result.status == 0
    assert [{"id": found["id"], "text": found["text"]} for found in result.objects] == objects


@given(BYTES)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_said_to_be_jsonl(run: Run, data: bytes) -> None:
    result = run("ppl", "--input-format", "jsonl", "--threads", "1", stdin=data)
    assert result.status == 1
    assert result.err.startswith("lmscore: error: ")
    assert result.err.count("\n") == 1
