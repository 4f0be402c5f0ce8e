"""Working ahead changes when items are worked on, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import InputError, ModelError
from lmscore.runtime.scoring.ahead import ahead


def refuse(result: object) -> None:
    pytest.fail(f"dropped {result}")


def double(number: int) -> int:
    return 2 * number


@given(st.lists(st.integers()), st.integers(0, 3))
def test_results_come_in_order(numbers: list[int], count: int) -> None:
    results = ahead(double, numbers, count=count, drop=refuse)
    assert list(results) == [2 * number for number in numbers]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_items_are_read_as_far_ahead_as_told(count: int) -> None:
    read = []

    def endless() -> Iterator[int]:
        number = 0
        while True:
            read.append(threading.current_thread())
            yield number
            number += 1

    results = ahead(double, endless(), count=count, drop=lambda _: None)
    assert next(results) == 0
    assert len(read) == 1 + count
    assert next(results) == 2
    assert len(read) == 2 + count
    assert set(read) == {threading.current_thread()}
    results.close()


def test_a_single_item_needs_no_thread() -> None:
    threads = []
    results = ahead(lambda _: threads.append(threading.current_thread()), [1], count=1, drop=print)
    list(results)
    assert threads == [threading.current_thread()]


@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("error", [InputError, ModelError])
def test_what_fails_comes_after_what_was_before(count: int, error: type[Exception]) -> None:
    def work(number: int) -> int:
        if number == 3:
            raise error("broken")
        return number

    dropped: list[int] = []
    results = ahead(work, [1, 2, 3, 4, 5], count=count, drop=dropped.append)
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(error, match="broken"):
        next(results)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_bad_input_comes_after_the_items_before_it(count: int) -> None:
    def items() -> Iterator[int]:
        yield from (1, 2)
        raise InputError("text 3: expected a string")

    results = ahead(double, items(), count=count, drop=refuse)
    assert [next(results), next(results)] == [2, 4]
    with pytest.raises(InputError, match="text 3"):
        next(results)


def test_results_that_nobody_takes_are_dropped() -> None:
    dropped: list[int] = []
    go_on, begun = threading.Event(), threading.Event()

    def work(number: int) -> int:
        if number == 2:
            begun.set()
            assert go_on.wait(60)
        return number

    results = ahead(work, [1, 2, 3], count=1, drop=dropped.append)
    assert next(results) == 1
    assert begun.wait(60)
    results.close()  # while the thread works on the second item
    go_on.set()
    for thread in threading.enumerate():
        if thread.name.startswith("lmscore-reader"):
            thread.join(60)
    assert dropped == [2]
