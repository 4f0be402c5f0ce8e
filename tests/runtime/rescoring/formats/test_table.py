"""The table of formats; the format is told from the first lines, or the user is asked."""

from __future__ import annotations

import json
import re
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from lmscore.errors import InputError, OptionError
from lmscore.runtime.rescoring.formats import FORMATS, Format, entry_points, known_formats, read
from lmscore.runtime.rescoring.formats.table import detect
from lmscore.runtime.rescoring.lists import without_marks

PAGE = Path(__file__).parents[4] / "docs" / "formats.md"


def test_the_docs_have_every_format() -> None:
    assert re.findall(r"^\| `([\w-]+)` \|", PAGE.read_text(encoding="utf-8"), re.M) == [*FORMATS]


EXAMPLES = dict(
    re.findall(r"^`([\w-]+)`:\n\n```text\n(.*?)```$", PAGE.read_text("utf-8"), re.M | re.DOTALL)
)


def test_the_docs_have_an_example_of_every_format() -> None:
    assert [*EXAMPLES] == [*FORMATS]


@pytest.mark.parametrize("name", FORMATS)
def test_examples_are_read(tmp_path: Path, name: str) -> None:
    """Each is told by its own lines, but for plain texts, which have to be named."""
    path = tmp_path / "utt1.nbest"
    if name == "espnet2":
        for line in EXAMPLES[name].splitlines():
            file, _, value = line.partition(":")
            (path / file).parent.mkdir(parents=True, exist_ok=True)
            (path / file).write_text(f"{value.strip()}\n")
    else:
        path.write_text(EXAMPLES[name])
    size = 2 if "beam_size" in FORMATS[name].needs else None
    found, lists = read(path, "plain" if name == "plain" else None, beam_size=size)
    assert found.name == name
    (nbest,) = lists
    texts = [without_marks(hypothesis.text) for hypothesis in nbest.hypotheses]
    assert texts == ["good day", "good bay"]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("0 ||| a ||| lm= -1 ||| -1\n", "moses"),
        ("0||| a ||| ||| -1 ||| 0-0\r\n1||| b ||| ||| -1 |||\r\n", "moses"),
        ("0 ||| a ||| 0-0 1-1 ||| F0= -1.5 ||| -0.7\n", "moses"),
        ("0 ||| a ||| 1.25\n", "nematus"),
        ("0 ||| a ||| 1.25 ||| lm= -1\n", "nematus"),
        ("NBestList1.0\n", "srilm"),
        ("NBestList2.0\n(-1) a ( st: 0 et: 0 g: 0 a: 0 )\n", "srilm"),
        ("(-120) a b\n(-7)\n", "srilm"),
        ("-1.5e2 -inf 3 a b c\n-1 -2.5 0\n", "srilm"),
        ("utt-1 a b\nutt-2\nutt-3 c\nother-utt-1 a\n", "kaldi"),
        ("2-1 1 1\n2-2 1 1\n", "kaldi"),
        ("2021 | INFO | x\nS-0\ta b\nT-0\tc\nH-0\t-0.5\tc\nD-0\t-0.5\tc\n", "fairseq"),
        ("H-12\t-0.5\tc\nP-12\t-1 -2\n", "fairseq"),
        ("wav u1\ncandidate -1.5 a b\n", "wenet"),
        ("wav u1\nwav u2\ncandidate -1.5 a b\n", "wenet"),  # nothing was found in u1
        ("----\npass1_best: a\nsentence1: <s> a </s>\nscore1: -7.5\n", "julius"),
        ("".join(f"u-{n} a\n" for n in (1, 10, *range(2, 10))) + "v-1 a\nv-10 a\n", "kaldi"),
        ("1089-134686-0000-1 a\n1089-134686-0000-2 b\n", "kaldi"),
        ("utt-1 1.5 is no score\nutt-2 a\nutt-3 b\n", "kaldi"),
        ("0 ||| a ||| ||| -1\nbroken", "moses"),
        ("-1 -2 1 a\nbroken", "srilm"),
        ("utt-1 a\nbroken", "kaldi"),
        ("-1 -2 1 a\nbroken\n", "srilm"),
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
        ('[\n  {\n"output": "x", "input" : [\n', "hyporadise"),
    ],
)
def test_formats(head: str, expected: str) -> None:
    assert detect(head) == [FORMATS[expected]]


@pytest.mark.parametrize(
    "head",
    [
        "\n",
        "a sentence\nanother\n",
        "0 ||| a ||| x\n",
        "-1 -2 a b\n",
        "a good day-2\n",
        "utt-0000 first sentence\nutt-0001 second one\n",
        "utt-2 a\nutt-3 b\n",
        "utt-1 a\nutt-1 b\n",
        "u-1 172.1 -11.7 | HERE WE GO\nu-2 176.8 -17.0 | HERE WE GET\n",
        "2021-08-31 20:24:21 | INFO | x\n2021-08-31 20:24:22 | INFO | y\n",
        "-1 -2 3 a\na b\nc d\ne f\n",
        '[{"text": "a"}]',
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
    mapping = ", or say where its parts are (`mapping`)" if head[0] in "[{" else ""
    assert str(caught.value) == (
        f"{path}: cannot tell the n-best format from the first lines; name it (`input_format`): "
        f"{', '.join(FORMATS)}{mapping}; lattices are for lmscore lattice"
    )


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.touch()
    with pytest.raises(InputError, match=r"list: empty, there is no n-best list in it$"):
        read(path)


def test_an_unknown_name(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("u\ta\n")
    with pytest.raises(OptionError, match="no n-best format 'csv'; there are moses, nematus"):
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


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("utt-1\ta b\nutt-2\tc\n", "kaldi or tsv"),  # keys, or ids with one text each
        ("a\t-1\t17\na\t-2\t70\n", "nemo or tsv"),  # texts, or ids and texts of digits
    ],
)
def test_two_readings_are_a_question(tmp_path: Path, text: str, names: str) -> None:
    path = tmp_path / "list"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value) == (
        f"{path}: from the first lines these may be {names} lists; name the format (`input_format`)"
    )
    assert read(path, beam_size=2)[0].name == "nemo" if "nemo" in names else True


class Offer(EntryPoint):
    """An entry point of a package that is not installed."""

    offer: object = None

    def load(self) -> object:
        if isinstance(self.offer, Exception):
            raise self.offer
        return self.offer


def offer(monkeypatch: pytest.MonkeyPatch, name: str, offered: object) -> None:
    kind = type("One", (Offer,), {"offer": offered})
    points = [kind(name, "package.module:ATTRIBUTE", entry_points.GROUP)]
    monkeypatch.setattr(entry_points, "entry_points", lambda group: points)
    known_formats.cache_clear()


def test_formats_of_other_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tsv = FORMATS["tsv"]
    theirs = Format("theirs", tsv.recognises, tsv.read, tsv.render)
    offer(monkeypatch, "theirs", theirs)
    path = tmp_path / "list"
    path.write_text("u\ta\n")
    assert read(path, "theirs")[0] is theirs
    with pytest.raises(InputError, match="these may be tsv or theirs"):
        read(path)
    offer(monkeypatch, "lattices", object())  # a record of another kind
    assert list(known_formats()) == list(FORMATS)
    known_formats.cache_clear()


@pytest.mark.parametrize(
    ("name", "offered", "message"),
    [
        ("theirs", ImportError("no module"), "the format 'theirs' of the package .* no module"),
        ("tsv", FORMATS["tsv"], "offers a second format 'tsv'"),
    ],
)
def test_formats_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, name: str, offered: object, message: str
) -> None:
    offer(monkeypatch, name, offered)
    with pytest.raises(OptionError, match=message):
        known_formats()
    known_formats.cache_clear()
