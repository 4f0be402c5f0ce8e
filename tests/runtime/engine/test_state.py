"""State is a value: select and concat obey their laws, and nothing changes it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import InputError
from lmscore.runtime.engine.state import Row, State, gather


def make_state(batch: int, *, layers: int = 2, size: int = 3, first: int = 0) -> State:
    """A state whose every number differs."""
    count = layers * batch * size
    h = np.arange(first, first + count, dtype=np.float32).reshape(layers, batch, size)
    return State((h, -h))


@st.composite
def state_and_rows(draw: st.DrawFn) -> tuple[State, list[int]]:
    batch = draw(st.integers(1, 6))
    return make_state(batch), draw(st.lists(st.integers(0, batch - 1), max_size=8))


@given(state_and_rows())
def test_select_takes_the_named_rows(case: tuple[State, list[int]]) -> None:
    state, rows = case
    chosen = state.select(rows)
    assert len(chosen) == len(rows)
    for tensor, whole in zip(chosen.tensors, state.tensors, strict=True):
        np.testing.assert_array_equal(tensor, whole[:, rows])


@given(state_and_rows(), st.data())
def test_select_twice_is_select_once(case: tuple[State, list[int]], data: st.DataObject) -> None:
    state, rows = case
    again = data.draw(st.lists(st.sampled_from(range(len(rows))), max_size=8)) if rows else []
    assert state.select(rows).select(again) == state.select([rows[i] for i in again])


@given(st.lists(st.integers(0, 4), min_size=1, max_size=5))
def test_concat_and_select_are_inverse(sizes: list[int]) -> None:
    parts = [make_state(size, first=100 * i) for i, size in enumerate(sizes)]
    whole = State.concat(parts)
    assert len(whole) == sum(sizes)
    start = 0
    for part in parts:
        assert whole.select(range(start, start + len(part))) == part
        start += len(part)


@given(state_and_rows())
def test_equality_and_hash_go_by_content(case: tuple[State, list[int]]) -> None:
    state, rows = case
    everything = state.select(range(len(state)))
    assert everything == state
    assert hash(everything) == hash(state)
    assert state != make_state(len(state), first=1)
    assert (state.select(rows) == state) == (rows == list(range(len(state))))


def test_equal_to_nothing_else() -> None:
    assert make_state(1) != "a state"


def test_arrays_are_read_only_and_cut_off_from_the_caller() -> None:
    mine = np.zeros((1, 2, 3), np.float32)
    state = State((mine,))
    mine[:] = 1
    assert not state.tensors[0].any()
    with pytest.raises(ValueError, match="read-only"):
        state.tensors[0][0, 0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        state.select([0]).tensors[0][0, 0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        State.concat([state]).tensors[0][0, 0, 0] = 1


def test_a_read_only_view_is_checked_and_copied_too() -> None:
    mine = np.zeros((1, 2, 3), np.float32)
    view = mine[:]
    view.flags.writeable = False
    state = State((view,))
    mine[:] = 1
    assert not state.tensors[0].any()
    stored = np.full((1, 2, 3), np.nan, np.float32).tobytes()
    with pytest.raises(InputError, match="holds nan or inf"):
        State((np.frombuffer(stored, np.float32).reshape(1, 2, 3),))


def test_repr_is_short() -> None:
    assert repr(make_state(4)) == "State(4 rows: [2, 4, 3], [2, 4, 3])"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([0, 2], "row 2 is not in a state of 2 rows"),
        ([-1], "row -1 is not in a state of 2 rows"),
        ([0.5], "rows must be a list or 1-d array of integers"),
        ([True, False], "rows must be a list or 1-d array of integers"),
        ([[0]], "rows must be a list or 1-d array of integers"),
    ],
)
def test_select_errors(rows: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_state(2).select(rows)


def test_concat_errors_say_what_differs() -> None:
    two = make_state(1)
    with pytest.raises(InputError, match="at least one state"):
        State.concat([])
    with pytest.raises(InputError, match="state 1 has 1 tensors, state 0 has 2"):
        State.concat([two, State(two.tensors[:1])])
    with pytest.raises(InputError, match=r"state 1, tensor 0: layers \(axis 0\) is 1, .* it is 2"):
        State.concat([two, make_state(1, layers=1)])
    with pytest.raises(InputError, match=r"hidden size \(axis 2\) is 5, in state 0 it is 3"):
        State.concat([two, make_state(1, size=5)])


def test_constructor_errors() -> None:
    with pytest.raises(InputError, match="at least one tensor"):
        State(())
    with pytest.raises(InputError, match=r"float32 \[L, B, H\], not float64 \[1, 1, 1\]"):
        State((np.zeros((1, 1, 1)),))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"not float32 \[2, 3\]"):
        State((np.zeros((2, 3), np.float32),))
    with pytest.raises(InputError, match="not list"):
        State(([[[0.0]]],))  # type: ignore[arg-type]
    h = np.zeros((1, 2, 3), np.float32)
    with pytest.raises(InputError, match="tensor 1 has 1 rows on axis 1, tensor 0 has 2"):
        State((h, h[:, :1]))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=8))
def test_rows_of_several_states_are_gathered(chosen: list[tuple[int, int]]) -> None:
    states = [make_state(3, first=100 * number) for number in range(3)]
    state, places = gather([Row(states[which], number) for which, number in chosen])
    assert state.select(places) == State.concat(states[which].select([n]) for which, n in chosen)
    distinct = len({which for which, _ in chosen})
    if distinct == 1:
        assert state is states[chosen[0][0]]
    else:
        assert len(state) == len(set(chosen))


def test_one_state_is_not_copied() -> None:
    state = make_state(2)
    assert State.concat([state]) is state
    assert state.on_host() == state
