"""Memory read by several threads."""

from __future__ import annotations

import pytest

from lmscore.runtime.bench.memory import reading_seconds


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_reading_takes_some_time(threads: int | None) -> None:
    assert 0 < reading_seconds(1_000_001, threads=threads, seconds=0.01) < float("inf")


def test_even_a_slow_reader_reads_once() -> None:
    assert 0 < reading_seconds(1 << 20, threads=2, seconds=0) < float("inf")
