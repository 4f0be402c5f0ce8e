from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from lmscore.errors import InputError
from lmscore.runtime.engine.state import State
from lmscore.runtime.rescoring.models import list_windows as module
from lmscore.runtime.rescoring.models.list_windows import windows


def state(rows: int = 1) -> State:
    return State((np.zeros((1, rows, 2), np.float32),))


def test_windows_are_bounded_by_hypotheses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HYPOTHESES", 3)
    lists = [["a", "b"], [], ["c"], ["d", "e", "f", "g"], ["h"]]
    found = list(windows(lists))
    assert [window.lists for window in found] == [lists[:3], lists[3:4], lists[4:]]
    assert [window.first for window in found] == [1, 4, 5]


def test_windows_are_bounded_by_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHARACTERS", 5)
    lists = [["abc"], ["abc"], ["abc"]]
    assert [window.lists for window in windows(lists)] == [lists[:2], lists[2:]]


def test_states_go_with_their_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HYPOTHESES", 1)
    states = [state(), state()]
    found = list(windows([["a"], ["b"]], states))
    assert [window.states for window in found] == [[states[0]], [states[1]]]


def test_a_window_is_read_when_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HYPOTHESES", 2)
    taken = []

    def lists() -> Iterator[list[str]]:
        for number in range(10):
            taken.append(number)
            yield [str(number)]

    next(windows(lists()))
    assert taken == [0, 1]


def test_an_error_of_the_stream_is_left_as_it_is() -> None:
    def broken() -> Iterator[list[str]]:
        yield ["a"]
        raise ValueError("line 2")

    with pytest.raises(ValueError, match=r"^line 2$"):
        list(windows(broken(), iter([state(), state()])))


@pytest.mark.parametrize("states", [[state()], [state(), state(), state()]])
def test_lists_and_states_must_be_as_many(states: list[State]) -> None:
    number = min(len(states), 2) + 1
    with pytest.raises(InputError, match=f"^list {number}: there are not as many states as lists"):
        list(windows([["a"], ["b"]], states))


def test_a_state_has_one_row() -> None:
    with pytest.raises(InputError, match=r"^list 2: its state has 3 rows, expected 1$"):
        list(windows([["a"], ["b"]], [state(), state(3)]))


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("a text", "list 2: expected a sequence of strings, got str"),
        (7, "list 2: expected a sequence of strings, got int"),
        (["a", None], "list 2, hypothesis 2: expected a string, got NoneType"),
    ],
)
def test_what_is_no_list_of_texts(texts: list[str], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        list(windows([["a"], texts]))
