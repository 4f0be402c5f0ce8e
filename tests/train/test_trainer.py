"""The loop: it learns, it keeps the best, and it stops when it must."""

from __future__ import annotations

import json
import logging
import math
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from lmscore.bundle import CELLS, Bundle, Cell
from lmscore.errors import DeviceError, TrainingError
from lmscore.train import Status, learner, resumed_options, selection, stream, train
from lmscore.train import loss as loss_module
from lmscore.train import trainer as trainer_module
from lmscore.train.losses import Losses
from lmscore.train.metrics import EVALUATED
from lmscore.train.network import RecurrentLM
from lmscore.train.optimizer import make_optimizer
from lmscore.train.precision import matrix_dtype
from tests.train.toy import needs_bf16, sentences, toy_config, toy_options


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def unigram_entropy(lines: list[str]) -> float:
    counts = Counter(word for line in lines for word in [*line.split(), "</s>"])
    total = sum(counts.values())
    return -sum(count / total * math.log(count / total) for count in counts.values())


# What is left to chance in a sentence of seven tokens: two nouns of four, a verb of three.
ENTROPY = (2 * math.log(4) + math.log(3)) / 7


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("context", ["sentence", "document"])
def test_it_learns(tmp_path: Path, cell: Cell, context: str) -> None:
    document = {"batch_size": 4, "bptt": 20} if context == "document" else {}
    options = toy_options(tmp_path, cell=cell, context=context, epochs=20, dropout=0.0, **document)
    loss = math.log(train(options).config.training["valid"]["perplexity"])

    assert loss < 0.6 * unigram_entropy(sentences(200))
    assert loss > 0.8 * ENTROPY


@needs_bf16
def test_bf16_learns(tmp_path: Path) -> None:
    options = toy_options(tmp_path, precision="bf16", epochs=20, layers=2, tied=False)
    training = train(options).config.training
    assert math.log(training["valid"]["perplexity"]) < 0.7 * unigram_entropy(sentences(200))
    assert training["precision"] == "bf16"


TRICKS: list[dict[str, Any]] = [
    {"layers": 2, "connections": "residual", "weight_drop": 0.2, "word_dropout": 0.05},
    {"connections": "highway", "layers": 3},
    {"connections": "dense", "layers": 2, "optimizer": "muon"},
    {"embedding_size": 9, "average": "ema", "average_decay": 0.9},
    {"average": "asgd", "schedule": "constant"},
    {"activation_penalty": 0.1, "temporal_penalty": 0.1, "label_smoothing": 0.01},
    {"optimizer": "muon", "embedding_size": 9},
    {"optimizer": "sgd", "learning_rate": 3.0, "average": "nt-asgd", "evaluations": 30},
    {"learn_initial_state": True, "layers": 2},
    {"cell": "rnn-relu", "recurrent_init": "identity", "input_dropout": 0.1},
    {"input_dropout": 0.1, "layer_dropout": 0.3, "layers": 2},
]


@pytest.mark.parametrize("tricks", TRICKS, ids=lambda tricks: next(iter(tricks)))
def test_it_learns_with(tmp_path: Path, tricks: dict[str, Any]) -> None:
    loss = math.log(
        train(toy_options(tmp_path, epochs=20, **tricks)).config.training["valid"]["perplexity"]
    )
    assert 0.8 * ENTROPY < loss < 0.7 * unigram_entropy(sentences(200))


def test_random_lengths_learn_at_rates_to_match(tmp_path: Path) -> None:
    options = toy_options(
        tmp_path, context="document", random_bptt=True, batch_size=4, bptt=12, epochs=20
    )
    rates: list[tuple[int, float]] = []
    with pytest.MonkeyPatch.context() as patch:
        whole = trainer_module.Trainer._rate

        def spy(trainer: Any, batch: Any, progress: float) -> float:
            rate = whole(trainer, batch, progress)
            rates.append((len(batch.inputs), rate / trainer._budget.rate(progress) / 0.02))
            return rate

        patch.setattr(trainer_module.Trainer, "_rate", spy)
        loss = math.log(train(options).config.training["valid"]["perplexity"])
    assert loss < 0.7 * unigram_entropy(sentences(200))
    assert all(rate == pytest.approx(length / 12) for length, rate in rates)
    assert len({length for length, _ in rates}) > 5


def test_the_average_is_kept(tmp_path: Path) -> None:
    bundle = train(toy_options(tmp_path, epochs=10, average="asgd", evaluations=0))
    (last,) = (bundle.path / "checkpoints").iterdir()
    averages = torch.load(last / "optimizer.pt", weights_only=True)["average"]["averages"]
    kept, raw = (load_file(path / "model.safetensors") for path in (bundle.path, last))
    matrix = kept["embedding.weight"]
    assert any(np.array_equal(matrix, average) for average in averages)
    assert not np.array_equal(matrix, raw["embedding.weight"])


def test_what_is_reported(tmp_path: Path) -> None:
    seen: list[Status] = []
    options = toy_options(tmp_path, evaluations=3, epochs=20)
    bundle = train(options, report=seen.append)
    seen = [status for status in seen if not status.is_measuring]

    assert [status.step for status in seen] == list(range(1, len(seen) + 1))
    assert bundle.config.training["updates"] == len(seen) > 50
    assert seen[-1].progress == 1
    assert all(status.loss > 0 and status.tokens_per_second > 0 for status in seen)
    assert all(status.seconds_left >= 0 for status in seen)
    assert seen[-1].perplexity == pytest.approx(math.exp(seen[-1].loss))
    assert seen[0].held_out_perplexity is None
    assert seen[-1].held_out_perplexity is not None


def test_metrics(tmp_path: Path) -> None:
    options = toy_options(tmp_path, evaluations=3, epochs=20)
    bundle = train(options)
    evaluated = [record for record in records(bundle.path) if EVALUATED in record]
    others = [record for record in records(bundle.path) if EVALUATED not in record]
    updates = bundle.config.training["updates"]

    later = range(100, updates + 1, 50)
    assert [record["step"] for record in others] == [*range(1, min(100, updates + 1)), *later]
    assert all(record["tokens_per_second"] > 0 for record in others)
    steps = [record["step"] for record in evaluated]
    assert [round(4 * step / updates) for step in steps] == [1, 2, 3, 4]
    assert steps[-1] == updates


def test_whole_epochs(tmp_path: Path) -> None:
    for context in ("sentence", "document"):
        options = toy_options(
            tmp_path, context=context, epochs=2, output=str(tmp_path / context), batch_size=3
        )
        bundle = train(options)
        (path,) = (bundle.path / "checkpoints").iterdir()
        position = json.loads((path / "position.json").read_text())
        assert position["epoch"] == 1  # the second, and none of the third
        assert bundle.config.training["epochs"] == pytest.approx(2, rel=0.01)


def test_batches_that_a_thread_makes_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for ahead in (0, 3):
        monkeypatch.setattr(stream, "made_ahead", lambda _, count=ahead: count)
        folder = tmp_path / str(ahead)
        bundle = train(toy_options(tmp_path, output=str(folder), epochs=3, batch_size=4))
        (path,) = (folder / "checkpoints").iterdir()
        position = json.loads((path / "position.json").read_text())
        found.append(
            [
                load_file(bundle.path / "model.safetensors"),
                position["step"],
                position["epoch"],
                position["batch"],
            ]
        )
    (weights, *place), (others, *same_place) = found
    assert place == same_place
    assert all(np.array_equal(weights[name], others[name]) for name in weights)
    assert stream.AHEAD > 0


@pytest.mark.parametrize(
    "found", [[3.0, 1.0, 2.0, 4.0], [math.nan, 1.0, math.nan, math.inf]], ids=["finite", "not"]
)
def test_the_best_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: list[float]
) -> None:
    losses = iter(found)
    at_best: list[dict[str, np.ndarray]] = []

    def pretend(network: RecurrentLM, *_: Any, **__: Any) -> Losses:
        loss = next(losses)
        if loss == 1.0:
            at_best.append({k: v.copy() for k, v in network.to_weights().items()})
        return Losses(loss, 1)

    monkeypatch.setattr(selection, "measure", pretend)
    bundle = train(toy_options(tmp_path, evaluations=3))
    kept = load_file(bundle.path / "model.safetensors")
    assert all(np.array_equal(kept[name], weight) for name, weight in at_best[0].items())


def test_a_budget_in_minutes(tmp_path: Path) -> None:
    seen: list[Status] = []
    bundle = train(toy_options(tmp_path, epochs=None, minutes=0.01), report=seen.append)
    assert 0 < seen[0].progress <= seen[-1].progress <= 1
    assert any(EVALUATED in record for record in records(bundle.path))
    assert bundle.config.training["epochs"] > 0


def test_a_budget_that_is_over_at_once(tmp_path: Path) -> None:
    bundle = train(toy_options(tmp_path, epochs=None, minutes=1e-9))
    assert bundle.config.training["updates"] == 0
    assert bundle.config.training["valid"]["perplexity"] > 1


@needs_bf16  # so that fp32 is among the advice
def test_a_loss_that_is_not_finite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(status: Status) -> None:
        if status.step == 3:
            monkeypatch.setattr(learner, "batch_loss", nan_loss)

    whole = loss_module.batch_loss

    def nan_loss(*args: Any, **kwargs: Any) -> tuple[torch.Tensor, Any]:
        loss, state = whole(*args, **kwargs)
        return loss * math.nan, state

    options = toy_options(tmp_path, checkpoint_minutes=1e-9, precision="bf16")
    with pytest.raises(TrainingError) as raised:
        train(options, report=broken)
    last = tmp_path / "model" / "checkpoints" / "step-000000003-0000"
    assert str(raised.value) == (
        "update 4: the loss is nan, the gradient norm nan; "
        f"go on from {last} with `resume` and a lower `learning_rate` (now 0.02), "
        "a lower `clip` (now 1), or precision='fp32'"
    )
    assert last.is_dir()


def test_a_best_loss_that_an_older_run_kept(tmp_path: Path) -> None:
    """Before, nan was kept as the best for ever."""
    path = train(toy_options(tmp_path, epochs=1)).path
    (last,) = (path / "checkpoints").iterdir()
    position = json.loads((last / "position.json").read_text())
    (last / "position.json").write_text(json.dumps({**position, "best_loss": math.nan}))
    train(resumed_options(path, {"epochs": 2}), resume=True)
    (last,) = (path / "checkpoints").iterdir()
    assert json.loads((last / "position.json").read_text())["best_loss"] < 10


def test_no_held_out_loss_is_finite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "measure", lambda *args, **kwargs: Losses(math.nan, 1))
    with pytest.raises(TrainingError) as raised:
        train(toy_options(tmp_path, evaluations=2))
    assert str(raised.value) == (
        "the loss on the held-out text was never finite; start again with a lower "
        "`learning_rate` (now 0.02)"
    )


def test_from_bf16_to_fp32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elman networks carry a state in bf16, and can do so on any processor."""
    monkeypatch.setattr("lmscore.train.precision.computes_bf16", lambda _: True)

    def interrupt(status: Status) -> None:
        if status.step == 5:
            signal.raise_signal(signal.SIGINT)

    options = toy_options(tmp_path, context="document", cell="rnn-tanh", precision="bf16")
    with pytest.raises(KeyboardInterrupt):
        train(options, report=interrupt)
    model = tmp_path / "model"
    training = train(resumed_options(model, {"precision": "fp32"}), resume=True).config.training
    assert training["precision"] == "fp32"


def test_a_learning_rate_out_of_this_world(tmp_path: Path) -> None:
    options = toy_options(tmp_path, learning_rate=1e30, warmup=0.0)
    with pytest.raises(TrainingError, match=r"the loss is .*; start again with a lower `learning_"):
        train(options)


def test_ctrl_c(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def interrupt(status: Status) -> None:
        if status.step == 5:
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with caplog.at_level(logging.INFO, "lmscore"), pytest.raises(KeyboardInterrupt):
        train(toy_options(tmp_path, evaluations=0), report=interrupt)
    assert (tmp_path / "model" / "checkpoints" / "step-000000005-0000").is_dir()
    assert "interrupted; `resume` goes on from update 5" in caplog.text
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_twice_stops_at_once(tmp_path: Path) -> None:
    def interrupt(status: Status) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(toy_options(tmp_path), report=interrupt)
    assert not (tmp_path / "model" / "checkpoints").exists()


def test_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def large(*_: Any, **__: Any) -> None:
        torch.empty(1 << 60)

    monkeypatch.setattr(learner, "batch_loss", large)
    with pytest.raises(TrainingError, match="not enough memory on the CPU; lower `batch_size`"):
        train(toy_options(tmp_path))


def test_biases_are_not_decayed(tmp_path: Path) -> None:
    options = toy_options(tmp_path, weight_decay=0.5)
    decayed, free = make_optimizer(RecurrentLM(toy_config()), options).param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.5, 0.0)
    assert {weight.dim() for weight in decayed["params"]} == {2}
    assert {weight.dim() for weight in free["params"]} == {1}


@pytest.mark.parametrize("embedding", [None, 9])
def test_muon_has_the_matrices_between_embedding_and_output(
    tmp_path: Path, embedding: int | None
) -> None:
    network = RecurrentLM(toy_config(embedding_size=embedding, num_hidden_layers=2))
    names = {id(weight): name for name, weight in network.named_parameters()}
    options = toy_options(tmp_path, optimizer="muon", weight_decay=0.5)
    groups = make_optimizer(network, options).param_groups
    by_muon, matrices, biases = [{names[id(w)] for w in group["params"]} for group in groups]
    inner = {f"layers.{layer}.weight_{kind}" for layer in (0, 1) for kind in ("ih", "hh")}
    assert by_muon == inner | ({"projection.weight"} if embedding else set())
    assert matrices == {"embedding.weight"}
    assert by_muon | matrices | biases == set(names.values())
    assert [group["weight_decay"] for group in groups] == [0.5, 0.5, 0.0]


def test_an_update_of_muon_is_orthogonal_and_of_adamw_size(tmp_path: Path) -> None:
    network = RecurrentLM(toy_config(hidden_size=64))
    options = toy_options(tmp_path, optimizer="muon", weight_decay=0.0, learning_rate=0.01)
    optimizer = make_optimizer(network, options)
    weight = network.layers[0].get_parameter("weight_hh")
    before = weight.detach().clone()
    weight.grad = torch.randn(weight.shape)
    optimizer.step()
    update = (weight.detach() - before) / 0.01
    assert 0.1 < update.square().mean().sqrt() < 0.3  # AdamW's are about 0.2
    spread = torch.linalg.svdvals(update)
    assert spread.max() < 2 * spread.min()


def test_precisions() -> None:
    cpu = torch.device("cpu")
    assert matrix_dtype("fp32", cpu) == torch.float32
    assert matrix_dtype("auto", cpu) in (torch.float32, torch.bfloat16)


@needs_bf16
def test_bf16_is_what_it_is() -> None:
    assert matrix_dtype("bf16", torch.device("cpu")) == torch.bfloat16


def test_a_processor_without_bf16(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_lstm(*args: Any) -> None:
        raise RuntimeError("could not create a primitive descriptor")

    monkeypatch.setattr(torch, "lstm", no_lstm)
    with pytest.raises(DeviceError) as raised:
        train(toy_options(tmp_path, precision="bf16"))
    assert str(raised.value) == (
        "precision is bf16, which PyTorch cannot compute on this processor (it needs AVX-512 or "
        "AMX); use precision='fp32', or auto"
    )
    assert not (tmp_path / "model").exists()


def test_untrained_files_are_whole(trained: Bundle) -> None:
    names = {path.name for path in trained.path.iterdir()}
    assert names == {
        "README.md",
        "checkpoints",
        "config.json",
        "corpus",
        "metrics.jsonl",
        "model.onnx",
        "model.safetensors",
        "model_int8.onnx",
        "parity.npz",
        "tokenizer.json",
        "train.json",
    }
