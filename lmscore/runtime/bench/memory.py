"""The rate at which processors read memory, since a step of one row must read all weights."""

from __future__ import annotations

from threading import Barrier, Thread
from time import perf_counter

import numpy as np

from lmscore.runtime.engine import usable_cores


def reading_seconds(num_bytes: int, *, threads: int | None = None, seconds: float = 0.5) -> float:
    """The mean time to read `num_bytes` once, by several threads (default: one per core).

    Each thread reads a share, at least one byte, for `seconds`. The same bytes are read again and
    again, as a step reads its weights: bytes that fit into a cache are read at the cache's rate.
    """
    threads = threads or usable_cores()
    share = -(-num_bytes // threads)
    together = Barrier(threads + 1)
    end = [0.0]
    rounds = [0] * threads

    def read(number: int) -> None:
        # Written, so that it is real memory: all untouched pages are one page of zeros.
        data = np.full(share, 1, np.uint8)
        together.wait()
        while not rounds[number] or perf_counter() < end[0]:
            data.max()  # numpy's nearest to only reading, and it lets other threads run meanwhile
            rounds[number] += 1

    readers = [Thread(target=read, args=(number,), daemon=True) for number in range(threads)]
    for reader in readers:
        reader.start()
    end[0] = perf_counter() + seconds
    together.wait()
    start = perf_counter()
    for reader in readers:
        reader.join()
    return (perf_counter() - start) * num_bytes / (share * sum(rounds))
