"""States of hypotheses under ids, bounded in number and time."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from lmscore.runtime.engine import State
from lmscore.serve.errors import ApiError


class StateStore:
    """States by id; those that nobody used for some time are forgotten."""

    def __init__(
        self, *, most: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Keep `most` states at once, each for `seconds` after it was used last."""
        self._most, self._seconds, self._clock = most, seconds, clock
        self._states: OrderedDict[str, tuple[State, float]] = OrderedDict()  # least used first
        self._promised = 0  # states that requests in progress will add

    def __len__(self) -> int:
        self._forget()
        return len(self._states)

    @contextmanager
    def room(self, count: int) -> Iterator[None]:
        """Promise the room of `count` more states to a request, until they are added.

        Raises:
            ApiError: they do not fit.
        """
        self.check_room(count)
        self._promised += count
        try:
            yield
        finally:
            self._promised -= count

    def check_room(self, count: int) -> None:
        """Raise ApiError unless `count` more states fit."""
        if not self._most:
            raise ApiError(
                400, "this server keeps no states: several processes answer", code="no_states"
            )
        kept = len(self) + self._promised
        if kept + count > self._most:
            raise ApiError(
                429,
                f"{kept} states are kept, and {self._most} at most: drop some, or "
                "wait until they are forgotten",
                code="too_many_states",
                retry_after=max(1, int(self._seconds)),
            )

    def add(self, state: State) -> str:
        """Keep a state of one row; returns its id, which cannot be guessed."""
        name = f"st-{secrets.token_hex(12)}"
        self._states[name] = (state, self._clock())
        return name

    def use(self, name: str, place: str) -> State:
        """The state with that id; raises ApiError, which names the place in the request."""
        self._forget()
        if name not in self._states:
            raise ApiError(
                404, f"no state {name!r}: it was dropped or forgotten", param=place, code="no_state"
            )
        state, _ = self._states[name]
        self._states[name] = (state, self._clock())
        self._states.move_to_end(name)
        return state

    def drop(self, names: Sequence[str]) -> int:
        """Forget states; returns how many there were."""
        return sum(self._states.pop(name, None) is not None for name in names)

    def _forget(self) -> None:
        oldest = self._clock() - self._seconds
        while self._states and next(iter(self._states.values()))[1] < oldest:
            self._states.popitem(last=False)
