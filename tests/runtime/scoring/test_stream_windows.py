"""A stream cut into windows keeps its order, its numbers and its prefixes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import InputError
from lmscore.runtime.scoring import stream_windows as windows_module
from lmscore.runtime.scoring.stream_windows import Window, windows


@given(st.lists(st.text(max_size=5)), st.integers(1, 4), st.integers(1, 12))
def test_windows_keep_everything_in_order(texts: list[str], count: int, characters: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows_module, "_WINDOW_TEXTS", count)
        patch.setattr(windows_module, "_WINDOW_CHARACTERS", characters)
        cut = list(windows(texts))
    assert [text for window in cut for text in window.texts] == texts
    assert all(1 <= len(window.texts) <= count for window in cut)
    assert all(sum(map(len, window.texts[:-1])) < characters for window in cut)


def test_windows_read_no_further_than_they_must() -> None:
    def endless() -> Iterator[str]:
        while True:
            yield "x" * 1000

    assert sum(map(len, next(windows(endless())).texts)) <= 1 << 19


def test_windows_refuse_what_is_no_string() -> None:
    with pytest.raises(InputError, match="text 2: expected a string, got bytes"):
        list(windows(["a", b"b"]))  # type: ignore[list-item]


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5))), st.integers(1, 4))
def test_prefixes_stay_with_their_texts(pairs: list[tuple[str, str]], size: int) -> None:
    texts, prefixes = [text for text, _ in pairs], [prefix for _, prefix in pairs]
    cut = list(windows(iter(texts), iter(prefixes), size=size))
    found = [pair for window in cut for pair in zip(window.texts, window.prefixes, strict=True)]
    assert found == pairs
    assert [window.first for window in cut] == list(range(1, len(pairs) + 1, size))


def test_what_comes_before_a_text_takes_room_too() -> None:
    endless = itertools.repeat("x")
    for cut in (
        windows(endless, itertools.repeat("p" * 1000)),
        windows(endless, overhead=1000),
    ):
        assert len(next(cut).texts) < 300


def test_windows_for_a_device_are_larger() -> None:
    for text in ("x", "x" * 1000):
        one, four = (
            len(next(windows(itertools.repeat(text), scale=scale)).texts) for scale in (1, 4)
        )
        assert four == pytest.approx(4 * one, rel=0.01)


def test_without_prefixes_there_are_none() -> None:
    assert list(windows(["a", "b"])) == [Window(1, ["a", "b"], [])]


@pytest.mark.parametrize(
    ("texts", "prefixes", "message"),
    [
        (["a", "b"], ["p"], "text 2 has no prefix: give one prefix for each text"),
        (["a"], ["p", "q"], "prefix 2 has no text: give one prefix for each text"),
        (["a", "b"], ["p", None], "prefix 2: expected a string, got NoneType"),
        (["a", 7], ["p", "q"], "text 2: expected a string, got int"),
    ],
)
def test_prefixes_that_do_not_fit(texts: list[str], prefixes: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(windows(texts, prefixes))
