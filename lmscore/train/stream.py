"""The batches of a run, epoch after epoch, as the network is shown them."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing

import torch

from lmscore.train.batches import Batch, Batches
from lmscore.train.prefetch import prefetched
from lmscore.train.unknown import StandIns

AHEAD = 4
"""The number of batches that are made while a GPU computes."""


def batch_stream(
    batches: Batches,
    *,
    epoch: int,
    skip: int,
    stand_ins: StandIns | None,
    device: torch.device,
) -> Generator[tuple[int, Batch], None, None]:
    """Yield batches without end, each with its epoch, from the batch `skip` of `epoch` on.

    Some words stand for `<unk>` (`stand_ins`), other ones in each epoch. Close the generator to end
    the thread that makes batches for a GPU.
    """
    made = _without_end(batches, epoch, skip, stand_ins, pinned=device.type == "cuda")
    with closing(prefetched(made, made_ahead(device))) as ready:
        yield from ready


def made_ahead(device: torch.device) -> int:
    """The number of batches that a thread makes ahead: a CPU has no time to spare for it."""
    return AHEAD if device.type == "cuda" else 0


def _without_end(
    batches: Batches, epoch: int, skip: int, stand_ins: StandIns | None, *, pinned: bool
) -> Iterator[tuple[int, Batch]]:
    while True:
        for batch in batches.epoch(epoch, skip=skip):
            shown = stand_ins.in_place(batch, epoch) if stand_ins else batch
            yield epoch, shown.pinned() if pinned else shown
        epoch, skip = epoch + 1, 0
