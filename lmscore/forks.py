"""What a forked process inherits: values that are computed once, locks, and work that was begun.

A fork copies the memory of a process, and of its threads only the one that forks. Whatever another
thread was doing stays half done in the child for ever: a lock that it held, a result that it owed.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar, overload

from lmscore.errors import DeviceError

Value = TypeVar("Value")

_IMPORTED_LATE = ("lmscore.", "concurrent.", "onnxruntime")  # inside functions, when needed

_undivided = threading.RLock()
_locks: weakref.WeakSet[threading.Lock] = weakref.WeakSet()


class lazy(Generic[Value]):  # noqa: N801
    """A property that is computed when it is first read, and then kept.

    Unlike `functools.cached_property` of Python 3.11 it holds no lock while it computes, which a
    fork would leave locked. Threads that read it for the first time together compute it each.
    """

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> lazy[Value]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> Value: ...

    def __get__(self, instance: object, owner: type) -> lazy[Value] | Value:
        if instance is None:
            return self
        value = self._compute(instance)
        vars(instance)[self._name] = value  # found there from now on, before the class is asked
        return value


def fork_safe_lock() -> threading.Lock:
    """A lock that is free in a forked process, whoever held it.

    What it guards must be in order between any two bytecodes of the code inside.
    """
    lock = threading.Lock()
    _locks.add(lock)
    return lock


@contextmanager
def undivided() -> Iterator[None]:
    """Hold back forks of this process: for calls of native code that has locks of its own."""
    with _undivided:
        yield


def check_process(begun_in: int, what: str) -> None:
    """Raise DeviceError in a process that forked from the one in which work was begun.

    Args:
        begun_in: the id of that process, `os.getpid()`.
        what: the work, such as "this stream of scores".
    """
    if os.getpid() != begun_in:
        raise DeviceError(
            f"{what} was begun before a fork, and its threads are those of the other process: "
            "begin it in this process"
        )


def _hold_back() -> None:
    """Before a fork, wait until no other thread is in native code or imports our modules.

    A module that is being imported has a lock, too, which the child would wait for. Waiting for
    one lets other threads run, which may begin to import the next.
    """
    _undivided.acquire()
    waited_for: set[str] = set()
    while under_way := _imports_under_way() - waited_for:
        for name in under_way:
            with suppress(Exception):  # the thread that imports it gets the error
                importlib.import_module(name)
        waited_for |= under_way


def _imports_under_way() -> set[str]:
    # Only this table knows of an import from its first step on: a module comes into sys.modules
    # after its file has been found.
    locks: dict[str, object] = importlib._bootstrap._module_locks  # type: ignore[attr-defined]
    return {name for name in list(locks) if name.startswith(_IMPORTED_LATE)}


def _go_on_in_child() -> None:
    _undivided.release()
    for lock in list(_locks):
        lock._at_fork_reinit()  # type: ignore[attr-defined]  # as the modules of Python do


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_hold_back,
        after_in_parent=_undivided.release,
        after_in_child=_go_on_in_child,
    )


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back; a process started meanwhile never gets it: its parent will end it."""
    if sys.platform == "win32":
        yield
        return
    # The first process that is spawned starts multiprocessing's helper, which lets Ctrl-C in again.
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
