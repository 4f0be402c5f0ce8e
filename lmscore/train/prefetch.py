"""Batches made ahead of the training by a thread, so that a GPU need not wait for them."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable
from contextlib import suppress
from queue import Full, Queue
from typing import TypeVar

Item = TypeVar("Item")

_PATIENCE = 0.1  # seconds between looks at whether the consumer has stopped


def prefetched(items: Iterable[Item], count: int) -> Generator[Item, None, None]:
    """The same items, up to `count` of them made before they are asked for, in another thread.

    An error of the items is raised in the place of the item. With a count of 0 there is no thread.
    """
    if count == 0:
        yield from items
        return
    made: Queue[tuple[bool, Item | BaseException | None]] = Queue(count)
    stopped = threading.Event()

    def put(entry: tuple[bool, Item | BaseException | None]) -> None:
        while not stopped.is_set():
            with suppress(Full):
                made.put(entry, timeout=_PATIENCE)
                return

    def make() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                put((True, item))
                if stopped.is_set():
                    return
        except BaseException as failure:  # the consumer raises it
            error = failure
        put((False, error))

    thread = threading.Thread(target=make, name="lmscore-batches", daemon=True)
    thread.start()
    try:
        while True:
            is_item, found = made.get()
            if not is_item:
                break
            yield found  # type: ignore[misc]  # an item, as the flag says
        if isinstance(found, BaseException):
            raise found
    finally:
        stopped.set()
        thread.join()
