"""Big vocabularies from the shell: training options, scores without the softmax, what info says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmscore.train import prepare
from tests.cli.conftest import Run
from tests.cli.test_train import SMALL
from tests.models import make_model
from tests.train.toy import sentences, write

LINES = "the cat sat on the mat\n\nw9 qqq\n"


@pytest.fixture(scope="module")
def self_normalized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("self") / "model"
    return make_model(path, self_normalized=True, variants=("fp32", "int8")).path


def test_score_without_the_softmax(run: Run, self_normalized: Path) -> None:
    exact = run("score", "-m", self_normalized, stdin=LINES)
    found = run("score", "-m", self_normalized, "--unnormalized", stdin=LINES)
    assert (found.status, len(found.rows)) == (0, 3)
    for row, other in zip(found.rows, exact.rows, strict=True):
        assert row[1:] == other[1:]
        assert row[0] != other[0]
    assert "model (int8, unnormalized, sentence context): 3 sentences" in found.err
    assert "unnormalized" not in exact.err


@pytest.mark.parametrize("verb", ["score", "rescore", "tune"])
def test_a_model_that_was_not_trained_for_it(run: Run, model_path: Path, verb: str) -> None:
    lists = json.dumps({"id": "a", "reference": "a", "hypotheses": [{"text": "a", "scores": {}}]})
    stdin = LINES if verb == "score" else lists
    arguments = ["--input-format", "jsonl"] if verb != "score" else []
    found = run(verb, "-m", model_path, "--unnormalized", *arguments, stdin=stdin)
    assert (found.status, found.out) == (1, "")
    assert f"{model_path}: was not trained to score without its softmax" in found.err
    assert "train with --self-normalize" in found.err


def test_rescore_without_the_softmax(run: Run, self_normalized: Path) -> None:
    lists = "0 ||| the cat sat ||| d=1 ||| -3\n0 ||| the dog sat ||| d=1 ||| -4\n"
    options = ("rescore", "-m", self_normalized, "--input-format", "moses")
    found = run(*options, "--unnormalized", stdin=lists)
    assert found.status == 0
    assert "unnormalized" in found.err
    exact = run(*options, stdin=lists)
    assert found.out != exact.out
    scores = run("score", "-m", self_normalized, "--unnormalized", stdin="the cat sat\n")
    assert scores.rows[0][0][:6] in found.out


def test_perplexity_is_always_exact(run: Run, self_normalized: Path) -> None:
    assert run("ppl", "-m", self_normalized, "--unnormalized", stdin=LINES).status == 2
    exact = json.loads(run("ppl", "-m", self_normalized, "--format", "json", stdin=LINES).out)
    scored = run("score", "-m", self_normalized, stdin=LINES)
    total = sum(float(row[0]) for row in scored.rows)
    assert exact["log_prob"] == pytest.approx(total, abs=1e-3)


def test_train_with_classes(run: Run, tmp_path: Path) -> None:
    text, model = write(tmp_path / "text", sentences(200)), tmp_path / "model"
    options = ("--output-layer", "classes", "--cutoffs", "5,8", "--epochs", "1", "--no-export")
    result = run("train", text, "-o", model, *SMALL, *options)
    assert result.status == 0
    assert "classes begin at the ids 5, 8" in result.err
    config = json.loads((model / "config.json").read_text())
    assert (config["output_layer"], config["cutoffs"]) == ("classes", [5, 8])
    assert "output layer  classes, from the ids 5, 8 on" in run("info", model).out


def test_train_says_what_is_quicker_for_a_big_vocabulary(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "--output-layer classes learns several times as fast"
    text = write(tmp_path / "text", sentences(200))
    options = (*SMALL, "--epochs", "1", "--no-export")
    small = run("train", text, "-o", tmp_path / "small", *options)
    assert small.status == 0
    assert said not in small.err
    monkeypatch.setattr(prepare, "_BIG_VOCABULARY", 5)
    assert said in run("train", text, "-o", tmp_path / "big", *options).err
    normalized = ("--self-normalize", "0.1")
    assert said not in run("train", text, "-o", tmp_path / "other", *options, *normalized).err


def test_cutoffs_are_ids(run: Run, tmp_path: Path) -> None:
    text = write(tmp_path / "text", sentences(20))
    found = run("train", text, "-o", tmp_path / "model", "--cutoffs", "5;8")
    assert found.status == 2
    assert "--cutoffs is '5;8', expected ids with commas between them" in found.err


def test_train_self_normalised(run: Run, tmp_path: Path) -> None:
    text, model = write(tmp_path / "text", sentences(200)), tmp_path / "model"
    result = run("train", text, "-o", model, *SMALL, "--self-normalize", "0.1", "--epochs", "2")
    assert result.status == 0
    config = json.loads((model / "config.json").read_text())
    assert config["self_normalized"] is True
    assert set(config["graphs"]["int8"]["log_z"]) == {"mean", "std", "rank_agreement"}
    info = run("info", model).out
    assert "output layer  softmax, self-normalised" in info
    assert "log Z" in info
    assert "Kendall's tau of sentences" in info
