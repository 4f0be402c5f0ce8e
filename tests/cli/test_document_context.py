"""Where a document begins: with each file, change of id, or blank line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lmscore
from tests.cli.conftest import Result, Run


@pytest.fixture
def model(document_model_path: Path, monkeypatch: pytest.MonkeyPatch) -> lmscore.LanguageModel:
    monkeypatch.setenv("LMSCORE_MODEL", str(document_model_path))
    return lmscore.load(document_model_path)


def scores(result: Result, column: int = 0) -> list[float]:
    assert result.status == 0, result.err
    return [float(row[column]) for row in result.rows]


def expected(model: lmscore.LanguageModel, *documents: list[str]) -> list[float]:
    return [score.log_prob for document in documents for score in model.score_batch(document)]


def test_each_file_begins_afresh(run: Run, tmp_path: Path, model: lmscore.LanguageModel) -> None:
    documents = [["the cat", "sat on"], ["so long", "the cat"], ["the cat"]]
    paths = [tmp_path / str(number) for number in range(3)]
    for path, lines in zip(paths, documents, strict=True):
        path.write_text("".join(line + "\n" for line in lines))
    printed = scores(run("score", *paths))
    assert printed == pytest.approx(expected(model, *documents), abs=1e-3)
    total = json.loads(run("ppl", "--format", "json", *paths).out)["log_prob"]
    assert total == pytest.approx(sum(printed), abs=1e-3)
    out = tmp_path / "out"
    whole = run("score", *paths, "-o", out)
    assert whole.status == 0
    text = out.read_text()
    out.write_text("".join(text.splitlines(keepends=True)[:3]))
    assert run("score", *paths, "-o", out, "--resume").status == 0
    assert out.read_text() == text


def test_ids_and_blank_lines(run: Run, model: lmscore.LanguageModel) -> None:
    tsv = "a\tthe cat\na\tsat on\nb\tso long\n"
    options = ("score", "--input-format", "tsv")
    assert scores(run(*options, stdin=tsv), 1) == pytest.approx(
        expected(model, ["the cat", "sat on", "so long"]), abs=1e-3
    )
    apart = run(*options, "--documents", "ids", stdin=tsv)
    assert scores(apart, 1) == pytest.approx(
        expected(model, ["the cat", "sat on"], ["so long"]), abs=1e-3
    )
    text = "the cat\n \nsat on\nthe dog\n"
    apart = run("score", "--documents", "blank-lines", stdin=text)
    assert scores(apart) == pytest.approx(
        expected(model, ["the cat", " "], ["sat on", "the dog"]), abs=1e-3
    )
    result = run("score", "--documents", "ids", stdin=text)
    assert (result.status, "needs --id-field" in result.err) == (2, True)
