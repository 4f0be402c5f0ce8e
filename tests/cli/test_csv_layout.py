"""`lmscore score --format csv`: read back by other programs, row for row."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Result, Run

TEXTS = ['the "cat", so\nlong', "", "the\tcat", "a\\b"]
RECORDS = "".join(
    json.dumps({"log_prob": number, "text": text, "x": {"y": [1, None]}, "z": None}) + "\n"
    for number, text in enumerate(TEXTS)
)
JSONL = ("--input-format", "jsonl")


def table(result: Result) -> list[dict[str, str]]:
    assert result.status == 0, result.err
    rows = list(csv.reader(io.StringIO(result.out), strict=True))
    assert len({len(row) for row in rows}) == 1
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def test_a_row_for_each_record(run: Run) -> None:
    rows = table(run("score", "--format", "csv", *JSONL, stdin=RECORDS))
    objects = run("score", "--format", "jsonl", *JSONL, stdin=RECORDS).objects
    assert [row["text"] for row in rows] == TEXTS
    assert {row["x"] for row in rows} == {'{"y": [1, null]}'}
    for row, document in zip(rows, objects, strict=True):
        assert row["log_prob"] == str(document["log_prob"])  # the input's
        for name in ("lmscore_log_prob", "perplexity_per_word", "num_tokens"):
            assert float(row[name]) == document[name]
        assert (row["z"], "perplexity" in row) == ("", False)


def test_pandas_reads_it_back(run: Run) -> None:
    pandas = pytest.importorskip("pandas")
    out = run("score", "--format", "csv", *JSONL, stdin=RECORDS).out
    frame = pandas.read_csv(io.StringIO(out), keep_default_na=False)
    assert list(frame["text"]) == TEXTS


@pytest.mark.parametrize("per", ["token", "word", "part"])
def test_the_first_record_has_no_row(run: Run, per: str) -> None:
    argv = ("score", "--format", "csv", "--per", per, "--no-eos", "--file-field", "file")
    some, none = (run(*argv, stdin=text) for text in ("the cat\n", "\nthe cat\n"))
    names, *rows = csv.reader(io.StringIO(none.out), strict=True)
    assert names == some.out.split("\n")[0].split(",")
    assert {len(row) for row in rows} == {len(names)}
    assert [row[names.index("record")] for row in rows][-1] == "2"


def test_a_row_for_each_word(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('item,sentence\n7,"the cat sat"\n8,"so, long"\n')
    options = ("score", "--field", "sentence", "--per", "word", "--format", "csv")
    rows = table(run(*options, "--rank", "--file-field", "item", path))
    assert (
        list(rows[0])
        == (
            "item sentence lmscore_item record index word start end log_prob is_oov onset_rank"
        ).split()
    )
    assert [(row["item"], row["record"], row["index"], row["word"]) for row in rows] == [
        ("7", "1", "1", "the"),
        ("7", "1", "2", "cat"),
        ("7", "1", "3", "sat"),
        ("7", "1", "4", "</s>"),
        ("8", "2", "1", "so,"),
        ("8", "2", "2", "long"),
        ("8", "2", "3", "</s>"),
    ]
    assert {row["lmscore_item"] for row in rows} == {str(path)}
    tsv = run("score", "--field", "sentence", "--per", "word", "--rank", path).rows
    assert [row["onset_rank"] for row in rows] == [row[-1] for row in tsv]


def test_records_say_their_file(run: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(f"{name}\n")
    result = run("score", "--format", "jsonl", "--file-field", "f", tmp_path / "a", tmp_path / "b")
    assert [each["f"] for each in result.objects] == [str(tmp_path / "a"), str(tmp_path / "b")]


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--format", "csv", "-o", "x", "--resume"], 2, "--resume does not go with --format csv"),
        (["--file-field", "f"], 2, "--file-field is for --format jsonl or csv"),
        (["--format", "csv", *JSONL], 1, "line 2: has other fields than the first record"),
    ],
)
def test_what_does_not_go(run: Run, options: list[str], status: int, message: str) -> None:
    result = run("score", *options, stdin='{"text": "a"}\n{"text": "a", "b": 1}\n')
    assert (result.status, result.err.count("\n")) == (status, 1)
    assert message in result.err


def test_perplexities_of_files(run: Run, tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    for path, text in zip(paths, ("the cat\n", "so long\nzebra\n"), strict=True):
        path.write_text(text)
    alone = [json.loads(run("ppl", "--format", "json", path).out) for path in paths]
    found = json.loads(run("ppl", "--format", "json", *paths).out)["files"]
    for path, figures in zip(paths, alone, strict=True):
        assert found[str(path)]["log_prob"] == pytest.approx(figures["log_prob"], abs=1e-3)
        assert found[str(path)]["oovs"] == figures["oovs"]
        assert "files" not in figures
    names, *rows = run("ppl", *paths).out.split("\n\n")[1].splitlines()
    assert names.split()[:2] == ["file", "sentences"]
    assert [row.split()[:4] for row in rows] == [
        [str(paths[0]), "1", "2", "0"],
        [str(paths[1]), "2", "3", "1"],
    ]
