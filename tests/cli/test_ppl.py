"""`lmscore ppl`: totals over a text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lmscore
from lmscore.runtime.score import Summary
from tests.cli.conftest import Run

LINES = ["thanks for all the fish", "", "the zebra sat"]
TEXT = "".join(f"{line}\n" for line in LINES)


def expected(model_path: Path, *, eos: bool = True) -> Summary:
    summary = Summary(eos=eos)
    for score in lmscore.load(model_path).score_batch(LINES, eos=eos):
        summary.add(score)
    return summary


def test_text(run: Run, model_path: Path) -> None:
    result = run("ppl", stdin=TEXT)
    assert (result.status, result.err) == (0, "")
    assert result.out == f"model (int8, sentence context)\n{expected(model_path)}\n"


@pytest.mark.parametrize("eos", [True, False])
def test_json(run: Run, model_path: Path, eos: bool) -> None:
    result = run("ppl", "--format", "json", "--eos" if eos else "--no-eos", stdin=TEXT)
    assert json.loads(result.out) == {
        "model": str(model_path),
        "variant": "int8",
        "context": "sentence",
        "bos": True,
        "eos": eos,
        **expected(model_path, eos=eos).as_dict(),
    }


def test_files_are_one_text(run: Run, tmp_path: Path) -> None:
    for number, line in enumerate(LINES):
        (tmp_path / f"{number}.txt").write_text(f"{line}\n")
    files = sorted(tmp_path.iterdir())
    assert run("ppl", *files).out == run("ppl", stdin=TEXT).out


def test_the_same_text_in_other_clothes(run: Run) -> None:
    plain = run("ppl", stdin=TEXT).out
    tsv = "".join(f"id\t{line}\n" for line in LINES)
    assert run("ppl", "--input-format", "tsv", stdin=tsv).out == plain
    jsonl = "".join(json.dumps({"t": line}) + "\n" for line in LINES)
    assert run("ppl", "--input-format", "jsonl", "--field", "t", stdin=jsonl).out == plain


def test_nothing_to_measure(run: Run) -> None:
    result = run("ppl")
    assert (result.status, result.out) == (1, "")
    assert "standard input: empty" in result.err
    document = json.loads(run("ppl", "--no-eos", "--format", "json", stdin="\n").out)
    assert (document["sentences"], document["perplexity"]) == (1, None)


def test_an_error_gives_no_figure(run: Run) -> None:
    result = run("ppl", stdin=b"fine\n\xff\n")
    assert (result.status, result.out) == (1, "")
    assert "line 2" in result.err
