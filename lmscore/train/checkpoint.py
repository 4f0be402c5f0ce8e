"""Checkpoints: a folder per step, whole or absent, read without unpickling code."""

from __future__ import annotations

import io
import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmscore.bundle import Bundle, load_weights, save_weights
from lmscore.errors import ModelError, OutputFileError
from lmscore.files import atomic_write_bytes, make_directory
from lmscore.train.averaging import WeightAverage
from lmscore.train.network import RecurrentLM, State
from lmscore.train.optimizer import JointOptimizer

_OPTIMIZER = "optimizer.pt"
_POSITION = "position.json"

RandomState = dict[str, Tensor]
"""The states of a process's random generators, by the kind of their device."""


@dataclass
class Position:
    """The position of a run, from which it can be resumed."""

    step: int = 0  # updates made
    epoch: int = 0
    batch: int = 0  # batches of this epoch that are done
    tokens: int = 0  # tokens trained on
    seconds: float = 0.0
    evaluations: int = 0  # evaluations made
    evaluated_step: int | None = None  # the step of the last evaluation
    # Of the weights that are kept, which `finish` or a mean may have found:
    best_loss: float | None = None  # nats per token, on the sample of the held-out text
    best_step: int | None = None  # the updates that the weights with this loss had
    lowest_loss: float | None = None  # of an evaluation of the run; a gain is below it
    fruitless: int = 0  # evaluations without gain since the best one
    rate: float = 1.0  # the factor of the learning rate that the schedule `plateau` has reached
    texts: list[str] = field(default_factory=list)  # SHA-256 of the tokens: train, valid


def save_checkpoint(
    folder: Path,
    position: Position,
    network: RecurrentLM,
    optimizer: JointOptimizer,
    average: WeightAverage,
    state: State | None,
    random: list[RandomState],
    keep: int = 1,
) -> None:
    """Write a checkpoint into `folder`, then keep the newest `keep`.

    If this position has one, only what the run knows of its evaluations is written anew. `state`
    holds all rows of the last batch; `random` has the generators of each worker. Raises
    OutputFileError if the checkpoint cannot be written; the older ones stay.
    """
    # The last evaluation makes no step, and its checkpoint still needs a name of its own.
    name = f"step-{position.step:09d}-{position.evaluations:04d}"
    temporary = folder / f".{name}.tmp"
    older = checkpoints(folder)
    if folder / name in older:
        atomic_write_bytes(folder / name / _POSITION, json.dumps(asdict(position)).encode())
        return
    rest = {
        "optimizer": optimizer.state_dict(),
        "average": average.state_dict(),
        "random": random,
        "state": None if state is None else tuple(part.cpu() for part in state),
    }
    make_directory(temporary)
    try:
        save_weights(temporary, network.to_weights())
        atomic_write_bytes(temporary / _OPTIMIZER, _serialized(rest))
        atomic_write_bytes(temporary / _POSITION, json.dumps(asdict(position)).encode())
        os.replace(temporary, folder / name)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OutputFileError):
            raise
        raise OutputFileError(f"{folder / name}: cannot be written: {error.strerror}") from error
    for path in older[: max(0, len(older) + 1 - keep)]:
        shutil.rmtree(path, ignore_errors=True)


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first."""
    return sorted(folder.glob("step-*"))


def load_checkpoint(
    path: Path,
    network: RecurrentLM,
    optimizer: JointOptimizer,
    average: WeightAverage,
    rank: int = 0,
) -> tuple[Position, State | None]:
    """Restore network, optimizer, average and random generators from a checkpoint.

    The generators are the ones of the worker `rank`; without such a worker they stay as they are.
    Raises ModelError if a file is missing or damaged.
    """
    device = network.device
    try:
        network.load_weights(load_weights(Bundle(path, network.config)))
        rest = torch.load(path / _OPTIMIZER, weights_only=True, map_location="cpu")
        optimizer.load_state_dict(rest["optimizer"])
        if "average" in rest:  # older checkpoints have none
            average.load_state_dict(rest["average"])
        known = json.loads((path / _POSITION).read_text(encoding="utf-8"))
        known.setdefault("lowest_loss", known.get("best_loss"))  # older checkpoints have none
        position = Position(**known)
        random = rest["random"]
        workers = random if isinstance(random, list) else [random]  # older: of the first one
        if rank < len(workers):
            torch.set_rng_state(workers[rank]["cpu"])
            if "cuda" in workers[rank] and device.type == "cuda":
                torch.cuda.set_rng_state(workers[rank]["cuda"], device)
        carried = rest["state"]
    except Exception as error:  # torch, safetensors and json each raise their own
        # What torch says about an odd file is long, and advises to trust it.
        raise ModelError(
            f"{path}: damaged, or not of this run, so that it cannot be resumed; "
            "remove it to start over"
        ) from error
    return position, None if carried is None else tuple(part.to(device) for part in carried)


def _serialized(rest: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()  # on a full disk torch.save itself would raise no OSError
    torch.save(rest, buffer)
    return buffer.getvalue()


def random_state(device: torch.device) -> RandomState:
    """The states of this process's random generators, including the device's."""
    random = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        random["cuda"] = torch.cuda.get_rng_state(device)
    return random
