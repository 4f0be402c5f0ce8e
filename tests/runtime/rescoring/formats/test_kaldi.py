"""Kaldi n-best text, and score archives beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmscore.errors import InputError, OptionError
from lmscore.runtime.rescoring.formats import read
from tests.runtime.rescoring.formats.conftest import Read, Rewrite, add, contents, order

SAMPLE = "spk-a-1 good day\nspk-a-2\nspk-a-3  good\tday  to you \nspk-b-1 x\n"


def test_what_is_read(read_text: Read) -> None:
    a, b = read_text(SAMPLE)
    assert (a.id, b.id) == ("spk-a", "spk-b")
    assert contents(a) == [("good day", {}), ("", {}), ("good day to you", {})]
    assert contents(b) == [("x", {})]


def test_costs_become_log_probabilities(read_text: Read, tmp_path: Path) -> None:
    keys = [line.split()[0] for line in SAMPLE.splitlines()]
    archives = {"lmwt": tmp_path / "lmwt", "acwt": tmp_path / "acwt"}
    for name, path in archives.items():
        sign = "-" if name == "acwt" else ""
        path.write_text("".join(f"{key} {sign}{i}.5\n" for i, key in enumerate(keys)))
    a, b = read_text(SAMPLE, scores=archives)
    assert [dict(h.features) for h in a.hypotheses] == [
        {"lmwt": -0.5, "acwt": 0.5},
        {"lmwt": -1.5, "acwt": 1.5},
        {"lmwt": -2.5, "acwt": 2.5},
    ]
    assert [dict(h.features) for h in b.hypotheses] == [{"lmwt": -3.5, "acwt": 3.5}]


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        ("u-1 1\n", "scores: ends before the key 'u-2' of {list}, line 2"),
        (
            "u-2 1\nu-1 1\n",
            (
                "scores, line 1: the key is 'u-2', but {list}, line 1 has 'u-1'; "
                "the scores must be in the order of the list"
            ),
        ),
        ("u-1 1\nu-2 x\n", "scores, line 2, cost (field 2): 'x' is no number"),
        (
            "u-1 1\nu-2 nan\n",
            (
                "scores, line 2, cost (field 2): the score nan cannot be used; "
                "mend it or drop the feature"
            ),
        ),
        ("u-1 1\nu-2 1\nu-3 1\n", "scores, line 3: {list} ends before this score"),
    ],
)
def test_bad_archives(read_text: Read, tmp_path: Path, archive: str, message: str) -> None:
    path = tmp_path / "scores"
    path.write_text(archive)
    with pytest.raises(InputError) as caught:
        read_text("u-1 a\nu-2 b\n", scores={"lmwt": path})
    assert str(caught.value).endswith(message.format(list=tmp_path / "list"))


def test_archives_go_with_one_kaldi_list(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text("u-1 a\n")
    (tmp_path / "tsv").write_text("u\ta\n")
    scores = {"lmwt": tmp_path / "scores"}
    with pytest.raises(OptionError, match="score archives go with one file"):
        read([tmp_path / "one", tmp_path / "two"], scores=scores)
    with pytest.raises(OptionError, match="`scores` is for kaldi, not for tsv lists"):
        read(tmp_path / "tsv", scores=scores)


WORDS = "<eps> 0\nhe 12\npassed 4501\npast 4502\nit 77\n"


def test_words_that_are_numbers(read_text: Read, tmp_path: Path) -> None:
    text = "u1-1 12 4501 77\nu1-2 12 4502 77\n"
    with pytest.raises(InputError) as caught:
        read_text(text)
    assert str(caught.value) == (
        f"{tmp_path / 'list'}: the words are numbers; give Kaldi's symbol table (`symbols`)"
    )
    symbols = tmp_path / "words.txt"
    symbols.write_text(WORDS)
    _, lists = read(tmp_path / "list", symbols=symbols)
    assert [contents(nbest) for nbest in lists] == [[("he passed it", {}), ("he past it", {})]]
    (tmp_path / "list").write_text("u1-1 12 4501 78\n")
    _, lists = read(tmp_path / "list", symbols=symbols)
    with pytest.raises(InputError, match="line 1: '78' is not in the symbol table"):
        list(lists)


def test_digits_are_words(read_text: Read) -> None:
    assert [contents(nbest) for nbest in read_text("u-1 1 2 3\nu-2 1 3\n")] == [
        [("1 2 3", {}), ("1 3", {})]
    ]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("a 1\nb\n", "words.txt, line 2: expected a word and its number, got 'b'"),
        ("a 1\nb -2\n", "words.txt, line 2: expected a word and its number, got 'b -2'"),
        ("a 1\nb 1\n", "words.txt, line 2: a second word with the number 1"),
    ],
)
def test_bad_symbol_tables(read_text: Read, tmp_path: Path, table: str, message: str) -> None:
    symbols = tmp_path / "words.txt"
    symbols.write_text(table)
    (tmp_path / "list").write_text("u-1 11\n")
    _, lists = read(tmp_path / "list", symbols=symbols)
    with pytest.raises(InputError) as caught:
        list(lists)
    assert str(caught.value).endswith(message)


def test_a_new_score_is_an_archive_of_costs(rewrite: Rewrite) -> None:
    assert rewrite(SAMPLE, add("rnn", -1.5, 0, -3)) == (
        "spk-a-1 1.5\nspk-a-2 0.0\nspk-a-3 3.0\nspk-b-1 1.5\n"
    )
    assert rewrite(SAMPLE.rstrip(), add("rnn", -1.5, 0, -3)).endswith("spk-b-1 1.5\n")


def test_an_archive_holds_one_score(rewrite: Rewrite) -> None:
    with pytest.raises(OptionError, match="holds one score, not a, b; write one archive each"):
        rewrite("u-1 x\n", lambda nbest: add("b", -1)(add("a", -1)(nbest)))


def test_another_order_keeps_the_keys(rewrite: Rewrite) -> None:
    assert rewrite("u-1 a\nu-2 b", order(1, 0)) == "u-2 b\nu-1 a\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("u-1 a\n\n", "line 2: the key (field 1) is '', expected UTTERANCE-NUMBER"),
        ("a b\n", "line 1: the key (field 1) is 'a', expected UTTERANCE-NUMBER"),
        ("u-x b\n", "line 1: the key (field 1) is 'u-x', expected UTTERANCE-NUMBER"),
        ("-1 b\n", "line 1: the key (field 1) is '-1', expected UTTERANCE-NUMBER"),
        ("u-1 a\nu-2 b\nu-1 a\n", "line 3: the key 'u-1' was there before"),
    ],
)
def test_bad_lines(read_text: Read, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_text(text, "kaldi")
    assert str(caught.value).endswith(f"list, {message}")
