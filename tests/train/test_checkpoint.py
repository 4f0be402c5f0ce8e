"""Checkpoints are whole or absent, and nothing of a run is missing in them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from lmscore.errors import ModelError, OutputFileError
from lmscore.train import checkpoint as checkpoint_module
from lmscore.train.averaging import WeightAverage
from lmscore.train.checkpoint import (
    Position,
    checkpoints,
    load_checkpoint,
    random_state,
    save_checkpoint,
)
from lmscore.train.dropout import Rates
from lmscore.train.network import RecurrentLM, State
from lmscore.train.optimizer import make_optimizer
from tests.train.toy import toy_config, toy_options


class Run:
    """A network that has been updated a little, its optimiser and state."""

    def __init__(self, folder: Path, updates: int = 2) -> None:
        self.network = RecurrentLM(toy_config(), Rates(embedding=0.3, layers=0.3, output=0.3))
        self.optimizer = make_optimizer(self.network, toy_options(folder))
        self.average = WeightAverage(self.network, "ema", 0.9)
        self.state: State | None = None
        for _ in range(updates):
            self.update()

    def update(self) -> None:
        state = self.state or self.network.initial_state(2)
        hidden, state = self.network(torch.ones(3, 2, dtype=torch.int64), state)
        hidden.sum().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update()
        self.state = tuple(part.detach() for part in state)

    def save(
        self, folder: Path, step: int = 2, evaluations: int = 0, best_loss: float = 1.5
    ) -> None:
        texts = ["a", "b"]
        position = Position(step=step, evaluations=evaluations, best_loss=best_loss, texts=texts)
        random = [random_state(torch.device("cpu"))]
        parts = (self.network, self.optimizer, self.average)
        save_checkpoint(folder, position, *parts, self.state, random)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_everything_comes_back(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.save(tmp_path / "c")
    run.update()
    other = Run(tmp_path, updates=1)
    (path,) = checkpoints(tmp_path / "c")
    position, other.state = load_checkpoint(path, other.network, other.optimizer, other.average)
    other.update()  # with the same dropout masks

    assert position == Position(step=2, best_loss=1.5, texts=["a", "b"])
    for got, expected in zip(other.network.parameters(), run.network.parameters(), strict=True):
        assert torch.equal(got, expected)
    with run.average.in_place(), other.average.in_place():
        for got, expected in zip(other.network.parameters(), run.network.parameters(), strict=True):
            assert torch.equal(got, expected)


def test_a_checkpoint_from_before_there_were_averages(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.save(tmp_path / "c")
    (path,) = checkpoints(tmp_path / "c")
    rest = torch.load(path / "optimizer.pt", weights_only=True)
    del rest["average"]
    torch.save(rest, path / "optimizer.pt")
    position, _ = load_checkpoint(path, run.network, run.optimizer, run.average)
    assert position.step == 2


def test_a_checkpoint_from_before_there_were_several_optimisers(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.save(tmp_path / "c")
    (path,) = checkpoints(tmp_path / "c")
    rest = torch.load(path / "optimizer.pt", weights_only=True)
    (rest["optimizer"],) = rest["optimizer"]
    torch.save(rest, path / "optimizer.pt")
    other = Run(tmp_path, updates=1)
    load_checkpoint(path, other.network, other.optimizer, other.average)
    (got,), (expected,) = other.optimizer.state_dict(), run.optimizer.state_dict()
    for number, state in expected["state"].items():
        assert torch.equal(got["state"][number]["exp_avg"], state["exp_avg"])


def test_every_worker_gets_its_own_generators(tmp_path: Path) -> None:
    run, states = Run(tmp_path), []
    for seed in (5, 6):
        torch.manual_seed(seed)
        states.append(random_state(torch.device("cpu")))
    parts = (run.network, run.optimizer, run.average)
    save_checkpoint(tmp_path / "c", Position(step=2), *parts, None, states)
    (path,) = checkpoints(tmp_path / "c")
    for rank, seed in enumerate((5, 6, 7)):  # a third one joins: it keeps what it has
        torch.manual_seed(7)
        load_checkpoint(path, *parts, rank)
        assert torch.initial_seed() == seed


def test_a_checkpoint_with_generators_of_one_worker(tmp_path: Path) -> None:
    run = Run(tmp_path)
    torch.manual_seed(5)
    run.save(tmp_path / "c")
    (path,) = checkpoints(tmp_path / "c")
    rest = torch.load(path / "optimizer.pt", weights_only=True)
    (rest["random"],) = rest["random"]
    torch.save(rest, path / "optimizer.pt")
    for rank, seed in enumerate((5, 7)):
        torch.manual_seed(7)
        load_checkpoint(path, run.network, run.optimizer, run.average, rank)
        assert torch.initial_seed() == seed


def test_the_newest_stays(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for step, evaluations in ((2, 0), (9, 0), (10, 1), (10, 2)):
        run.save(tmp_path / "c", step, evaluations)
        assert names(tmp_path / "c") == [f"step-{step:09d}-{evaluations:04d}"]


def test_the_same_position_is_saved_once(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.save(tmp_path / "c")
    (path,) = checkpoints(tmp_path / "c")
    before = (path / "optimizer.pt").stat().st_mtime_ns
    run.save(tmp_path / "c", best_loss=1.25)  # of the mean of the best evaluations, say
    assert (path / "optimizer.pt").stat().st_mtime_ns == before
    position, _ = load_checkpoint(path, run.network, run.optimizer, run.average)
    assert position.best_loss == 1.25


def full_disk(*_: Any) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("place", ["lmscore.files.os.fsync", "lmscore.train.checkpoint.os.replace"])
def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    run = Run(tmp_path)
    run.save(tmp_path / "c")
    with monkeypatch.context() as patch:
        patch.setattr(place, full_disk)
        with pytest.raises(OutputFileError, match=r"step-000000003.*: cannot be written: No space"):
            run.save(tmp_path / "c", step=3)
    assert names(tmp_path / "c") == ["step-000000002-0000"]


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.pt", "position.json"])
@pytest.mark.parametrize("content", [None, b"", b"cut"])
def test_damage(tmp_path: Path, name: str, content: bytes | None) -> None:
    run = Run(tmp_path)
    run.save(tmp_path / "c")
    (path,) = checkpoints(tmp_path / "c")
    if content is None:
        (path / name).unlink()
    else:
        (path / name).write_bytes(content)
    with pytest.raises(ModelError, match=r"damaged, or not of this run, .* remove it"):
        load_checkpoint(path, run.network, run.optimizer, run.average)


class Exploit:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("unpickled",))


def test_no_code_is_unpickled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(tmp_path)
    run.save(tmp_path / "c")
    (path,) = checkpoints(tmp_path / "c")
    for save in (torch.save, lambda what, file: file.write_bytes(pickle.dumps(what))):
        save(Exploit(), path / "optimizer.pt")
        with pytest.raises(ModelError):
            load_checkpoint(path, run.network, run.optimizer, run.average)
    assert capsys.readouterr().out == ""


def test_another_network(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.save(tmp_path / "c")
    larger = RecurrentLM(toy_config(hidden_size=12))
    with pytest.raises(ModelError, match="damaged, or not of this run"):
        load_checkpoint(checkpoints(tmp_path / "c")[0], larger, run.optimizer, run.average)


def test_nothing_there(tmp_path: Path) -> None:
    assert checkpoints(tmp_path / "nothing") == []
    assert checkpoint_module.checkpoints(tmp_path) == []
