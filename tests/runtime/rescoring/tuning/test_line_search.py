"""The exact line search, held against trying weights one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.runtime.rescoring.lists.weights import Floats
from lmscore.runtime.rescoring.tuning.candidates import Candidates
from lmscore.runtime.rescoring.tuning.line_search import Steps, search_line
from tests.runtime.rescoring.tuned import drawn_candidates, make_candidates, random_candidates

AXIS = np.array([0.0, 1.0])
FIRST = np.array([1.0, 0.0])
GOLDEN = 0.6180339887


def tried(candidates: Candidates, origin: Floats, direction: Floats, places: Floats) -> Floats:
    """The metric at some places, each by ranking everything."""
    weights = [origin + place * direction for place in places]
    return np.array([candidates.value(candidates.best(some)) for some in weights])


def between(edges: Floats) -> Floats:
    """A place in every interval that is not too narrow for this to be exact, and at no tie."""
    if not len(edges):
        return exact(np.array([-7.0, 0.0, 7.0]) + GOLDEN)
    middles = (edges[:-1] + GOLDEN * np.diff(edges))[np.diff(edges) > 1e-4]
    return exact(np.array([edges[0] - GOLDEN, *middles, edges[-1] + GOLDEN]))


def exact(places: Floats) -> Floats:
    """Near these places: where scores are computed without rounding errors."""
    return np.round(places * 2**20) / 2**20


@given(drawn_candidates())
def test_it_is_what_trying_all_weights_finds(candidates: Candidates) -> None:
    steps = search_line(candidates, FIRST, AXIS)
    grid = np.linspace(-20, 20, 801) + 0.0001234
    near = np.abs(grid[:, None] - steps.edges).min(axis=1, initial=np.inf) < 1e-6
    assert steps(grid[~near]).tolist() == tried(candidates, FIRST, AXIS, grid[~near]).tolist()
    places = between(steps.edges)
    assert steps(places).tolist() == tried(candidates, FIRST, AXIS, places).tolist()


@given(drawn_candidates(num_terms=3), st.data())
def test_along_any_line(candidates: Candidates, data: st.DataObject) -> None:
    number = st.integers(-3, 3).map(float)
    origin, direction = (np.array(data.draw(st.tuples(*[number] * 3))) for _ in range(2))
    steps = search_line(candidates, origin, direction)
    places = between(steps.edges)
    assert steps(places).tolist() == tried(candidates, origin, direction, places).tolist()


@given(drawn_candidates())
def test_its_best_is_the_best(candidates: Candidates) -> None:
    steps = search_line(candidates, FIRST, AXIS)
    place = steps.best(higher_is_better=False)
    assert steps(place) == steps.values.min()
    if np.diff(steps.edges).min(initial=1) > 1e-6:
        assert tried(candidates, FIRST, AXIS, np.array([place])) == steps.values.min()


def test_many_lists() -> None:
    candidates = random_candidates(300, 2)
    steps = search_line(candidates, FIRST, AXIS)
    places = between(steps.edges)
    assert len(places) > 500
    assert steps(places).tolist() == tried(candidates, FIRST, AXIS, places).tolist()


def test_by_hand() -> None:
    """1-best a (2 errors), from weight 0.5 on b (0), from 3 on c (5); another list never moves."""
    candidates = make_candidates(
        [[(0, 0), (-1, 2), (-4, 3)], [(0, 1), (-1, 1)]], [[2, 0, 5], [1, 9]]
    )
    steps = search_line(candidates, FIRST, AXIS)
    assert steps.edges.tolist() == [0.5, 3]
    assert steps.values.tolist() == [15, 5, 30]
    assert steps.best(higher_is_better=False) == 1.75
    assert steps.best(higher_is_better=True) == 4.5


def test_two_lists_that_change_at_one_place() -> None:
    """At 0 both would take their first hypothesis: 9 errors, not 5 as on either side."""
    candidates = make_candidates([[(0, 0), (0, -1)], [(0, 0), (0, 1)]], [[4, 0], [5, 1]])
    steps = search_line(candidates, FIRST, AXIS)
    place = steps.best(higher_is_better=False)
    assert (steps.edges.tolist(), steps.values.tolist(), place) == ([0], [25, 25], -0.5)
    assert tried(candidates, FIRST, AXIS, np.array([0.0, place])).tolist() == [45, 25]


def test_a_tie_that_changes_nothing_on_either_side() -> None:
    """At 0 the list would take its first hypothesis, which is nowhere else the best."""
    candidates = make_candidates([[(0, 1), (0, 0), (0, 2)]], [[1, 0, 0]])
    steps = search_line(candidates, FIRST, AXIS)
    assert (steps.edges.tolist(), steps.values.tolist(), steps.ties.tolist()) == ([], [0], [0])
    assert steps.best(higher_is_better=False) == -0.5


def test_a_line_on_which_nothing_happens() -> None:
    candidates = make_candidates([[(0, 1), (-1, 1)]], [[1, 9]])
    steps = search_line(candidates, FIRST, AXIS)
    assert (steps.edges.tolist(), steps.values.tolist()) == ([], [10])
    assert steps.best(higher_is_better=False) == 0


@pytest.mark.parametrize(
    ("edges", "values", "best"),
    [
        ([1, 2, 4, 5], [9, 1, 2, 1, 9], 1.5),  # equally wide: the first
        ([1, 2, 4, 5, 6.5], [9, 1, 2, 1, 1, 9], 5.25),  # two that are neighbours are one
        ([1, 2, 4, 5, 6], [9, 1, 2, 1, 1, 9], 4.5),  # but at 5 there are ties
        ([1, 3], [9, 2, 1], 4.5),  # open to the right
        ([-3, 3], [1, 2, 9], -4.5),  # and to the left
        ([0.1, 0.2], [9, 2, 1], 0.7),
    ],
)
def test_the_middle_of_the_widest(edges: list[float], values: list[float], best: float) -> None:
    steps = Steps(*(np.array(some, np.float64) for some in (edges, values, edges)))
    assert steps.best(higher_is_better=False) == pytest.approx(best)


def test_a_part() -> None:
    changes = np.array([1.0, 2.0, 4.0])
    steps = Steps(changes, np.array([9.0, 3.0, 2.0, 5.0]), changes)
    for ends, edges, values in [
        ((0.0, 3.0), [0, 1, 2, 3], [9, 3, 2]),
        ((1.0, 4.0), [1, 2, 4], [3, 2]),
        ((5.0, 6.0), [5, 6], [5]),
    ]:
        found = steps.within(*ends)
        assert (found[0].tolist(), found[1].tolist()) == (edges, values)
