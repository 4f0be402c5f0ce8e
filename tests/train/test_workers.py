"""Several processes learn what one would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from lmscore.bundle import Bundle
from lmscore.train import resumed_options, train
from lmscore.train.batches import PADDING, Batch
from lmscore.train.metrics import EVALUATED
from lmscore.train.workers import Workers
from tests.train.toy import sentences, toy_options, write

PROGRAM = [
    *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
    *("--no-python", sys.executable, "-c"),
    "from lmscore.cli import main; raise SystemExit(main())",
]


def torchrun(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    """`lmscore train` in two processes."""
    command = [*PROGRAM, "train", *map(str, argv)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def losses(folder: Path) -> list[tuple[int, float]]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    return [(record["step"], record.get(EVALUATED, record.get("loss"))) for record in records]


def last_weights(folder: Path) -> dict[str, torch.Tensor]:
    (last,) = (folder / "checkpoints").iterdir()
    return load_file(last / "model.safetensors")


def dead_units(folder: Path) -> list[list[float]]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [record["dead_units"] for record in map(json.loads, lines) if "dead_units" in record]


def assert_learnt_the_same(one: Path, other: Path) -> None:
    for (step, loss), (same_step, same_loss) in zip(losses(one), losses(other), strict=True):
        assert step == same_step
        assert loss == pytest.approx(same_loss, rel=1e-4)
    expected = last_weights(other)
    for name, weight in last_weights(one).items():
        torch.testing.assert_close(weight, expected[name], rtol=1e-2, atol=1e-4)


CHOICES: dict[str, dict[str, Any]] = {
    # Long lines, so that some batches have a single row; penalties and averages are shared too.
    "sentence": {"batch_size": 2, "bptt": 20, "label_smoothing": 0.1, "average": "ema"},
    "document": {"context": "document", "batch_size": 5, "bptt": 12, "cell": "gru"},
}


@pytest.mark.parametrize("context", CHOICES)
def test_two_processes_learn_what_one_does(tmp_path: Path, context: str) -> None:
    text = write(tmp_path / "text", [*sentences(150), " ".join(sentences(9))])
    valid = write(tmp_path / "valid", sentences(30, seed=2))
    options = toy_options(
        *(tmp_path,),
        train=(text,),
        valid=(valid,),
        output=str(tmp_path / "one"),
        epochs=2,
        dropout=0.0,
        evaluations=2,
        activation_penalty=0.1,
        **CHOICES[context],
    )
    train(options)
    given = {
        key: value
        for key, value in options.in_force().items()
        if not isinstance(value, bool | tuple | None) and key not in ("train", "valid", "output")
    }
    flags = [word for k, v in given.items() for word in (f"--{k.replace('_', '-')}", str(v))]
    ended = torchrun(text, "--valid", valid, "-o", tmp_path / "two", *flags, "--no-export")

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("held-out perplexity") == 1  # one of them speaks
    assert_learnt_the_same(tmp_path / "two", tmp_path / "one")
    assert dead_units(tmp_path / "two") == dead_units(tmp_path / "one")
    found, expected = (
        Bundle.read(tmp_path / name).config.training["valid"] for name in ("two", "one")
    )
    assert found["perplexity"] == pytest.approx(expected["perplexity"], rel=1e-4)

    # The state of everybody's rows is in the checkpoint, so that one process alone can go on.
    for name in ("two", "one"):
        train(resumed_options(tmp_path / name, {"epochs": 3}), resume=True)
    assert_learnt_the_same(tmp_path / "two", tmp_path / "one")


def test_two_processes_go_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    """Each with dropout masks of its own; and with a single row a batch, so that one has none."""
    text = write(tmp_path / "text", sentences(40))
    valid = write(tmp_path / "valid", sentences(30, seed=2))
    flags = [
        *("--tokenizer", "word", "--context", "document", "--batch-size", "1", "--bptt", "9"),
        *("--hidden-size", "8", "--schedule", "constant", "--warmup", "0", "--evaluations", "0"),
        *("--device", "cpu", "--threads", "1", "--no-export"),
    ]
    for output, epochs in (("whole", "2"), ("parts", "1")):
        ended = torchrun(
            text, "--valid", valid, "-o", tmp_path / output, *flags, "--epochs", epochs
        )
        assert ended.returncode == 0, ended.stderr
    ended = torchrun("--resume", "-o", tmp_path / "parts", "--epochs", "2", "--no-export")
    assert ended.returncode == 0, ended.stderr

    whole = last_weights(tmp_path / "whole")
    for name, weight in last_weights(tmp_path / "parts").items():
        assert torch.equal(weight, whole[name])
    assert len(dead_units(tmp_path / "whole")) >= 1  # also where a worker has no token


def test_what_the_first_one_refuses_takes_a_line_of_each(tmp_path: Path) -> None:
    ended = torchrun(tmp_path / "nothing", "-o", tmp_path / "model", "--device", "cpu")
    assert ended.returncode == 1
    assert ended.stderr.count("lmscore: error: ") == 2
    assert f"lmscore: error: {tmp_path / 'nothing'}: no such file" in ended.stderr
    reason = "another process of this run has ended; what it says is the reason"
    assert f"lmscore: error: {reason}" in ended.stderr
    assert "lmscore/train/run.py" not in ended.stderr  # no traceback


@given(rows=st.integers(1, 9), size=st.integers(1, 5), T=st.integers(1, 4))
def test_every_row_is_somebodys(rows: int, size: int, T: int) -> None:
    inputs = torch.arange(rows).expand(T, rows)
    targets = inputs.clone()
    targets[1:, 0] = PADDING
    batch = Batch(inputs, targets, T * rows - (T - 1), continues=True)
    state = (torch.arange(rows)[None, :, None],)
    seen: list[int] = []
    tokens = 0
    for rank in range(size):
        worker = Workers(rank, size)
        share = worker.share(batch)
        assert share.inputs.size(1) == worker.share_of_state(state)[0].size(1) >= 1
        assert share.num_tokens == int((share.targets != PADDING).sum())
        counted = (share.targets[0] != PADDING).nonzero()[:, 0]
        seen += share.inputs[0][counted].tolist()
        if len(counted):
            assert torch.equal(worker.share_of_state(state)[0][0, :, 0], share.inputs[0])
        tokens += share.num_tokens
    assert seen == list(range(rows))
    assert tokens == batch.num_tokens
