"""Data-parallel training: processes started by torchrun, each with a part of every batch's rows.

All make the same updates: gradients are summed over the processes, as DistributedDataParallel does,
so that one process with the whole batch would learn the same. The first one alone writes files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from lmscore.errors import TrainingError
from lmscore.train.batches import PADDING, Batch
from lmscore.train.cells import State

_Anything = TypeVar("_Anything")

# The others wait while the first one tokenises and evaluates; torchrun ends them if it dies.
_PATIENCE = timedelta(days=7)


def rank_of_process() -> int:
    """Which of torchrun's processes this is; 0 without torchrun."""
    return int(os.environ.get("RANK", "0"))


def count_of_processes() -> int:
    """How many torchrun started; 1 without torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def device_of_process() -> str:
    """The name of the GPU that is this process's own."""
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"


@dataclass(frozen=True)
class Workers:
    """The processes that train one network together; by default this one alone."""

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")  # noqa: RUF009  # of what they exchange

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def share(self, batch: Batch) -> Batch:
        """This process's rows of a batch.

        Where there are fewer rows than processes, some get a row that does not count.
        """
        if self.size == 1:
            return batch
        rows = self._rows(batch.inputs.size(1))
        part = slice(rows.start, rows.stop) if rows else slice(1)
        inputs, targets = batch.inputs[:, part], batch.targets[:, part]
        if not rows:
            targets = torch.full_like(targets, PADDING)
        tokens = int((targets != PADDING).sum())
        return Batch(inputs, targets, tokens, continues=batch.continues)

    def share_of_state(self, state: State) -> State:
        """This process's rows of a state."""
        rows = self._rows(state[0].size(1)) or range(1)
        return tuple(part[:, rows.start : rows.stop] for part in state)

    def whole_state(self, state: State, rows: int) -> State:
        """The state of all `rows` of a batch, from everybody's share of it."""
        if self.size == 1:
            return state
        count = len(self._rows(rows))  # 0 where the share is a row that does not count
        shares = self.gathered(tuple(part[:, :count].cpu() for part in state))
        return tuple(torch.cat(parts, dim=1) for parts in zip(*shares, strict=True))

    def _rows(self, rows: int) -> range:
        """Which of so many rows are this process's own."""
        return range(self.rank * rows // self.size, (self.rank + 1) * rows // self.size)

    @torch.no_grad()
    def sum_gradients(self, weights: Iterable[Tensor], loss: Tensor) -> Tensor:
        """Replace gradients by their sums over the processes; gives the sum of the losses, too."""
        if self.size == 1:
            return loss
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        everything = torch.cat([loss.reshape(1), *(g.reshape(-1) for g in gradients)])
        _all_reduce(everything, distributed.ReduceOp.SUM)
        sizes = [1, *(gradient.numel() for gradient in gradients)]
        total, *sums = torch.split(everything, sizes)
        for gradient, summed in zip(gradients, sums, strict=True):
            gradient.copy_(summed.view_as(gradient))
        return total.squeeze()

    def sum(self, value: float) -> float:
        """Over the processes."""
        return self._reduced(value, distributed.ReduceOp.SUM) if self.size > 1 else value

    def largest(self, value: float) -> float:
        """What any of the processes says at most: so that clocks and Ctrl-C are agreed upon."""
        return self._reduced(value, distributed.ReduceOp.MAX) if self.size > 1 else value

    def largest_of_each(self, values: Tensor) -> Tensor:
        """For each of some values, the largest that any of the processes has."""
        if self.size > 1:
            _all_reduce(values, distributed.ReduceOp.MAX)
        return values

    def gathered(self, value: _Anything) -> list[_Anything]:
        """What each of the processes has, in their order."""
        if self.size == 1:
            return [value]
        everybody: list[Any] = [None] * self.size
        with _explained_end():
            distributed.all_gather_object(everybody, value)
        return everybody

    def _reduced(self, value: float, operation: distributed.ReduceOp.RedOpType) -> float:
        tensor = torch.tensor(value, dtype=torch.float64, device=self.device)
        _all_reduce(tensor, operation)
        return float(tensor)

    def wait(self) -> None:
        """Until all are here."""
        if self.size > 1:
            with _explained_end():
                distributed.barrier()


@contextmanager
def _explained_end() -> Iterator[None]:
    """Say in words that a connection was closed; torch has no class of its own for it."""
    try:
        yield
    except RuntimeError as error:
        raise TrainingError(
            "another process of this run has ended; what it says is the reason"
        ) from error


def _all_reduce(values: Tensor, operation: distributed.ReduceOp.RedOpType) -> None:
    """Replace values by their sums, or whatever the operation is, over the processes."""
    with _explained_end():
        distributed.all_reduce(values, operation)


@contextmanager
def joined_workers(device: torch.device) -> Iterator[Workers]:
    """Join the processes that torchrun started beside this one, if it did."""
    if count_of_processes() == 1:
        yield Workers()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield Workers(distributed.get_rank(), distributed.get_world_size(), device)
    finally:
        distributed.destroy_process_group()
