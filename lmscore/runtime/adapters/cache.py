"""A bounded cache that drops the least recently used value."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from lmscore.forks import fork_safe_lock

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class Cache(Generic[_Key, _Value]):
    """At most `size` values, by key; threads may share it.

    Attributes:
        hits: how often `get` found a value,
        misses: and how often it did not.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.hits = self.misses = 0
        self._values: OrderedDict[_Key, _Value] = OrderedDict()
        self._lock = fork_safe_lock()

    def __len__(self) -> int:
        return len(self._values)

    def __reduce__(self) -> tuple[type[Cache[_Key, _Value]], tuple[int]]:
        return Cache, (self.size,)  # empty: another process fills its own

    def get(self, key: _Key) -> _Value | None:
        """The value, or None if it is not there."""
        with self._lock:
            if key not in self._values:
                self.misses += 1
                return None
            self.hits += 1
            self._values.move_to_end(key)
            return self._values[key]

    def peek(self, key: _Key) -> _Value | None:
        """Like `get`, but the call does not count, and the value is no more recently used."""
        return self._values.get(key)

    def put(self, key: _Key, value: _Value) -> None:
        """Store a value."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            if len(self._values) > self.size:
                self._values.popitem(last=False)

    def get_or_make_all(
        self, keys: Sequence[_Key], make: Callable[[Sequence[_Key]], Sequence[_Value]]
    ) -> list[_Value]:
        """The value of each key; those that are not there are made in one call, and stored."""
        found = [self.get(key) for key in keys]
        missing = [key for key, value in zip(keys, found, strict=True) if value is None]
        if not missing:
            return [value for value in found if value is not None]
        missing = list(dict.fromkeys(missing))
        made = dict(zip(missing, make(missing), strict=True))
        for key, value in made.items():
            self.put(key, value)
        return [
            made[key] if value is None else value for key, value in zip(keys, found, strict=True)
        ]
