"""A run that was killed, interrupted or finished goes on as if nothing had happened."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lmscore.bundle import Bundle
from lmscore.errors import InputError, ModelError, OptionError
from lmscore.train import Status, resumed_options, train
from lmscore.train.metrics import EVALUATED
from tests.train.killed import MOMENTS, OPTIONS
from tests.train.toy import sentences, toy_options, write


def resume(folder: Path, **changes: Any) -> Bundle:
    return train(resumed_options(folder, changes), resume=True)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """The best weights and the last ones."""
    (last,) = (folder / "checkpoints").iterdir()
    files = {"best": folder / "model.safetensors", "last": last / "model.safetensors"}
    return {f"{k} {name}": w for k, file in files.items() for name, w in load_file(file).items()}


def same_weights(one: Path, other: Path) -> bool:
    found, expected = weights(one), weights(other)
    return found.keys() == expected.keys() and all(
        torch.equal(found[name], expected[name]) for name in expected
    )


def evaluations(folder: Path) -> list[tuple[int, float]]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    return [(record["step"], record[EVALUATED]) for record in records if EVALUATED in record]


class StopError(Exception):
    """Ends a run between two updates, without a checkpoint."""


def stop_at(step: int) -> Any:
    def report(status: Status) -> None:
        if status.step == step:
            raise StopError

    return report


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run in `whole`, and one killed at every moment beside it."""
    folder = tmp_path_factory.mktemp("resume")
    train(toy_options(folder, output=str(folder / "whole"), **OPTIONS))
    command = [sys.executable, "-m", "tests.train.killed", str(folder)]
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    return folder


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_and_resumed_is_uninterrupted(folder: Path, moment: str) -> None:
    bundle = resume(folder / moment)

    assert same_weights(folder / moment, folder / "whole")
    assert evaluations(folder / moment) == evaluations(folder / "whole")
    whole = Bundle.read(folder / "whole").config.training
    assert bundle.config.training["valid"] == whole["valid"]
    assert not list((folder / moment).rglob(".*.tmp"))


EVERYTHING = {
    "context": "document",
    "random_bptt": True,
    "layers": 2,
    "word_dropout": 0.1,
    "weight_drop": 0.3,
    "average": "ema",
    "activation_penalty": 1.0,
    "temporal_penalty": 1.0,
    "label_smoothing": 0.1,
    "optimizer": "sgd",
    "learning_rate": 1.0,
}


@pytest.mark.parametrize(
    "own", [{}, {"context": "document", "optimizer": "muon"}, EVERYTHING], ids=len
)
def test_interrupted_many_times(tmp_path: Path, own: dict[str, Any]) -> None:
    changes = {"batch_size": 2, "bptt": 30, "epochs": 1.5, "dropout": 0.2, **own}
    text = write(tmp_path / "text", [*sentences(150), " ".join(sentences(100))])
    options = {**changes, "train": (text,), "tokenizer": "bpe", "vocab_size": 280}
    train(toy_options(tmp_path, output=str(tmp_path / "whole"), **options))
    often = {"output": str(tmp_path / "often"), "checkpoint_minutes": 1e-9}
    with pytest.raises(StopError):
        train(toy_options(tmp_path, **options, **often), report=stop_at(3))
    for step in (11, 12, 25):
        with pytest.raises(StopError):
            train(resumed_options(tmp_path / "often", {}), resume=True, report=stop_at(step))
    resume(tmp_path / "often")

    assert same_weights(tmp_path / "often", tmp_path / "whole")
    assert evaluations(tmp_path / "often") == evaluations(tmp_path / "whole")


def test_a_finished_run_has_nothing_to_do(tmp_path: Path) -> None:
    path = train(toy_options(tmp_path)).path
    before, metrics = weights(path), (path / "metrics.jsonl").read_bytes()
    resume(path)
    assert all(torch.equal(weights(path)[name], before[name]) for name in before)
    assert (path / "metrics.jsonl").read_bytes() == metrics


def test_a_finished_run_with_a_longer_budget(tmp_path: Path) -> None:
    path = train(toy_options(tmp_path, epochs=2, evaluations=3)).path
    first = evaluations(path)
    bundle = resume(path, epochs=6)
    training = bundle.config.training

    assert training["epochs"] == pytest.approx(6, rel=0.1)
    assert training["options"]["epochs"] == 6
    later = [step / training["updates"] for step, _ in evaluations(path)[len(first) :]]
    assert [round(4 * share) for share in later] == [2, 3, 4]  # 1 of 4 lies behind
    assert evaluations(path)[: len(first)] == first


def test_minutes_go_on_where_they_were(tmp_path: Path) -> None:
    options = toy_options(tmp_path, epochs=None, minutes=10, checkpoint_minutes=1e-9)
    with pytest.raises(StopError):
        train(options, report=stop_at(5))
    (path,) = (tmp_path / "model" / "checkpoints").iterdir()
    position = json.loads((path / "position.json").read_text())
    (path / "position.json").write_text(json.dumps({**position, "seconds": 599.9}))
    seen: list[Status] = []
    bundle = train(resumed_options(tmp_path / "model", {}), resume=True, report=seen.append)

    assert seen[0].progress > 0.99
    assert bundle.config.training["minutes"] == 10


def test_a_budget_may_change_its_kind(tmp_path: Path) -> None:
    train(toy_options(tmp_path, epochs=3))
    options = resumed_options(tmp_path / "model", {"minutes": 2})
    assert (options.epochs, options.minutes) == (None, 2)


def test_what_is_learnt_may_not_change(tmp_path: Path) -> None:
    options = toy_options(tmp_path)
    path = train(options).path
    assert resumed_options(path, {"hidden_size": 16, "train": options.train}).hidden_size == 16
    with pytest.raises(OptionError, match=r"hidden_size is 17, the run in .* was started with 16;"):
        resumed_options(path, {"hidden_size": 17})


def test_from_another_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths that were relative where the run began are found from wherever it goes on."""
    write(tmp_path / "text", sentences(200))
    write(tmp_path / "held-out", sentences(20, seed=2))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    options = toy_options(
        Path(), train=("text",), valid=("of=held-out",), output="runs/one", epochs=2
    )
    with pytest.raises(StopError):
        train(dataclasses.replace(options, checkpoint_minutes=1e-9), report=stop_at(3))
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = resumed_options("../runs/one", {"train": ("../text",)})
    assert (found.train, found.valid) == (("../text",), ("of=../held-out",))
    assert train(found, resume=True).config.training["epochs"] == 2
    monkeypatch.chdir(tmp_path)
    (path,) = resumed_options("runs/one", {}).train
    assert Path(path).samefile("text")


def test_no_run_there(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"no run to resume there \(train.json is missing\)"):
        resumed_options(tmp_path, {})


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"train": [], "valid": [], "x": 1}'])
def test_damaged_options(tmp_path: Path, content: str) -> None:
    (tmp_path / "train.json").write_text(content)
    with pytest.raises(ModelError, match=r"train.json: not a run that this lmscore can resume"):
        resumed_options(tmp_path, {})


def stopped(tmp_path: Path, **changes: Any) -> Path:
    options = toy_options(tmp_path, checkpoint_minutes=1e-9, **changes)
    with pytest.raises(StopError):
        train(options, report=stop_at(5))
    return tmp_path / "model"


def test_another_text_is_refused_until_it_is_put_back(tmp_path: Path) -> None:
    path = stopped(tmp_path)
    write(tmp_path / "text", sentences(200, seed=9))
    with pytest.raises(
        InputError, match=r"the text to train on is not the one that .*/step-000000004"
    ):
        resume(path)
    write(tmp_path / "text", sentences(200))  # the same text, of another time
    assert resume(path).config.training["updates"] > 5


def test_another_held_out_text_is_refused(tmp_path: Path) -> None:
    valid = write(tmp_path / "valid", sentences(10))
    path = stopped(tmp_path, valid=(valid,))
    write(tmp_path / "valid", sentences(11))
    with pytest.raises(InputError, match="the held-out text is not the one that"):
        resume(path)


@pytest.mark.parametrize("name", ["train.json", "train.tokens", "train.starts", "valid.tokens"])
def test_a_deleted_corpus_file_is_made_again(tmp_path: Path, name: str) -> None:
    path = stopped(tmp_path)
    (path / "corpus" / name).unlink()
    assert resume(path).config.training["updates"] > 5


def test_a_damaged_checkpoint(tmp_path: Path) -> None:
    path = stopped(tmp_path)
    (checkpoint,) = (path / "checkpoints").iterdir()
    (checkpoint / "optimizer.pt").write_bytes(b"")
    with pytest.raises(ModelError, match="remove it to start over"):
        resume(path)


def test_ctrl_c_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even then the checkpoint that was resumed from stays."""
    from contextlib import contextmanager
    from threading import Event

    from lmscore.train import trainer

    @contextmanager
    def interrupted() -> Any:
        event = Event()
        event.set()
        yield event

    path = stopped(tmp_path)
    before = list((path / "checkpoints").iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "postponed_interrupt", interrupted)
        with pytest.raises(KeyboardInterrupt):
            resume(path)
    assert list((path / "checkpoints").iterdir()) == before
