"""A stage of a pipeline that works ahead of its consumer, in a thread of its own."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from lmscore.errors import InputError
from lmscore.forks import check_process

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

_WHAT = "this stream of scores"

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    count: int,
    drop: Callable[[Result], object],
) -> Generator[Result, None, None]:
    """Apply a function to items, in their order, up to `count` items ahead of the consumer.

    The items are read in the consumer's thread. The first is worked on there too, since it may be
    the only one. An InputError of the items is raised after the results of the items before it.

    Args:
        function: called for one item at a time.
        items: may be endless.
        count: 0 works on each item when its result is asked for, without a thread.
        drop: called with the results that are not consumed.
    """
    from concurrent.futures import Future, ThreadPoolExecutor  # not needed to score one line

    process = os.getpid()
    started: deque[Future[Result]] = deque()
    thread: ThreadPoolExecutor | None = None
    failures: list[InputError] = []
    try:
        for number, item in enumerate(_until_failure(items, failures)):
            if number == 0 or count == 0:
                done: Future[Result] = Future()
                done.set_result(function(item))
                started.append(done)
            else:
                thread = thread or ThreadPoolExecutor(1, thread_name_prefix="lmscore-reader")
                started.append(thread.submit(function, item))
            while len(started) > count:
                yield started.popleft().result()
                check_process(process, _WHAT)
        while started:
            yield started.popleft().result()
            check_process(process, _WHAT)
        for failure in failures:
            raise failure
    finally:
        if os.getpid() == process:  # after a fork, the futures may be locked for ever
            _stop(started, thread, drop)


def _stop(
    started: Iterable[Future[Result]],
    thread: ThreadPoolExecutor | None,
    drop: Callable[[Result], object],
) -> None:
    for future in started:
        if not future.cancel():
            future.add_done_callback(partial(_drop, drop))
    if thread is not None:
        thread.shutdown(wait=False)


def _until_failure(items: Iterable[Item], failures: list[InputError]) -> Iterator[Item]:
    """The items up to an InputError, which is kept."""
    try:
        yield from items
    except InputError as error:
        failures.append(error)


def _drop(drop: Callable[[Result], object], future: Future[Result]) -> None:
    if future.exception() is None:
        drop(future.result())
