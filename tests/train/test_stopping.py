"""Runs that end early, or are made models of by hand; averages of the best; the order of lines."""

from __future__ import annotations

import json
import logging
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from lmscore.bundle import Bundle
from lmscore.errors import InputError, ModelNotFoundError, OptionError, VariantError
from lmscore.export import export_model
from lmscore.runtime.load import load
from lmscore.train import Status, resumed_options, selection, train
from lmscore.train.batches import Batch, SentenceBatches
from lmscore.train.best import BestWeights
from lmscore.train.line_order import LineOrder
from lmscore.train.losses import Losses
from lmscore.train.texts import train_files
from tests.train.toy import sentences, tokenised, toy_config, toy_options, write


class StopError(Exception):
    """Ends a run between two updates."""


def stopped_at(folder: Path, step: int, **changes: Any) -> Path:
    """A run that was killed after so many updates, with a checkpoint of the last one."""

    def report(status: Status) -> None:
        if status.step == step + 1:
            raise StopError

    options = toy_options(folder, checkpoint_minutes=1e-9, **changes)
    with pytest.raises(StopError):
        train(options, report=report)
    return folder / "model"


def pretend(monkeypatch: pytest.MonkeyPatch, losses: list[float]) -> None:
    found = iter(losses)
    monkeypatch.setattr(selection, "measure", lambda *_, **__: Losses(next(found), 1))


def records(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "model" / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_stopped_run_is_finished(tmp_path: Path) -> None:
    folder = stopped_at(tmp_path, 12, evaluations=2)
    with pytest.raises(VariantError, match="no exported graph; its training was stopped; make the"):
        load(folder)
    with pytest.raises(ModelNotFoundError, match=r"parity\.npz .*train --finish -o"):
        export_model(folder)
    bundle = train(resumed_options(folder, {}), resume=True, finish=True)
    assert bundle.config.training["updates"] == 12
    export_model(folder)
    assert load(folder).score("the cat sees the dog .").log_prob < 0
    again = train(resumed_options(folder, {}), resume=True)  # and it can still go on
    assert again.config.training["updates"] > 12


@pytest.mark.parametrize(
    "changes",
    [{"schedule": "plateau", "patience": 3}, {"average": "best:3"}, {"average": "nt-asgd"}],
    ids=["plateau", "best", "nt-asgd"],
)
def test_a_finished_run_goes_on_as_if_it_had_not_been(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    folder = stopped_at(tmp_path, 12, evaluations=9, learning_rate=0.3, **changes)
    finished = tmp_path / "finished"
    shutil.copytree(folder, finished)
    before = json.loads(position_of(finished).read_text())
    train(resumed_options(finished, {}), resume=True, finish=True)
    after = json.loads(position_of(finished).read_text())
    kept = ("best_loss", "best_step")  # which weights are the model's, and no more
    assert {name for name in before if before[name] != after[name]} <= {*kept}

    found = []
    for place in (folder, finished):
        train(resumed_options(place, {}), resume=True)
        position = json.loads(position_of(place).read_text())
        apart = (*kept, "seconds")
        lines = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
        found.append(
            (
                {name: value for name, value in position.items() if name not in apart},
                [(line["step"], line["valid_loss"]) for line in lines if "valid_loss" in line],
                [line["learning_rate"] for line in lines if "learning_rate" in line],
                sorted(path.name for path in (place / "best").glob("*")),
                position_of(place).with_name("model.safetensors").read_bytes(),
            )
        )
    assert found[0] == found[1]


def position_of(folder: Path) -> Path:
    (last,) = (folder / "checkpoints").iterdir()
    return last / "position.json"


def test_what_was_finished_is_kept_until_it_is_bettered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = stopped_at(tmp_path, 12, evaluations=2)
    with monkeypatch.context() as patch:
        pretend(patch, [0.5])
        patch.setattr("lmscore.train.run.held_out", lambda *_, **__: {})
        patch.setattr("lmscore.train.run.model_card", lambda _: "")
        train(resumed_options(folder, {}), resume=True, finish=True)
    finished = (folder / "model.safetensors").read_bytes()
    train(resumed_options(folder, {}), resume=True)
    assert (folder / "model.safetensors").read_bytes() == finished
    position = json.loads(position_of(folder).read_text())
    assert (position["best_loss"], position["best_step"]) == (0.5, 12)
    assert position["lowest_loss"] > 0.5


def test_files_that_are_read_no_more(tmp_path: Path, trained: Bundle) -> None:
    vectors = tmp_path / "vectors"
    vectors.write_text("the 1 2 3\n")
    tokenizer = str(shutil.copy(trained.path / "tokenizer.json", tmp_path / "own.json"))
    teacher = shutil.copytree(trained.path, tmp_path / "teacher")
    folder = stopped_at(
        tmp_path,
        5,
        tokenizer=tokenizer,
        embeddings=str(vectors),
        embedding_size=3,
        teacher=(str(teacher),),
    )
    vectors.unlink()  # the checkpoint has what became of them
    away = teacher.rename(tmp_path / "away")
    train(resumed_options(folder, {}), resume=True, finish=True)  # this learns from nobody
    with pytest.raises(ModelNotFoundError, match="teacher"):
        train(resumed_options(folder, {}), resume=True)
    away.rename(teacher)
    train(resumed_options(folder, {"epochs": 0.5}), resume=True)


def test_nothing_to_finish(tmp_path: Path) -> None:
    folder = stopped_at(tmp_path, 0)
    with pytest.raises(OptionError, match="model: no checkpoint in it yet, so nothing to finish"):
        train(resumed_options(folder, {}), resume=True, finish=True)


def test_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pretend(monkeypatch, [3.0, 2.0, 2.5, 1.0, 1.5, 1.25, 9.0, *[9.0] * 20])
    with caplog.at_level(logging.INFO, "lmscore"):
        monkeypatch.setattr("lmscore.train.run.held_out", lambda *_, **__: {})
        monkeypatch.setattr("lmscore.train.run.model_card", lambda _: "")
        train(toy_options(tmp_path, evaluations=9, patience=2))
    assert "2 evaluations without gain: the training ends" in caplog.text
    records = [json.loads(x) for x in (tmp_path / "model/metrics.jsonl").read_text().splitlines()]
    assert [r["valid_loss"] for r in records if "valid_loss" in r] == [
        3.0,
        2.0,
        2.5,
        1.0,
        1.5,
        1.25,
    ]


def test_plateau(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, [3.0, 4.0, 2.0, 2.5, 2.6])
    monkeypatch.setattr("lmscore.train.run.held_out", lambda *_, **__: {})
    monkeypatch.setattr("lmscore.train.run.model_card", lambda _: "")
    train(toy_options(tmp_path, epochs=15, evaluations=4, schedule="plateau", warmup=0.0))
    (last,) = (tmp_path / "model" / "checkpoints").iterdir()
    assert json.loads((last / "position.json").read_text())["rate"] == 0.125
    rates = [r["learning_rate"] for r in records(tmp_path) if "learning_rate" in r]
    assert list(dict.fromkeys(rates)) == [0.02, 0.01, 0.005]  # the last half came after all updates
    assert rates[49] == 0.01


def test_checkpoints_are_kept(tmp_path: Path) -> None:
    folder = stopped_at(tmp_path, 7, keep_checkpoints=3)
    steps = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert [name.split("-")[1] for name in steps] == ["000000005", "000000006", "000000007"]


def test_the_mean_of_the_best(tmp_path: Path) -> None:
    kept = BestWeights(tmp_path, 2)
    for step, loss in enumerate((3.0, 1.0, 2.0, 4.0)):
        weights = {name: np.full(shape, loss, np.float32) for name, shape in SHAPES.items()}
        kept.add(weights, loss, step)
        kept.add(weights, loss, step)  # again after a crash
        if step == 0:
            assert kept.mean(toy_config()) is None
    mean = kept.mean(toy_config())
    assert mean is not None
    assert all((weight == 1.5).all() for weight in mean.values())
    kept.add({name: weight * np.inf for name, weight in mean.items()}, math.inf, 5)
    again = kept.mean(toy_config())
    assert again is not None
    assert all((weight == 1.5).all() for weight in again.values())
    kept.forget_after(2)
    assert kept.mean(toy_config()) is not None
    kept.forget_after(1)  # the run goes on from update 1: the evaluation at 2 is yet to come
    assert kept.mean(toy_config()) is None


SHAPES = toy_config().weight_shapes()


def test_the_mean_of_the_best_is_kept_if_it_is_better(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain = train(toy_options(tmp_path, output=str(tmp_path / "plain"), evaluations=9))
    options = toy_options(tmp_path, average="best:3", evaluations=9)
    with caplog.at_level(logging.INFO, "lmscore"):
        bundle = train(options)
    assert "mean of the best evaluations: held-out perplexity" in caplog.text
    perplexity = bundle.config.training["valid"]["perplexity"]
    assert perplexity <= plain.config.training["valid"]["perplexity"] + 1e-6
    kept = [load_file(path / "model.safetensors") for path in (bundle.path / "best").iterdir()]
    assert len(kept) == 3
    first = load_file(bundle.path / "model.safetensors")
    before = first["output.bias"].copy()
    train(resumed_options(bundle.path, {}), resume=True)  # changes nothing
    assert np.array_equal(load_file(bundle.path / "model.safetensors")["output.bias"], before)


def lines_of(batches: SentenceBatches, epoch: int) -> list[list[tuple[int, ...]]]:
    """The lines of each batch, without padding."""

    def rows(batch: Batch) -> list[tuple[int, ...]]:
        return [tuple(t for t in row.tolist() if t >= 0) for row in batch.targets.T]

    return [rows(batch) for batch in batches.epoch(epoch)]


def test_the_given_order(tmp_path: Path) -> None:
    lines = [" ".join(["w3"] * (number % 4) + [f"w{4 + number % 26}"]) for number in range(60)]
    corpus = tokenised(lines, tmp_path)
    order = LineOrder(corpus, in_order=True)
    batches = SentenceBatches(corpus, toy_config(), tokens=20, seed=1, order=order)
    read = lines_of(batches, 3)
    expected = [
        tuple(corpus.tokens[a:b].tolist())
        for a, b in zip(corpus.starts[:-1], corpus.starts[1:], strict=True)
    ]
    assert [row for batch in read for row in batch] == expected
    assert max(len(batch) * max(map(len, batch)) for batch in read) <= 20
    assert batches.tokens == corpus.counts.tokens


@pytest.mark.parametrize("weight", [3.0, 0.5, 1.25])
def test_weights_of_texts(tmp_path: Path, weight: float) -> None:
    corpus = tokenised([f"w{3 + number % 5}" for number in range(200)], tmp_path)
    object.__setattr__(corpus, "parts", (40, 160))
    order = LineOrder(corpus, (1.0, weight))
    batches = SentenceBatches(corpus, toy_config(), tokens=30, seed=1, order=order)
    counts = [sum(map(len, lines_of(batches, epoch))) for epoch in range(6)]
    assert np.mean(counts) == pytest.approx(40 + 160 * weight, rel=0.1)
    assert batches.tokens == 2 * (40 + 160 * weight)
    assert (len(set(counts)) == 1) == (weight == 3.0)


def test_weights_in_the_names_of_files(tmp_path: Path) -> None:
    odd = write(tmp_path / "odd:2", ["a"])
    options = toy_options(tmp_path, train=("a.txt:3", odd, "b:c.txt:.5", "d.txt"))
    assert train_files(options) == [("a.txt", 3.0), (odd, 1.0), ("b:c.txt", 0.5), ("d.txt", 1.0)]
    with pytest.raises(OptionError, match=r"train is 'a\.txt:0': a text that is never read"):
        train_files(toy_options(tmp_path, train=("a.txt:0",)))
    for huge in ("1000001", "9" * 200):
        with pytest.raises(OptionError, match="a text is read 1,000,000 times at most"):
            train_files(toy_options(tmp_path, train=(f"a.txt:{huge}",)))
    with pytest.raises(OptionError, match="a document is read once from its beginning to its end"):
        train_files(toy_options(tmp_path, train=("a.txt:2",), context="document"))


def test_weights_that_leave_nothing(tmp_path: Path) -> None:
    text = write(tmp_path / "text", sentences(20))
    with pytest.raises(OptionError, match="its weights leave no line to an epoch"):
        train(toy_options(tmp_path, train=(f"{text}:.0001",)))


def test_a_run_with_weights(tmp_path: Path) -> None:
    one, two = (write(tmp_path / name, sentences(60)) for name in ("one", "two"))
    valid = write(tmp_path / "valid", sentences(9))
    files = (f"{one}:2", f"{two}:0.5")
    options = toy_options(tmp_path, train=files, valid=(valid,), epochs=1, order="given")
    training = train(options).config.training
    assert training["train_files"] == ["one:2", "two:0.5"]
    assert training["epochs"] == pytest.approx(1, rel=0.1)  # as the option has them


def test_a_finished_run_without_checkpoints_keeps_its_model(tmp_path: Path) -> None:
    folder = train(toy_options(tmp_path, epochs=0.2)).path
    shutil.rmtree(folder / "checkpoints")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with pytest.raises(OptionError, match=r"finished, and its checkpoints were removed.*init_from"):
        train(resumed_options(folder, {"epochs": 1}), resume=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_a_finished_model_serves_until_better_weights_are_there(tmp_path: Path) -> None:
    folder = train(toy_options(tmp_path, epochs=0.2)).path
    export_model(folder)
    expected = load(folder).score("the cat").log_prob
    config = (folder / "config.json").read_bytes()

    def report(status: Status) -> None:
        raise StopError

    with pytest.raises(StopError):
        train(resumed_options(folder, {"epochs": 0.4}), resume=True, report=report)
    assert (folder / "config.json").read_bytes() == config
    assert load(folder).score("the cat").log_prob == expected
    write(tmp_path / "text", sentences(200, seed=5))
    with pytest.raises(InputError, match="`init_from`"):
        train(resumed_options(folder, {}), resume=True)
    assert (folder / "config.json").read_bytes() == config


def test_another_text_names_the_way_on(tmp_path: Path) -> None:
    folder = stopped_at(tmp_path, 3)
    write(tmp_path / "text", sentences(200, seed=5))
    with pytest.raises(InputError, match="with the new text in another directory: `init_from`"):
        train(resumed_options(folder, {}), resume=True)
    assert Bundle.read(folder)
