"""ARPA files: read as many tools write them, written, and refused with a reason."""

from __future__ import annotations

import gzip
import lzma
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import InputFileError, ModelError
from lmscore.runtime.ngram import (
    LN10,
    NgramModel,
    arpa_text,
    count_ngrams,
    estimate,
    read_arpa,
    write_arpa,
)
from tests.runtime.ngram.golden import DATA, entries

ARPA = """\
\\data\\
ngram 1=5
ngram 2=3

\\1-grams:
-1.0\t</s>
-99\t<s>\t-0.5
-0.5\tthe\t-0.25
-0.75\tcat\t-0.125
-2.0\t<unk>

\\2-grams:
-0.25\t<s> the
-0.375\tthe cat
-0.0625\tcat </s>

\\end\\
"""


def read(folder: Path, text: str) -> NgramModel:
    path = folder / "model.arpa"
    path.write_text(text, encoding="utf-8")
    return read_arpa(path)


def in_base_10(model: NgramModel) -> dict[tuple[str, ...], tuple[float, float]]:
    return {ngram: (p / LN10, b / LN10) for ngram, (p, b) in entries(model).items()}


def test_every_entry_is_read(tmp_path: Path) -> None:
    model = read(tmp_path, ARPA)
    assert model.words == ["<unk>", "<s>", "</s>", "the", "cat"]
    assert in_base_10(model) == {
        ("</s>",): pytest.approx((-1, 0)),
        ("<s>",): pytest.approx((-99, -0.5)),
        ("the",): pytest.approx((-0.5, -0.25)),
        ("cat",): pytest.approx((-0.75, -0.125)),
        ("<unk>",): pytest.approx((-2, 0)),
        ("<s>", "the"): pytest.approx((-0.25, 0)),
        ("the", "cat"): pytest.approx((-0.375, 0)),
        ("cat", "</s>"): pytest.approx((-0.0625, 0)),
    }


@pytest.mark.parametrize(
    ("change", "to"),
    [
        ("\\data\\", "\n# made by a tool\n\n\\data\\"),  # text before it
        ("\t", " "),  # spaces for tabs
        ("\t", "  \t "),
        ("\n", "\r\n"),
        ("<unk>", "<UNK>"),
        ("\\data\\", "\ufeff\\data\\"),
        ("\\1-grams:", "\\1-grams:\n\n"),  # blank lines among the n-grams
        ("-0.75\tcat", "\n \n-0.75\tcat"),
        ("-99\t<s>", "-inf\t<s>"),
        ("cat </s>", "cat </s> 0.0"),  # weights in the highest order
        ("-0.0625", "-6.25e-2"),
        ("ngram 1=5", "ngram  1 = 5"),
        ("-0.25\t<s> the\n-0.375\tthe cat\n", "-0.375\tthe cat\n-0.25\t<s> the\n"),  # unsorted
    ],
)
def test_what_tools_write(tmp_path: Path, change: str, to: str) -> None:
    assert change in ARPA
    assert entries(read(tmp_path, ARPA.replace(change, to))) == entries(read(tmp_path, ARPA))


def test_without_an_unknown_word(tmp_path: Path) -> None:
    text = ARPA.replace("-2.0\t<unk>\n", "").replace("1=5", "1=4")
    model = read(tmp_path, text)
    assert not model.has_unknown
    assert model.tables[0].log_probs[0] == pytest.approx(-100 * LN10)
    path = tmp_path / "model.arpa"
    assert read_arpa(path, unknown_log_prob=-5).tables[0].log_probs[0] == pytest.approx(-5)
    assert "<unk>" not in "".join(arpa_text(model))


def test_unigrams_only(tmp_path: Path) -> None:
    model = read(tmp_path, "\\data\\\nngram 1=2\n\n\\1-grams:\n-0.5 go\n-0.5 </s>\n\n\\end\\\n")
    assert (model.order, model.words) == (1, ["<unk>", "<s>", "</s>", "go"])


def test_an_order_without_n_grams(tmp_path: Path) -> None:
    text = ARPA.replace("ngram 2=3", "ngram 2=3\nngram 3=0").replace(
        "\\end\\", "\\3-grams:\n\n\\end\\"
    )
    assert read(tmp_path, text).order == 3
    assert read(tmp_path, text.replace("\\3-grams:\n\n", "")).order == 3


@pytest.mark.parametrize("opened", [gzip.open, lzma.open])
def test_compressed(tmp_path: Path, opened: object) -> None:
    path = tmp_path / "model.arpa.z"
    with opened(path, "wb") as file:  # type: ignore[operator]
        file.write(ARPA.encode())
    assert entries(read_arpa(path)) == entries(read(tmp_path, ARPA))


@pytest.mark.parametrize(
    ("change", "to", "message"),
    [
        ("\\data\\", "", r"model.arpa: no ARPA file, it has no line \\data\\"),
        ("ngram 2=3", "ngram 3=3", "line 3: expected the number of 2-grams"),
        ("ngram 2=3", "nram 2=3", "line 3: expected `ngram 2=COUNT`, not 'nram 2=3'"),
        ("ngram 1=5\nngram 2=3\n", "", r"no `ngram 1=COUNT` after"),
        ("\\data\\", "iARPA\n\\data\\", "line 1: 'iARPA' begins an intermediate file of IRSTLM"),
        ("\\data\\", "qARPA 2 9 9\n\\data\\", "begins a quantised file of IRSTLM, not an ARPA"),
        ("</s>", "</S>", "model.arpa: no </s> among the 1-grams, so no sentence could end"),
        ("-0.75\tcat", "\n-0,75\tcat", "line 10: expected a number at both ends of '-0,75"),
        ("\\1-grams:", "\\2-grams:", r"line 5: expected .1-grams:"),
        ("\\2-grams:", "\\3-grams:", r"line 12: expected .2-grams:, not '..3-grams:'"),
        ("ngram 1=5", "ngram 1=4", r"line 10: expected .2-grams:, not '-2.0.t<unk>'"),
        ("ngram 1=5", "ngram 1=6", r"line 12: .data. announces more 1-grams than there are"),
        ("\\end\\\n", "", r"expected .end.: the file is cut off"),
        ("-0.0625\tcat </s>\n\n\\end\\\n", "", "the file ends where 1 more 2-grams should be"),
        ("-0.375\tthe cat", "-0.375\tthe dog", "line 14: the word 'dog' of a 2-gram is no 1-gram"),
        ("-0.375\tthe cat", "-0.375\tthe", "line 14: expected a log-probability, 2 words"),
        ("-0.375\tthe cat", "x\tthe cat", "line 14: expected a number at both ends"),
        ("-0.375\tthe cat", "0.375\tthe cat", "line 14: a log-probability above 0"),
        ("-0.375\tthe cat", "nan\tthe cat", "line 14: a log-probability above 0, or a weight"),
        ("-0.125", "inf", "line 9: a log-probability above 0, or a weight that is no number"),
        ("-0.375\tthe cat", "-0.25\t<s> the", "one of the 2-grams stands twice"),
        ("-0.75\tcat", "-0.75\tthe", "the word 'the' stands twice among the 1-grams"),
        ("ngram 2=3", "ngram 2=" + "9" * 18, "announces more 2-grams than there are"),
        ("ngram 2=3", "ngram 2=" + "9" * 5000, "line 3: expected `ngram 2=COUNT`, not 'ngram 2=9"),
        ("\\2-grams:", f"\\{'9' * 5000}-grams:", "line 12: expected .2-grams:, not"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: str, to: str, message: str) -> None:
    assert change in ARPA
    with pytest.raises(ModelError, match=message):
        read(tmp_path, ARPA.replace(change, to))


@given(st.sets(st.integers(0, 1000), max_size=6))
def test_contexts_that_are_missing(
    tmp_path_factory: pytest.TempPathFactory, numbers: set[int]
) -> None:
    """Bigrams that are worth what backing off gives may be left out: the model stays the same."""
    model = read_arpa(DATA / "trigrams.arpa")
    first, second, third = model.tables
    chosen = sorted({number % len(second) for number in numbers})
    before, words = np.divmod(second.keys[chosen], model.vocab_size)
    log_probs, backoffs = second.log_probs.copy(), second.backoffs.copy()
    log_probs[chosen] = first.backoffs[before] + first.log_probs[words]
    backoffs[chosen] = 0
    whole = replace(
        model, tables=(first, replace(second, log_probs=log_probs, backoffs=backoffs), third)
    )
    left_out = {f"{model.words[b]} {model.words[w]}" for b, w in zip(before, words, strict=True)}
    lines = "".join(arpa_text(whole)).splitlines()
    kept = [line for line in lines if line.split("\t")[1:2] not in [[words] for words in left_out]]
    path = tmp_path_factory.mktemp("arpa") / "model.arpa"
    count = len(second) - len(chosen)
    text = "\n".join(kept).replace(f"ngram 2={len(second)}", f"ngram 2={count}")
    path.write_text(f"{text}\n")
    rows = model.rows(3)
    found, expected = (each.log_probs_of(rows) for each in (read_arpa(path), whole))
    assert found == pytest.approx(expected, abs=1e-4)


def test_a_missing_context_by_hand(tmp_path: Path) -> None:
    text = ARPA.replace("ngram 2=3", "ngram 2=3\nngram 3=2").replace(
        "\\end\\", "\\3-grams:\n-1 <s> the cat\n-1.5 cat the cat\n\n\\end\\"
    )
    found = in_base_10(read(tmp_path, text))
    assert found["cat", "the"] == pytest.approx((-0.125 - 0.5, 0))  # backed off
    assert found["cat", "the", "cat"] == pytest.approx((-1.5, 0))
    assert found["<s>", "the", "cat"] == pytest.approx((-1, 0))
    assert len(found) == 11


def test_missing_contexts_of_missing_contexts(tmp_path: Path) -> None:
    text = ARPA.replace("ngram 2=3", "ngram 2=3\nngram 3=0\nngram 4=1").replace(
        "\\end\\", "\\4-grams:\n-1 cat the <unk> the\n\n\\end\\"
    )
    found = in_base_10(read(tmp_path, text))
    assert found["cat", "the"] == pytest.approx((-0.125 - 0.5, 0))
    assert found["cat", "the", "<unk>"] == pytest.approx((-0.25 - 2, 0))
    assert found["cat", "the", "<unk>", "the"] == pytest.approx((-1, 0))
    assert found["the", "cat"] == pytest.approx((-0.375, 0))
    assert len(found) == 11


def test_words_that_are_no_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "model.arpa"
    path.write_bytes(ARPA.encode().replace(b"cat", b"c\xe4t"))
    with pytest.raises(ModelError, match="is not valid UTF-8; convert the file first"):
        read_arpa(path)


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="no such file"):
        read_arpa(tmp_path / "model.arpa")


@given(st.lists(st.lists(st.sampled_from(["a", "b", "ß", "<s>"]), max_size=5), min_size=1))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, text: list[list[str]]
) -> None:
    model = estimate(count_ngrams(text, 3), discount_fallback=True)
    path = tmp_path_factory.mktemp("arpa") / "model.arpa.gz"
    write_arpa(model, path)
    found = read_arpa(path)
    assert found.words == model.words
    for table, expected in zip(found.tables, model.tables, strict=True):
        assert np.array_equal(table.keys, expected.keys)
        assert table.log_probs == pytest.approx(expected.log_probs, abs=2e-6)
        assert table.backoffs == pytest.approx(expected.backoffs, abs=2e-6)


def test_a_file_of_lmplz_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "copy.arpa"
    write_arpa(read_arpa(DATA / "trigrams.arpa"), path)
    found, expected = in_base_10(read_arpa(path)), in_base_10(read_arpa(DATA / "trigrams.arpa"))
    assert list(found) == list(expected)
    assert list(found.values()) == [pytest.approx(pair, abs=1e-6) for pair in expected.values()]
