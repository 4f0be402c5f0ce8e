"""Data-parallel training: processes started by torchrun, each with a part of every batch's rows.

All processes make the same updates: gradients are summed over them, as in DistributedDataParallel,
so that one process with the whole batch would learn the same. Only the first one writes files.
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

# The others wait while the first process tokenises and evaluates; torchrun ends them if it dies.
_PATIENCE = timedelta(days=7)


def rank_of_process() -> int:
    """The rank of this process among torchrun's processes; 0 without torchrun."""
    return int(os.environ.get("RANK", "0"))


def count_of_processes() -> int:
    """The number of processes that torchrun started; 1 without torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def device_of_process() -> str:
    """The name of the GPU that belongs to this process."""
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"


@dataclass(frozen=True)
class Workers:
    """The processes that train one network together; by default only this one."""

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")  # noqa: RUF009  # of the exchanged tensors

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes files."""
        return self.rank == 0

    def share(self, batch: Batch) -> Batch:
        """This process's rows of a batch; if there are too few rows, it gets one of padding."""
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
        """The state of all `rows` of a batch, joined from the processes' shares."""
        if self.size == 1:
            return state
        count = len(self._rows(rows))  # 0 if the share is a row of padding
        shares = self.gathered(tuple(part[:, :count].cpu() for part in state))
        return tuple(torch.cat(parts, dim=1) for parts in zip(*shares, strict=True))

    def _rows(self, rows: int) -> range:
        """The range of this process among so many rows."""
        return range(self.rank * rows // self.size, (self.rank + 1) * rows // self.size)

    @torch.no_grad()
    def sum_gradients(self, weights: Iterable[Tensor], loss: Tensor) -> Tensor:
        """Replace gradients by their sums over the processes, and return the sum of the losses."""
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
        """The sum of a value over the processes."""
        return self._reduced(value, distributed.ReduceOp.SUM) if self.size > 1 else value

    def largest(self, value: float) -> float:
        """The largest value of any process, so that they agree on clocks and Ctrl-C."""
        return self._reduced(value, distributed.ReduceOp.MAX) if self.size > 1 else value

    def largest_of_each(self, values: Tensor) -> Tensor:
        """The largest of each of some values over the processes."""
        if self.size > 1:
            _all_reduce(values, distributed.ReduceOp.MAX)
        return values

    def gathered(self, value: _Anything) -> list[_Anything]:
        """The values of all processes, in their order."""
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
        """Wait for all processes."""
        if self.size > 1:
            with _explained_end():
                distributed.barrier()


@contextmanager
def _explained_end() -> Iterator[None]:
    """Explain a closed connection; torch has no exception class for it."""
    try:
        yield
    except RuntimeError as error:
        raise TrainingError(
            "another process of this run has ended; what it says is the reason"
        ) from error


def _all_reduce(values: Tensor, operation: distributed.ReduceOp.RedOpType) -> None:
    """Replace values by their sums, or the results of another operation, over the processes."""
    with _explained_end():
        distributed.all_reduce(values, operation)


@contextmanager
def joined_workers(device: torch.device) -> Iterator[Workers]:
    """Join the processes that torchrun started beside this one, if any."""
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
