"""`lmscore import`: a state dict and a list of words become a model that scores."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.cli.conftest import Run
from tests.train.toy import write

WORDS = ["<eos>", "<unk>", "the", "cat", "sees"]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A network of pytorch/examples' word_language_model, without its training."""
    torch.manual_seed(1)
    parts = {"encoder": nn.Embedding(5, 8), "rnn": nn.LSTM(8, 8), "decoder": nn.Linear(8, 5)}
    torch.save(nn.ModuleDict(parts).state_dict(), tmp_path / "model.pt")
    return tmp_path / "model.pt"


def test_from_weights_to_scores(run: Run, weights: Path, tmp_path: Path) -> None:
    words = write(tmp_path / "words.txt", WORDS)
    result = run("import", weights, "-o", tmp_path / "m", "--vocabulary", words)
    assert result.status == 0
    first, header, *variants = result.out.splitlines()
    assert first == f"{tmp_path / 'm'}: 1 x lstm, hidden size 8, vocabulary 5"
    assert header.split()[0] == "variant"
    assert [line.split()[0] for line in variants] == ["fp32", "int8"]
    assert "lmscore: a sentence begins with <eos> and ends with <eos>; the unk" in result.err
    assert len(run("score", "-m", tmp_path / "m", stdin="the cat\n").rows) == 1
    assert run("check", "-m", tmp_path / "m").status == 0
    assert "imported_from" in run("info", "-m", tmp_path / "m", "--format", "json").out


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        ((), 2, "give --vocabulary, a list of words, or a tokenizer.json with --tokenizer"),
        (("--map", "rnn"), 2, "--map is 'rnn', expected PART=MODULE"),
        (("--vocabulary", "no"), 1, "no: no such file"),
        (("--vocabulary", "w", "--map", "head=x"), 2, "--map names 'head', expected embedding"),
        (("--vocabulary", "w", "--cell", "gru"), 1, "--cell is 'gru', but the weights in"),
    ],
)
def test_what_is_wrong(
    run: Run, weights: Path, tmp_path: Path, given: tuple[str, ...], status: int, message: str
) -> None:
    result = run("import", weights, "-o", tmp_path / "m", *given)
    assert (result.status, message in result.err) == (status, True), result.err
