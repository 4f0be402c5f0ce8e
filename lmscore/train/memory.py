"""Memory: freed blocks are kept for the next training step, and a shortage is explained."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lmscore.errors import TrainingError

# From glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4


def keep_freed_memory() -> None:
    """Stop glibc from giving big blocks back to the kernel between steps.

    By default every tensor above 32 MB at most is mapped afresh, and the kernel clears its pages
    one fault at a time; benchmarks/training.py shows the cost. Without glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return
    library.mallopt(_M_MMAP_MAX, 0)
    library.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


@contextmanager
def explained_shortage() -> Iterator[None]:
    """Replace PyTorch's error about memory by one that says which options need less."""
    try:
        yield
    except RuntimeError as error:
        on_gpu = isinstance(error, torch.cuda.OutOfMemoryError)
        if not on_gpu and "can't allocate memory" not in str(error):
            raise
        raise TrainingError(
            f"not enough memory on the {'GPU' if on_gpu else 'CPU'}; "
            "lower `batch_size`, `bptt`, `hidden_size` or `vocab_size`"
        ) from error
