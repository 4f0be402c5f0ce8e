"""How fast processors read memory: a step of one row cannot be over before its weights are read."""

from __future__ import annotations

from threading import Barrier, Thread
from time import perf_counter

import numpy as np

from lmscore.runtime.engine import usable_cores


def reading_seconds(num_bytes: int, *, threads: int | None = None, seconds: float = 0.5) -> float:
    """The time to read so many bytes once, by several threads, a share each; a mean.

    The same bytes are read again and again, as a step reads its weights: what fits into a cache
    is read at the cache's rate.

    Args:
        num_bytes: at least one for each thread.
        threads: how many. Default: one per core.
        seconds: how long it is repeated.
    """
    threads = threads or usable_cores()
    share = -(-num_bytes // threads)
    together = Barrier(threads + 1)
    end = [0.0]
    rounds = [0] * threads

    def read(number: int) -> None:
        # Written, so that they are memory of their own: untouched pages are all one page of zeros.
        data = np.full(share, 1, np.uint8)
        together.wait()
        while not rounds[number] or perf_counter() < end[0]:
            data.max()  # numpy's nearest to reading alone, and it lets other threads run meanwhile
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
