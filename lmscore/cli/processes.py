"""Work that is shared out to processes, which have nothing in common; results in their order."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from lmscore.errors import DeviceError
from lmscore.forks import interrupts_held

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 4  # results of a process that may wait for an earlier one

Begin = Callable[[], Callable[[Item], Result]]
"""Called once in each process, for the function that it calls for each item."""


def in_processes(
    begin: Begin[Item, Result], items: Sequence[Item], count: int
) -> Iterator[tuple[Item, Result]]:
    """Call a function for each item in one of `count` new processes; yields results in order.

    `begin`, the items and the results are pickled. An error of the function is raised here, after
    the results before it.

    Raises:
        DeviceError: a process was ended from outside.
    """
    with _started(begin, min(count, len(items))) as helpers:
        done: dict[int, tuple[Result | None, Exception | None]] = {}
        given = 0
        for place, item in enumerate(items):
            while place not in done:
                for helper in helpers:
                    if not helper.is_busy and given < min(len(items), place + _AHEAD * count):
                        helper.give(given, items[given])
                        given += 1
                for helper in _ready(helpers):
                    number, result, error = helper.taken()
                    done[number] = result, error
            found, error = done.pop(place)
            if error is not None:
                raise error
            yield item, found  # type: ignore[misc]  # there is a result where there is no error


@dataclass
class _Helper(Generic[Item, Result]):
    """A process, and whether it has been given something to do."""

    process: BaseProcess
    connection: Connection
    is_busy: bool = False

    def give(self, number: int, item: Item) -> None:
        self.is_busy = True
        self.connection.send((number, item))

    def taken(self) -> tuple[int, Result | None, Exception | None]:
        self.is_busy = False
        try:
            number, result, error = self.connection.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            raise DeviceError(
                f"a process of --jobs ended too early (exit code {self.process.exitcode}); is "
                "there enough memory? take fewer"
            ) from None
        return number, result, error


def _ready(helpers: Sequence[_Helper[Any, Any]]) -> list[_Helper[Any, Any]]:
    """The busy helpers that have a result, as soon as there is one."""
    busy = {helper.connection: helper for helper in helpers if helper.is_busy}
    return [busy[connection] for connection in wait(list(busy))]  # type: ignore[index]


@contextmanager
def _started(begin: Begin[Any, Any], count: int) -> Iterator[list[_Helper[Any, Any]]]:
    context = get_context("spawn")  # a fork would bring threads and memory along
    helpers: list[_Helper[Any, Any]] = []
    try:
        for _ in range(count):
            ours, theirs = context.Pipe()
            process: BaseProcess = context.Process(target=_serve, args=(theirs, begin), daemon=True)
            with interrupts_held():
                process.start()
            theirs.close()  # so that the end of the process is the end of the pipe
            helpers.append(_Helper(process, ours))
        yield helpers
    finally:
        for helper in helpers:
            helper.process.terminate()
            helper.process.join()
            helper.connection.close()


def _serve(connection: Connection, begin: Begin[Any, Any]) -> None:
    """What a process does until it is ended."""
    if sys.platform == "win32":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    function: Callable[[Any], Any] | None = None
    while True:
        try:
            number, item = connection.recv()
        except EOFError:
            return
        try:
            function = function or begin()
            connection.send((number, function(item), None))
        except Exception as error:
            connection.send((number, None, error))
