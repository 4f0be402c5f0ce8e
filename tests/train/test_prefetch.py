"""Items that a thread makes ahead are the same ones, in their order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.train.prefetch import prefetched


def of_thread() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "lmscore-batches"]


@given(st.lists(st.integers() | st.none()), st.integers(0, 3))
def test_items_come_in_order(items: list[int | None], count: int) -> None:
    assert list(prefetched(items, count)) == items


@pytest.mark.parametrize("count", [0, 2])
def test_an_error_comes_after_the_items_before_it(count: int) -> None:
    def items() -> Iterator[int]:
        yield from (1, 2)
        raise ValueError("broken")

    found = prefetched(items(), count)
    assert [next(found), next(found)] == [1, 2]
    with pytest.raises(ValueError, match="broken"):
        next(found)
    assert not of_thread()


def test_so_many_are_made_ahead_and_no_more() -> None:
    made: list[int] = []
    enough = threading.Event()

    def endless() -> Iterator[int]:
        number = 0
        while True:
            made.append(number)
            if number == 3:  # one is taken, two are kept, one waits for room
                enough.set()
            yield number
            number += 1

    with closing(prefetched(endless(), 2)) as found:
        assert next(found) == 0
        assert enough.wait(60)
        assert made == [0, 1, 2, 3]
        assert len(of_thread()) == 1
    assert not of_thread()
