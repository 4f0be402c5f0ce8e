"""Arrivals: the queue through which event loops hand requests to the thread that runs a model."""

from __future__ import annotations

import threading
import time
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Arrivals(Generic[Item]):
    """Items that were put and not yet taken; any thread may put, one takes."""

    def __init__(self) -> None:
        """Nothing is there."""
        self._changed = threading.Condition()
        self._items: list[Item] = []
        self._fewest = 0  # that somebody waits for
        self._is_urgent = False

    def put(self, item: Item, *, urgent: bool = False) -> None:
        """Add an item; an urgent one is taken at once, however few there are."""
        with self._changed:
            self._items.append(item)
            self._is_urgent |= urgent
            if self._is_enough():
                self._changed.notify()

    def take(self, fewest: int = 0, *, until: float | None = None) -> list[Item]:
        """All items that are there, once they are `fewest`.

        Args:
            fewest: how many to wait for.
            until: when to stop waiting, as `time.monotonic` has it. Default: never.
        """
        with self._changed:
            self._fewest = fewest
            while not self._is_enough():
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    break
                self._changed.wait(left)
            taken, self._items = self._items, []
            self._is_urgent = False
        return taken

    def _is_enough(self) -> bool:
        return self._is_urgent or len(self._items) >= self._fewest

    def __len__(self) -> int:
        """How many there are."""
        return len(self._items)
