"""A queue whose items are taken together."""

from __future__ import annotations

import threading
import time

from lmscore.serve.arrivals import Arrivals

LONG = 60.0  # seconds: a test that waits for so long has failed


def taken_while(arrivals: Arrivals[str], fewest: int, puts: list[tuple[str, bool]]) -> list[str]:
    """What a thread takes that waits for `fewest` while items are put, urgent or not."""
    taken: list[str] = []

    def take() -> None:
        taken.extend(arrivals.take(fewest, until=time.monotonic() + LONG))

    thread = threading.Thread(target=take)
    thread.start()
    for item, urgent in puts:
        arrivals.put(item, urgent=urgent)
    thread.join(LONG / 2)
    assert not thread.is_alive()
    return taken


def test_all_that_is_there_is_taken_at_once() -> None:
    arrivals: Arrivals[str] = Arrivals()
    assert arrivals.take() == []
    arrivals.put("a")
    arrivals.put("b")
    assert len(arrivals) == 2
    assert arrivals.take(1) == ["a", "b"]
    assert len(arrivals) == 0


def test_as_many_as_are_wanted_are_waited_for() -> None:
    arrivals: Arrivals[str] = Arrivals()
    arrivals.put("a")
    assert taken_while(arrivals, 3, [("b", False), ("c", False)]) == ["a", "b", "c"]


def test_an_urgent_one_ends_the_wait() -> None:
    arrivals: Arrivals[str] = Arrivals()
    assert taken_while(arrivals, 100, [("a", False), ("b", True)])[:2] == ["a", "b"]
    arrivals.put("c", urgent=True)  # before anybody waits
    assert taken_while(arrivals, 100, []) == ["c"]


def test_the_wait_has_an_end() -> None:
    arrivals: Arrivals[str] = Arrivals()
    arrivals.put("a")
    assert arrivals.take(2, until=time.monotonic() + 0.01) == ["a"]
    assert arrivals.take(2, until=time.monotonic() - 1) == []
