from __future__ import annotations

import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from lmscore.runtime.adapters.cache import Cache


def test_what_was_used_longest_ago_makes_room() -> None:
    cache = Cache[str, int](2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 3)
    assert len(cache) == 2


def test_hits_and_misses_are_counted() -> None:
    cache = Cache[str, int](2)
    assert cache.get_or_make_all("ab", lambda keys: [1] * len(keys)) == [1, 1]
    assert cache.get_or_make_all("a", lambda keys: [2] * len(keys)) == [1]
    assert cache.peek("a") == 1
    assert cache.peek("c") is None
    assert (cache.hits, cache.misses) == (1, 2)


def test_what_is_missing_is_made_once_and_at_once() -> None:
    cache, asked = Cache[str, int](1), list[list[str]]()
    cache.put("a", 1)

    def make(keys: Sequence[str]) -> list[int]:
        asked.append(list(keys))
        return [ord(key) for key in keys]

    # More values than the cache holds come back all the same.
    assert cache.get_or_make_all("bacb", make) == [98, 1, 99, 98]
    assert asked == [["b", "c"]]
    assert len(cache) == 1


def test_threads_share_it() -> None:
    cache = Cache[int, int](3)

    def use(number: int) -> bool:
        return all(cache.get_or_make_all([i % 5], list) == [i % 5] for i in range(500))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(use, range(4)))
    assert len(cache) == 3
    assert cache.hits + cache.misses == 2000


def test_another_process_fills_its_own() -> None:
    cache = Cache[str, int](2)
    cache.put("a", 1)
    again = pickle.loads(pickle.dumps(cache))
    assert (len(again), again.size) == (0, 2)
