"""`lmscore regions`: tables of words, of items with their regions, and what is wrong with them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from lmscore.runtime.model import LanguageModel
from tests.cli.conftest import Result, Run

MANY = f"0:{'9' * 5000}"  # digits
WORDS = "sentence\tword\tRT\n1\tthe\t310\n1\tcat\t290\n1\tsat\t305\n2\ton\t1\n2\ta mat\t2\n"
ITEMS = (
    "item,condition,sentence,region,start,end,spans\n"
    '1,a,"the ""cat"", sat on",cat,0,3,0:3 4:10\n'
    '1,b,so long and bye,long and,3,11,"0-2, 3-7"\n'
)


FP32 = ("--variant", "fp32")  # of the models that the tests compare with


def table(result: Result) -> list[dict[str, str]]:
    assert result.status == 0, result.err
    names, *rows = csv.reader(io.StringIO(result.out), strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows]


def log_probs(rows: list[dict[str, str]]) -> list[float]:
    return [float(row["log_prob"]) for row in rows]


@pytest.fixture
def items(tmp_path: Path) -> Path:
    path = tmp_path / "items.csv"
    path.write_text(ITEMS)
    return path


def test_a_word_a_line(run: Run, bpe_lm: LanguageModel, bpe_model_path: Path) -> None:
    options = ("--group-by", "sentence", "--field", "word", "--input-format", "tsv")
    result = run("regions", "-m", bpe_model_path, *FP32, *options, stdin=WORDS)
    rows = table(result)
    assert ",".join(list(rows[0])[:3]) == "sentence,word,RT"
    assert [row["RT"] for row in rows] == ["310", "290", "305", "1", "2"]
    first, second = (bpe_lm.score(text, words=True).words for text in ("the cat sat", "on a mat"))
    expected = [*(word.log_prob for word in first[:3]), second[0].log_prob]
    expected.append(second[1].log_prob + second[2].log_prob)
    assert log_probs(rows) == pytest.approx(expected, rel=1e-5)
    assert [row["num_words"] for row in rows] == ["1", "1", "1", "1", "2"]
    assert "2 texts, 5 regions\n" in result.err


def test_rows_of_a_text_are_together(run: Run) -> None:
    options = ("regions", "--field", "word", "--input-format", "tsv", "--group-by")
    mixed = "sentence\tword\n1\tthe\n2\tcat\n1\tsat\n"
    result = run(*options, "sentence", stdin=mixed)
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert "line 4: there were rows of sentence=1 before, and others since: sort" in result.err
    result = run(
        *options, "sentence,reader", stdin="sentence\treader\tword\n1\ta\tthe\n1\tb\tcat\n"
    )
    assert result.err.startswith("lmscore: ")
    assert "2 texts, 2 regions" in result.err
    result = run(*options, "page", stdin=mixed)
    assert "line 2: no column 'page', only 'sentence', 'word'" in result.err


def test_words_without_spaces(run: Run, lm: LanguageModel) -> None:
    options = ("regions", *FP32, "--input-format", "csv", "--group-by", "s", "--joiner", "")
    rows = table(run(*options, stdin="s,text\n1,the\n1,cat\n1,\n"))
    assert [row["is_exact"] for row in rows] == ["false", "false", "true"]
    assert [row["log_prob"] == "" for row in rows] == [False, True, True]
    assert log_probs(rows[:1]) == pytest.approx([lm.score("thecat").tokens[0].log_prob])


def test_the_region_of_an_item(run: Run, items: Path, lm: LanguageModel) -> None:
    rows = table(run("regions", *FP32, "--field", "sentence", "--region-field", "region", items))
    assert [row["sentence"] for row in rows] == ['the "cat", sat on', "so long and bye"]
    assert [(row["lmscore_start"], row["lmscore_end"]) for row in rows] == [("5", "8"), ("3", "11")]
    words = lm.score("so long and bye", words=True).words
    assert log_probs(rows)[1] == pytest.approx(words[1].log_prob + words[2].log_prob, rel=1e-5)


def test_places_in_columns(run: Run, items: Path) -> None:
    options = ("regions", "--field", "sentence", items)
    own = table(run(*options, "--span-field", "start,end"))
    listed = table(run(*options, "--span-field", "spans"))
    assert [row["region"] for row in own] == ["cat", "long and"]  # the column of the input
    assert [(row["record"], row["index"], row["lmscore_region"]) for row in listed] == [
        ("1", "1", "the"),
        ("1", "2", '"cat",'),
        ("2", "1", "so"),
        ("2", "2", "long"),
    ]
    assert log_probs(listed)[0] == log_probs(own)[0]
    nested = json.dumps({"text": "so long and bye", "at": [[0, 2], [3, 7]]})
    again = run("regions", "--input-format", "jsonl", "--span-field", "at", stdin=nested)
    assert log_probs(table(again)) == log_probs(listed)[2:]


def test_a_separator(run: Run) -> None:
    result = run("regions", "--separator", "/", stdin="the cat/ sat / on a mat\n")
    rows = table(result)
    assert [row["region"] for row in rows] == ["the cat", "sat", "on a mat"]
    assert {row["text"] for row in rows} == {"the cat/ sat / on a mat"}
    words = run("score", "-q", "--per", "word", stdin="the cat sat on a mat\n").rows
    found = [float(row[5]) for row in words]
    sums = [sum(found[:2]), found[2], sum(found[3:6])]
    assert log_probs(rows) == pytest.approx(sums, abs=1e-3)


def test_words_and_their_punctuation(run: Run, bpe_model_path: Path) -> None:
    line = '("the" cat, ... sat)\n'

    def regions(*options: str) -> list[tuple[str, str]]:
        rows = table(run("regions", "-m", bpe_model_path, *options, stdin=line))
        return [(row["region"], row["start"]) for row in rows]

    assert [text for text, _ in regions()] == ['("the"', "cat,", "...", "sat)"]
    assert regions("--punctuation", "drop") == [
        ("the", "2"),
        ("cat", "7"),
        ("...", "12"),
        ("sat", "16"),
    ]
    apart = ['("', "the", '"', "cat", ",", "...", "sat", ")"]
    assert [text for text, _ in regions("--punctuation", "apart")] == apart


def test_measures_are_those_of_the_first_token(run: Run, bpe_model_path: Path) -> None:
    options = ("-m", bpe_model_path, "--rank", "--entropy", "--alternatives", "2")
    rows = table(run("regions", *options, "--surprisal", stdin="the cat\n"))
    words = run("score", *options, "--per", "word", "--surprisal", stdin="the cat\n").rows
    for row, (*_, entropy, rank, alternatives) in zip(rows, words, strict=False):
        assert float(row["onset_entropy"]) == pytest.approx(float(entropy), abs=1e-4)
        assert (row["onset_rank"], row["onset_alternatives"]) == (rank, alternatives)
    assert [float(row["surprisal"]) for row in rows] == pytest.approx(
        [float(row[5]) for row in words[:2]], abs=1e-3
    )


def test_other_layouts(run: Run) -> None:
    rows = run("regions", "--format", "tsv", "--output-prefix", "x_", stdin="a\\ cat\n").rows
    assert rows[0][:5] == ["text", "x_record", "x_index", "x_region", "x_start"]
    assert rows[1][0] == r"a\\ cat"
    objects = run("regions", "--format", "jsonl", stdin="a cat\n").objects
    assert [(each["text"], each["region"]) for each in objects] == [
        ("a cat", "a"),
        ("a cat", "cat"),
    ]


def test_document_context_goes_on(run: Run, model_path: Path) -> None:
    options = ("--context", "document", "--group-by", "s", "--input-format", "csv")
    rows = table(run("regions", *options, stdin="s,text\n1,the\n1,cat\n2,sat\n"))
    words = run("score", "--context", "document", "--per", "word", stdin="the cat\nsat\n").rows
    expected = [float(row[5]) for row in words if row[2] != "</s>"]
    assert log_probs(rows) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--separator", ""], "--separator is empty"),
        (["--group-by", ","], "--group-by names no column"),
        (["--group-by", "a"], "--group-by names a column: give --input-format csv, tsv or jsonl"),
        (
            ["--region-field", "a", "--input-format", "tsv"],
            "--region-field names a column: say which one is the text, with --field",
        ),
        (["--separator", "/", "--span-field", "a"], "--span-field and --separator both say"),
        (["--joiner", ""], "--joiner is for --group-by and --separator"),
        (["--on-error", "keep"], "--on-error keep is for score"),
        (["--rank", "--context", "document"], "--rank is of texts on their own"),
        (["--rank", "--split", "lines"], "--rank is of whole texts: leave --split out"),
        (
            ["--span-field", "a,b,c", "--input-format", "csv"],
            "--span-field names one column, or two",
        ),
        (
            ["--group-by", "a", "--on-error", "skip", "--input-format", "csv"],
            "--on-error skip would leave words out",
        ),
        (
            ["--span-field", "a", "--punctuation", "apart", "--input-format", "csv"],
            "--span-field says what a region is: --punctuation keep or drop",
        ),
    ],
)
def test_what_does_not_go(run: Run, options: list[str], message: str) -> None:
    result = run("regions", *options, stdin="the cat\n")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert message in result.err


@pytest.mark.parametrize(
    ("options", "value", "message"),
    [
        ("--region-field", "dog", "the region 'dog' is not in the text"),
        (
            "--region-field",
            "the",
            "the region 'the' is 2 times in the text; say where it is, with --span-field",
        ),
        ("--region-field", "", "column 'x' is empty, expected words of the text"),
        ("--span-field", "0:99", "region 1 is 0:99, which is not within the text of 15 characters"),
        ("--span-field", "0:5 3:7", "regions 1 (0:5) and 2 (3:7) overlap"),
        ("--span-field", "the", "column 'x' is 'the', expected places such as 0:9 10:31"),
        ("--span-field", MANY, f"column 'x' is '{MANY}', expected places such as 0:9 10:31"),
        ("--span-field", "", "column 'x' is '', expected places such as 0:9 10:31"),
    ],
)
def test_regions_that_are_not_there(run: Run, options: str, value: str, message: str) -> None:
    data = f'text,x\nthe cat the mat,"{value}"\n'
    result = run("regions", "--input-format", "csv", options, "x", stdin=data)
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert f"line 2: {message}" in result.err


def test_places_that_are_no_numbers(run: Run) -> None:
    data = "text,a,b\nthe cat,0,NA\n"
    result = run("regions", "--input-format", "csv", "--span-field", "a,b", stdin=data)
    assert "line 2: column 'b' is 'NA', expected a place in the text" in result.err


def test_a_file_that_is_there_stays(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert run("regions", "-o", out, stdin="the cat\n").status == 0
    before = out.read_bytes()
    result = run("regions", "-o", out, stdin="the cat\n")
    assert (result.status, out.read_bytes()) == (1, before)
    assert "there is something in it already; remove it, or name another file" in result.err


def test_words_of_a_script_without_spaces(run: Run, chinese_lm: LanguageModel) -> None:
    text = "\u5e8a\u524d \u660e\u6708"
    argv = ("regions", "-m", chinese_lm.path, *FP32)
    for segmentation, options in (("auto", ()), ("spaces", ("--segmentation", "spaces"))):
        score = chinese_lm.score(text, words=True, segmentation=segmentation)  # type: ignore[arg-type]
        for measures in ((), ("--rank",)):
            result = run(*argv, *options, *measures, stdin=f"{text}\n")
            assert [row["region"] for row in table(result)] == [w.text for w in score.words[:-1]]
            expected = [word.log_prob for word in score.words[:-1]]
            assert log_probs(table(result)) == pytest.approx(expected, abs=1e-4)
            assert ("words are characters" in result.err) == (segmentation == "auto")
