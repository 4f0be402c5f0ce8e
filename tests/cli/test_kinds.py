"""Files of every kind, and bad records, through the verbs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

BAD = (
    '{"text": "a good day"}\n{"text": null}\n\n{"text": "he is here", "x": NaN}\n'
    '{"text": "cut off\n{"text": "and the last one"}\n\n'
)
GOOD = ["a good day", "he is here", "and the last one"]
CSV = 'item,sentence\n1,"the cat, sat"\n2,"so\nlong"\n3,the zebra\n'


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad-records.jsonl"
    path.write_text(BAD)
    return path


def test_bad_records_stop_a_run(run: Run, bad: Path) -> None:
    result = run("score", bad)
    assert (result.status, len(result.rows)) == (1, 1)
    assert f"{bad}, line 2: field 'text' is null, expected a string; --on-error skip" in result.err


def test_bad_records_are_skipped_and_counted(run: Run, bad: Path, tmp_path: Path) -> None:
    rejected = tmp_path / "rejected"
    options = ("--on-error", "skip", "--rejected", rejected)
    result = run("score", *options, bad)
    assert (result.status, [row[-1] for row in result.rows]) == (0, GOOD)
    assert "2 records could not be read" in result.err
    assert "3 sentences" in result.err
    assert rejected.read_text() == '{"text": null}\n{"text": "cut off\n'
    result = run("ppl", *options, bad)
    assert "sentences             3\n" in result.out
    assert "2 records could not be read" in result.err
    result = run("filter", *options, "--min-ppl", "0", bad)
    assert [json.loads(line)["text"] for line in result.out.splitlines()] == GOOD
    assert rejected.read_text() == '{"text": null}\n{"text": "cut off\n'


@pytest.mark.parametrize("context", ["sentence", "document"])
def test_bad_records_keep_their_places(run: Run, bad: Path, tmp_path: Path, context: str) -> None:
    options = ("score", "--format", "jsonl", "--context", context)
    result = run(*options, "--on-error", "keep", bad)
    kept = result.objects
    assert [record.get("text", "?") for record in kept] == [GOOD[0], None, GOOD[1], "?", GOOD[2]]
    assert ["error" in record for record in kept] == [False, True, False, True, False]
    skipped = run(*options, "--on-error", "skip", bad).objects
    assert [record for record in kept if "error" not in record] == skipped
    assert skipped[1]["x"] is None  # NaN is no JSON
    lines = result.out.splitlines(keepends=True)
    for end in range(len(lines) + 1):
        path = tmp_path / f"{context}{end}"
        path.write_text("".join(lines[:end]))
        again = run(*options, "--on-error", "keep", "-o", path, "--resume", bad)
        assert again.status == 0, again.err
        assert path.read_text() == result.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["score", "--max-errors", "1"], "--max-errors goes with --on-error skip or keep"),
        (["score", "--on-error", "keep"], "give --format jsonl"),
        (["ppl", "--on-error", "keep"], "--on-error keep is for score"),
        (["filter", "--min-ppl", "1", "--on-error", "keep"], "--on-error keep is for score"),
        (["score", "--delimiter", "ab"], "delimiter is 'ab', expected one character"),
        (["score", "--columns", "a,a"], "two have the same name"),
    ],
)
def test_wrong_options(run: Run, bad: Path, options: list[str], message: str) -> None:
    result = run(*options, bad)
    assert (result.status, result.out) == (2, "")
    assert message in result.err


def test_too_many_bad_records(run: Run, bad: Path) -> None:
    result = run("ppl", "--on-error", "skip", "--max-errors", "1", bad)
    assert result.status == 1
    assert "line 5: not JSON" in result.err
    assert "one bad record more than --max-errors 1" in result.err


def test_csv_keeps_its_columns(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(CSV)
    options = ("--field", "sentence")
    first, second, _ = run("score", *options, "--format", "jsonl", path).objects
    assert (first["item"], first["sentence"]) == ("1", "the cat, sat")
    rows = run("score", *options, "--id-field", "item", "--per", "word", path).rows
    assert {row[0] for row in rows} == {"1", "2", "3"}
    assert run("filter", *options, "--min-ppl", "0", path).out == CSV
    assert second["sentence"] == "so\nlong"
    (tmp_path / "b.csv").write_text("n,sentence\n4,a\n")
    result = run("filter", *options, "--min-ppl", "0", path, tmp_path / "b.csv")
    assert "b.csv, line 2: has other columns than the records before it" in result.err


CLASH = '{"text": "the cat", "perplexity": 331.2, "words": ["the", "cat"], "x": 1e400}\n'


@pytest.mark.parametrize("prefix", ["", "lm_"])
def test_fields_of_the_input_stay(run: Run, tmp_path: Path, prefix: str) -> None:
    added = ("--output-prefix", prefix)
    options = ("score", "--format", "jsonl", "--per", "word", "--input-format", "jsonl", *added)
    result = run(*options, stdin=CLASH * 2)
    assert "Infinity" not in result.out
    first, second = result.objects
    assert first == second
    assert (first["perplexity"], first["words"], first["x"]) == (331.2, ["the", "cat"], None)
    assert len(first[f"{prefix}words" if prefix else "lmscore_words"]) == 3
    assert first[f"{prefix}log_prob"] < 0
    again = run(*options, stdin=json.dumps(first) + "\n").objects[0]
    assert first.items() <= again.items()  # also of an earlier run
    assert len(again) > len(first)
    path = tmp_path / "out"
    path.write_text(result.out)
    assert run(*options, "-o", path, "--resume", stdin=CLASH * 2).status == 0
    assert path.read_text() == result.out
    assert "is for --format jsonl" in run("score", "--output-prefix", "a", stdin="a\n").err


@pytest.mark.parametrize("name", ["a.csv", "a.json"])
def test_filter_resumes_lines_only(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("text\na\n")
    result = run("filter", "--min-ppl", "0", "-o", tmp_path / "o", "--resume", tmp_path / name)
    assert f"--resume looks for whole lines, which {name[2:]} files do not have" in result.err


def test_training_reads_records(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("body\n" + '"the cat\n\nsat"\n' * 60 + ",\n")
    options = ("--field", "body", "--epochs", "1", "--hidden-size", "8", "--embedding-size", "8")
    result = run("train", path, "-o", tmp_path / "m", *options)
    assert result.status == 1
    assert "a.csv, line 182: expected 1 columns, got 2; --on-error skip goes" in result.err
