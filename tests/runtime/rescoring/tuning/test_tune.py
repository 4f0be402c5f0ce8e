"""Tuning: it finds what there is to find, and does not believe its own success."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings

from lmscore.errors import OptionError
from lmscore.runtime.rescoring.lists import METRICS
from lmscore.runtime.rescoring.lists.weights import Floats, Weights
from lmscore.runtime.rescoring.tuning import tune
from lmscore.runtime.rescoring.tuning.bootstrap import Estimate
from lmscore.runtime.rescoring.tuning.candidates import Candidates, Rows, candidates
from lmscore.runtime.rescoring.tuning.tune import (
    as_values,
    as_weights,
    compare,
    cross_validate,
    find_weights,
    metric_along,
)
from tests.runtime.rescoring.toys import make_list
from tests.runtime.rescoring.tuned import drawn_candidates, make_candidates, random_candidates


def best_of_grid(candidates: Candidates, grids: list[list[float]]) -> float:
    return min(
        candidates.value(candidates.best(np.array([1.0, *values]))) for values in product(*grids)
    )


@given(drawn_candidates())
def test_one_weight_is_exact(candidates: Candidates) -> None:
    found = candidates.value(candidates.best(find_weights(candidates)))
    grid = (np.linspace(-20, 20, 161) + 0.0001234).tolist()
    assert found <= best_of_grid(candidates, [grid])


@settings(max_examples=25)
@given(drawn_candidates(num_terms=3))
def test_two_weights_are_as_good_as_a_grid(candidates: Candidates) -> None:
    found = candidates.value(candidates.best(find_weights(candidates)))
    grid = (np.linspace(-6, 6, 13) + 0.01234).tolist()
    assert found <= best_of_grid(candidates, [grid, grid]) + 10 / len(candidates)


def test_two_weights_of_many_lists() -> None:
    candidates = random_candidates(200, 3)
    found = candidates.value(candidates.best(find_weights(candidates)))
    grid = np.linspace(-1, 4, 41).tolist()
    assert found <= best_of_grid(candidates, [grid, grid])


def test_the_same_seed_finds_the_same() -> None:
    candidates = random_candidates(40, 4)
    assert find_weights(candidates, seed=7).tolist() == find_weights(candidates, seed=7).tolist()


def test_it_goes_up_where_higher_is_better() -> None:
    lists = [[(0.0, 0.0), (-1.0, 2.0)]]
    counts = np.array([[4, 4, 1, 0, 0, 0, 4, 3, 2, 1], [4, 4, 4, 3, 2, 1, 4, 3, 2, 1]], np.int64)
    made = make_candidates(lists, [[0, 0]], "bleu")
    made = Candidates(made.names, made.terms, counts, made.starts, made.metric)
    assert made.value(made.best(find_weights(made))) == 100


def test_a_single_term_has_nothing_to_tune() -> None:
    candidates = make_candidates([[(0.0,), (1.0,)]], [[3, 1]])
    assert find_weights(candidates).tolist() == [1]


def test_a_term_that_never_differs_weighs_nothing() -> None:
    lists = [[(0.0, 5.1, 0.0), (-1.0, 5.1, 2.0)], [(0.0, 0.3, 0.0), (-1.0, 0.3, 1.9)]]
    weights = find_weights(make_candidates(lists, [[3, 1], [3, 1]]))
    assert weights[0] == 1
    assert weights[1] == 0
    assert weights[2] > 0.5


def test_a_first_term_that_never_differs() -> None:
    candidates = make_candidates([[(0.0, 1.0), (0.0, 2.0)]] * 2, [[3, 1]] * 2)
    assert find_weights(candidates)[1] > 0


def test_scales_do_not_matter() -> None:
    candidates = random_candidates(60, 3)
    factors = np.array([1e-3, 1e4, 7.0])
    scaled = Candidates(
        candidates.names,
        candidates.terms * factors,
        candidates.statistics,
        candidates.starts,
        candidates.metric,
    )
    weights = find_weights(scaled) * factors / factors[0]
    assert weights == pytest.approx(find_weights(candidates), rel=1e-6)


def test_no_list_is_judged_by_weights_it_had_a_part_in(monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = random_candidates(23, 2)
    seen: list[set[tuple[float, ...]]] = []
    judged: list[Rows] = []

    def find(some: Candidates, *, seed: int = 1) -> Floats:
        seen.append(set(map(tuple, some.terms.tolist())))
        return np.array([1.0, 0.1 * len(seen)])

    monkeypatch.setattr(tune, "find_weights", find)
    rows = cross_validate(candidates, folds=5)
    for fold, tuned_on in enumerate(seen, 1):
        weights = np.array([1.0, 0.1 * fold])
        left_out = [
            number
            for number, start in enumerate(candidates.starts)
            if tuple(candidates.terms[start].tolist()) not in tuned_on
        ]
        judged.append(np.array(left_out))
        assert rows[left_out].tolist() == candidates.best(weights)[left_out].tolist()
    assert sorted(map(len, judged)) == [4, 4, 5, 5, 5]
    assert sorted(np.concatenate(judged)) == list(range(23))


def test_cross_validation_is_not_taken_in_by_chance() -> None:
    """Features of pure noise fit the lists they are tuned on, and are worth nothing elsewhere."""
    random = np.random.default_rng(0)
    terms = random.normal(size=(40, 5, 7))
    candidates = make_candidates(terms.tolist(), random.integers(0, 10, (40, 5)).tolist())
    mean = float(candidates.metric.value(candidates.statistics.sum(0)))
    fitted = candidates.value(candidates.best(find_weights(candidates)))
    judged = candidates.value(cross_validate(candidates, folds=4))
    assert fitted < mean - 10
    assert judged > mean - 5


def test_a_gain_that_is_there_is_found() -> None:
    candidates = random_candidates(200, 2)
    found = compare(candidates, cross_validate(candidates))
    assert (found.num_lists, found.num_hypotheses) == (200, 1200)
    assert found.first.difference == Estimate(0, 0, 0)
    assert found.oracle.metric.value < found.chosen.metric.value < found.first.metric.value
    assert found.chosen.difference.high < 0
    difference = found.chosen.metric.value - found.first.metric.value
    assert found.chosen.difference.value == difference
    assert found.chosen.metric.low < found.chosen.metric.value < found.chosen.metric.high
    first = candidates.statistics[candidates.starts].sum(0)
    assert found.first.statistics == tuple(first.tolist())


@pytest.mark.parametrize("folds", [1, 0, -1, 4])
def test_folds_that_cannot_be(folds: int) -> None:
    with pytest.raises(OptionError) as caught:
        cross_validate(random_candidates(3, 2), folds=folds)
    assert str(caught.value) == (
        f"{folds} folds of 3 lists: there must be at least 2 folds, and a list for each"
    )


def test_weights_of_a_rescorer() -> None:
    made = make_candidates([[(0.0, 0.0, 0.0)]], [[0]])
    named = Candidates(("am", "words", "lm"), made.terms, made.statistics, made.starts, made.metric)
    found = as_weights(named, np.array([1.0, -0.5, 0.25]), length_normalization=0.5)
    assert found == Weights({"am": 1.0, "lm": 0.25}, -0.5, 0.5)
    assert as_values(found).tolist() == [1, 0.25, -0.5]


def test_the_metric_along_one_weight() -> None:
    candidates = random_candidates(20, 3)
    steps = metric_along(candidates, np.array([1.0, 0.5, 0.25]), 1)
    for weight in (-1.0, 0.1, 0.5, 3.0):
        rows = candidates.best(np.array([1.0, weight, 0.25]))
        assert steps(weight) == candidates.value(rows)


def test_the_first_score_may_have_a_swapped_sign() -> None:
    pytest.importorskip("rapidfuzz")
    lists = [
        make_list("the cat", "a cat", key=str(i), reference="the cat", cost=[1.0, 2.0 + i])
        for i in range(4)
    ]
    judged = candidates(lists, ["cost", "words"], METRICS["wer"])
    weights = find_weights(judged)
    assert weights[0] == -1
    assert judged.value(judged.best(weights)) == 0
