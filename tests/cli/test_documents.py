"""Texts of several lines or sentences, through the verbs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

LINES = ["the cat sat", "so long zebra"]
TEXT = "".join(line + "\n" for line in LINES)
RECORDS = "".join(json.dumps({"text": end.join(LINES)}) + "\n" for end in ("\n", "\n\n", "\r\n"))


@pytest.fixture
def records(tmp_path: Path) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_text(RECORDS)
    return path


def test_a_record_has_the_numbers_of_its_lines(run: Run, records: Path) -> None:
    lines = [float(row[0]) for row in run("score", stdin=TEXT).rows]
    for document in run("score", "--format", "jsonl", records).objects:
        assert document["log_prob"] == pytest.approx(sum(lines), abs=2e-4)
        words = document["num_words"] + 2  # and two </s>
        assert document["perplexity_per_word"] == pytest.approx(
            2.718281828 ** (-document["log_prob"] / words), rel=1e-6
        )
    whole = json.loads(run("ppl", "--format", "json", records).out)
    part = json.loads(run("ppl", "--format", "json", stdin=TEXT).out)
    assert whole["sentences"] == 6
    for name in ("perplexity_per_word", "perplexity_per_token", "bits_per_character"):
        assert whole[name] == pytest.approx(part[name], rel=1e-4)
    together = run("score", "--split", "none", "--format", "jsonl", records).objects[0]
    assert together["log_prob"] != pytest.approx(sum(lines), abs=0.1)


def test_filter_measures_the_lines(run: Run, records: Path) -> None:
    limit = json.loads(run("ppl", "--format", "json", stdin=TEXT).out)["perplexity_per_word"]
    assert run("filter", "--max-ppl", limit * 1.01, records).out == RECORDS
    assert run("filter", "--max-ppl", limit * 0.99, records).out == ""


def test_parts(run: Run, records: Path, tmp_path: Path) -> None:
    result = run("score", "--per", "part", "--header", records)
    assert result.rows[0] == "id index text start end log_prob num_tokens num_oov".split()
    assert [row[:5] for row in result.rows[3:5]] == [
        ["2", "1", LINES[0], "0", "11"],
        ["2", "2", LINES[1], "13", "26"],
    ]
    documents = run("score", "--per", "part", "--format", "jsonl", records).objects
    assert [part["text"] for part in documents[2]["parts"]] == LINES
    assert documents[0]["parts"][0]["log_prob"] == pytest.approx(float(result.rows[1][5]), abs=1e-3)
    whole = run("score", "--per", "part", stdin=TEXT).rows  # of plain text, which is not split
    assert [row[:3] for row in whole] == [["1", "1", LINES[0]], ["2", "1", LINES[1]]]
    lines = result.out.splitlines(keepends=True)
    for end in range(len(lines)):
        path = tmp_path / f"out{end}"
        path.write_text("".join(lines[:end]))
        again = run("score", "--per", "part", "--header", "-o", path, "--resume", records)
        assert again.status == 0, again.err
        assert path.read_text() == result.out


def test_sentences(run: Run) -> None:
    pytest.importorskip("sentencex")
    text = "The cat sat. So long, zebra!\n"
    rows = run("score", "--split", "sentences", "--per", "part", stdin=text).rows
    assert [row[2] for row in rows] == ["The cat sat.", "So long, zebra!"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["score", "--compat", "kenlm"], "--compat is of whole texts: leave --split out"),
        (["ppl", "--compat", "kenlm"], "--compat is of whole texts: leave --split out"),
        (["score", "--prefix", "a"], "a prefix is of whole texts: leave --split out"),
        (["score", "--per", "word", "--rank"], "--rank is of whole texts: leave --split out"),
    ],
)
def test_wrong_options(run: Run, options: list[str], message: str) -> None:
    result = run(*options, "--split", "lines", stdin=TEXT)
    assert (result.status, result.out) == (2, "")
    assert message in result.err
    result = run("score", "--compat", "kenlm", "--per", "part", stdin=TEXT)
    assert "leave --per part out" in result.err
