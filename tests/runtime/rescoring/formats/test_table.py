"""The table of formats; the format is told from the first lines, or the user is asked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from lmscore.errors import InputError, OptionError
from lmscore.names import ListFormat
from lmscore.runtime.rescoring.formats import FORMATS, read
from lmscore.runtime.rescoring.formats.table import detect

PAGE = Path(__file__).parents[4] / "docs" / "formats.md"


def test_the_command_line_and_the_docs_have_every_format() -> None:
    assert get_args(ListFormat) == tuple(FORMATS)
    assert re.findall(r"^\| `([\w-]+)` \|", PAGE.read_text(encoding="utf-8"), re.M) == [*FORMATS]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("0 ||| a ||| lm= -1 ||| -1\n", "moses"),
        ("0||| a ||| ||| -1 ||| 0-0\r\n1||| b ||| ||| -1 |||\r\n", "moses"),
        ("NBestList1.0\n", "srilm"),
        ("NBestList2.0\n(-1) a ( st: 0 et: 0 g: 0 a: 0 )\n", "srilm"),
        ("(-120) a b\n(-7)\n", "srilm"),
        ("-1.5e2 -inf 3 a b c\n-1 -2.5 0\n", "srilm"),
        ("utt-1 a b\nutt-2\nutt-3 c\nother-utt-1 a\n", "kaldi"),
        ("2-1 1 1\n2-2 1 1\n", "kaldi"),
        ("0 ||| a ||| ||| -1\nbroken", "moses"),
        ("-1 -2 1 a\nbroken", "srilm"),
        ("utt-3 a\nbroken", "kaldi"),
        ("u\t-1\ta\nbroken\t1\n", "tsv"),
        ("a\t-1\nbroken\n", "nemo"),
        ("1 2 3\t-1.5\n", "nemo"),
        ("a b\t-1.5\n\t-2\n", "nemo"),
        ("a\t-1.5\t-2\n", "nemo"),
        ("utt-1\t-1.5\ta\nutt-1\t-2\tb\n", "tsv"),
        ("u\ta b\nu\t\n", "tsv"),
        ("u\t-1.5\t2\tno number\n", "tsv"),
        ('{"id": "u", "hypotheses": []}\n', "jsonl"),
        ('{"hypotheses":[{"text":"\\"utts\\": {"}],"id":1}\n', "jsonl"),
        ('{"utts": {"u": {}}}', "espnet"),
        ('{\n "a": 1,\n "utts" :\n {}}', "espnet"),
        ('{"u": {"hyp_1": {}}}', "mlm-scoring"),
        (' {\n"u\\"":\n{"ref": ""}}', "mlm-scoring"),
        ('[{"id": "u", "input": []}]', "hyporadise"),
        ("[\n  {\n", "hyporadise"),
    ],
)
def test_formats(head: str, expected: str) -> None:
    assert detect(head) is FORMATS[expected]


@pytest.mark.parametrize(
    "head",
    [
        "\n",
        "a sentence\nanother\n",
        "0 ||| a ||| -1\n",
        "-1 -2 a b\n",
        "a good day-2\n",
        "{}",
        '{"a": 1}',
        '{"text": "a"}\n',
        "[1]",
        "\x00\ufffd\x01",
    ],
)
def test_something_else(tmp_path: Path, head: str) -> None:
    path = tmp_path / "list"
    path.write_text(head)
    with pytest.raises(InputError) as caught:
        read([path])
    assert str(caught.value) == (
        f"{path}: cannot tell the n-best format from the first lines; name it (`input_format`): "
        "moses, srilm, kaldi, espnet, mlm-scoring, hyporadise, nemo, jsonl, tsv; "
        "lattices are for lmscore lattice"
    )


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.touch()
    with pytest.raises(InputError, match=r"list: empty, there is no n-best list in it$"):
        read(path)


def test_an_unknown_name(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("u\ta\n")
    with pytest.raises(OptionError, match="no n-best format 'csv'; there are moses, srilm, kaldi"):
        read([path], "csv")


def test_a_name_wins_over_the_content(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("u\t1\n")
    list_format, lists = read([path], "tsv")
    assert list_format is FORMATS["tsv"]
    assert [h.text for nbest in lists for h in nbest.hypotheses] == ["1"]


def test_a_document_in_one_long_line(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text(json.dumps([{"input": ["word " * 9]} for _ in range(9999)]))
    list_format, lists = read([path])
    assert (list_format.name, sum(1 for _ in lists)) == ("hyporadise", 9999)
