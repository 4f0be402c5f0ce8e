"""Several processes that answer on one socket."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from lmscore.errors import DeviceError, OptionError
from lmscore.serve.metrics import forget_process

_Handlers = list[Any]


def fork_workers(count: int, *, on_restart: Callable[[int], object]) -> int | None:
    """Fork processes, and watch over them; call it before a model is loaded.

    Returns in each of them, to go on and serve. SIGTERM, SIGINT and SIGHUP reach all of them. One
    that is killed is replaced; one that fails by itself ends them all. If the parent is killed,
    they end as at SIGTERM, so that the port is free again.

    Args:
        count: the number of processes.
        on_restart: called in the parent with the id of a process that was killed.

    Returns:
        The number of the process, from 0; in the parent None, once all have ended.

    Raises:
        OptionError: there is no fork on this system.
        DeviceError: a worker failed; it has said why.
    """
    if not hasattr(os, "fork"):
        raise OptionError("workers need a system with fork; serve with one process")
    children: dict[int, int] = {}
    lifeline = os.pipe()
    for number in range(count):
        if (pid := _fork(lifeline)) == 0:
            return number
        children[pid] = number
    stopping = failed = False

    def end(*_: object) -> None:
        nonlocal stopping
        stopping = True
        _send(children, signal.SIGTERM)

    def reload(*_: object) -> None:
        _send(children, signal.SIGHUP)

    previous: _Handlers = [signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)]
    previous.append(signal.signal(signal.SIGHUP, reload))
    while children:
        pid, status = os.waitpid(-1, 0)
        if pid not in children:
            continue
        number = children.pop(pid)
        forget_process(pid)
        if stopping:
            continue
        if not os.WIFSIGNALED(status):
            failed = True
            end()
            continue
        on_restart(pid)
        if (again := _fork(lifeline)) == 0:
            _restore(previous)
            return number
        children[again] = number
    _restore(previous)
    for end_of_pipe in lifeline:
        os.close(end_of_pipe)
    if failed:
        raise DeviceError("a worker ended by itself; its error stands above")
    return None


def _fork(lifeline: tuple[int, int]) -> int:
    sys.stdout.flush()
    if (pid := os.fork()) == 0:
        reading, writing = lifeline
        os.close(writing)  # the parent alone has it open, so that its death ends the pipe
        threading.Thread(target=_end_with_parent, args=(reading,), daemon=True).start()
    return pid


def _end_with_parent(reading: int) -> None:
    os.read(reading, 1)  # nothing is ever written
    os.kill(os.getpid(), signal.SIGTERM)


def _restore(handlers: _Handlers) -> None:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    for number, handler in zip(numbers, handlers, strict=True):
        signal.signal(number, handler)


def _send(children: dict[int, int], number: int) -> None:
    for pid in list(children):
        os.kill(pid, number)  # not yet waited for, so the id is its own
