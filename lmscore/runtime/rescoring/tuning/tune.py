"""Weights that make a metric best on lists with references, and what they are worth.

The weight of the first term is 1, or -1 where that is better (its sign is swapped, as in costs):
only the ratios of weights matter, and the first term is the score that the others are added to. The
others are found by line searches that are exact. One weight has one line, so it is found exactly.
Two or more are found from several starts, along every axis and random directions until nothing
improves (Och 2003; Cer et al. 2008 for the directions); of weights that are equally good, the
middle of the widest interval is taken.

What the weights are worth is measured by cross-validation: each utterance is judged with weights
tuned on others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lmscore.errors import OptionError
from lmscore.runtime.rescoring.lists import WORDS, Floats, Weights
from lmscore.runtime.rescoring.tuning.bootstrap import Estimate, bootstrap, estimate
from lmscore.runtime.rescoring.tuning.by_length import LengthGroup, by_length
from lmscore.runtime.rescoring.tuning.candidates import Candidates, Rows
from lmscore.runtime.rescoring.tuning.line_search import Steps, search_line

FOLDS = 10

_STARTS = 16
_MAX_ROUNDS = 20


@dataclass(frozen=True)
class System:
    """One way to choose a hypothesis of each list, and how good that is."""

    metric: Estimate
    statistics: tuple[int, ...]  # summed, by the metric's labels
    difference: Estimate  # to the first hypotheses, in the metric's unit
    better: int = 0  # lists whose choice is better than the first hypothesis
    worse: int = 0


@dataclass(frozen=True)
class Comparison:
    """A choice by weights between its bounds: the first hypotheses, and the oracle's."""

    num_lists: int
    num_hypotheses: int
    first: System  # the first hypothesis of each list
    chosen: System  # by the weights
    oracle: System  # the best that is in the lists
    groups: tuple[LengthGroup, ...] = ()  # the metric of the three in lists of like lengths

    def relative(self, system: System) -> float | None:
        """The change from the first hypotheses to a system, in per cent; None where those have 0.

        A negative value is a lower metric, whichever is better.
        """
        first = self.first.metric.value
        return 100 * system.difference.value / first if first else None


def find_weights(candidates: Candidates, *, seed: int = 1) -> Floats:
    """The weight of each term, [F], the first being 1 or -1; starts and directions are random."""
    first = _first_only(candidates.terms.shape[1])
    found = [_find(candidates, first, seed)]
    if _is_better(candidates, -first, first):
        found.append(_find(candidates, -first, seed))
    return found[-1] if _is_better(candidates, found[-1], found[0]) else found[0]


def _is_better(candidates: Candidates, weights: Floats, others: Floats) -> bool:
    sign = 1 if candidates.metric.higher_is_better else -1
    values = [candidates.value(candidates.best(each)) for each in (weights, others)]
    return sign * values[0] > sign * values[1]


def _find(candidates: Candidates, first: Floats, seed: int) -> Floats:
    """The weights whose first one is that of `first`, [F]."""
    units = _units(candidates)
    num_tuned = int((units[1:] > 0).sum())
    if not num_tuned:
        return first
    random = np.random.default_rng(seed)
    num_random = _STARTS if num_tuned > 1 else 0
    starts = [first, *(first + _random_direction(random, units) for _ in range(num_random))]
    found = [_climb(candidates, start, units, random) for start in starts]
    sign = 1 if candidates.metric.higher_is_better else -1
    return max(found, key=lambda weights: sign * candidates.value(candidates.best(weights)))


def _first_only(num_terms: int) -> Floats:
    weights = np.zeros(num_terms)
    weights[0] = 1.0
    return weights


def _units(candidates: Candidates) -> Floats:
    """For each term the weight that makes it count as much as the first, [F]; 0 if it never does.

    How much a term counts is how far it spreads within lists.
    """
    lengths = candidates.lengths[:, None]
    means = np.add.reduceat(candidates.terms, candidates.starts) / lengths
    spread = np.sqrt(((candidates.terms - means[candidates.owners]) ** 2).mean(0))
    spread[spread < 1e-9 * np.abs(candidates.terms).max(0)] = 0.0  # rounding
    units = np.zeros(len(spread))
    units[spread > 0] = (spread[0] or 1.0) / spread[spread > 0]
    return units


def _random_direction(random: np.random.Generator, units: Floats) -> Floats:
    direction = random.normal(size=len(units)) * units
    direction[0] = 0.0
    return direction


def _climb(
    candidates: Candidates, weights: Floats, units: Floats, random: np.random.Generator
) -> Floats:
    """Line searches from some weights on, until a round of them improves nothing."""
    axes = [axis for axis in np.diag(units)[1:] if axis.any()]
    higher, before = candidates.metric.higher_is_better, None
    for _ in range(_MAX_ROUNDS):
        random_ones = [_random_direction(random, units) for _ in axes[1:]]
        for direction in (*random_ones, *axes):
            steps = search_line(candidates, weights, direction)
            place = steps.best(higher_is_better=higher)
            weights = weights + place * direction
        value = float(steps(place))
        if value == before:
            break
        before = value
    return weights


def cross_validate(
    candidates: Candidates,
    *,
    folds: int = FOLDS,
    seed: int = 1,
    report: Callable[[int], None] | None = None,
) -> Rows:
    """The row chosen in each list by weights that were tuned on other lists, [U].

    Args:
        candidates: all lists; they are dealt into folds at random.
        folds: the number of parts; each in turn is judged with weights tuned on the others.
        report: is told how many folds are done.

    Raises:
        OptionError: there are less than two folds, or less lists than folds.
    """
    if not 2 <= folds <= len(candidates):
        raise OptionError(
            f"{folds} folds of {len(candidates)} lists: there must be at least 2 folds, "
            "and a list for each"
        )
    chosen = candidates.starts.copy()
    fold_of = np.random.default_rng(seed).permutation(len(candidates)) % folds
    for fold in range(folds):
        judged = np.flatnonzero(fold_of == fold)
        weights = find_weights(candidates.of(np.flatnonzero(fold_of != fold)), seed=seed)
        chosen[judged] = candidates.best(weights)[judged]
        if report is not None:
            report(fold + 1)
    return chosen


def compare(candidates: Candidates, chosen: Rows, *, seed: int = 1) -> Comparison:
    """Compare a choice of hypotheses, the rows [U], with the first ones and with the oracle."""
    metric = candidates.metric
    choices = [candidates.starts, chosen, candidates.oracle()]
    statistics = [candidates.statistics[rows] for rows in choices]
    resampled = bootstrap(metric, statistics, seed=seed)
    values = [candidates.value(rows) for rows in choices]
    sign = 1 if metric.higher_is_better else -1
    of_lists = [sign * metric.value(counts) for counts in statistics]  # each [U]
    systems = (
        System(
            estimate(value, samples),
            tuple(counts.sum(0).tolist()),
            estimate(value - values[0], samples - resampled[0]),
            better=int((each > of_lists[0]).sum()),
            worse=int((each < of_lists[0]).sum()),
        )
        for value, samples, counts, each in zip(
            values, resampled, statistics, of_lists, strict=True
        )
    )
    groups = by_length(candidates, choices)
    first, best, oracle = systems
    return Comparison(len(candidates), len(candidates.terms), first, best, oracle, groups)


def estimated(candidates: Candidates, rows: Rows, *, seed: int = 1) -> Estimate:
    """The metric of a choice of hypotheses, the rows [U], with its interval."""
    (resampled,) = bootstrap(candidates.metric, [candidates.statistics[rows]], seed=seed)
    return estimate(candidates.value(rows), resampled)


def metric_along(candidates: Candidates, weights: Floats, term: int) -> Steps:
    """The metric on all lists as a function of the weight of one term, the others as they are."""
    axis = np.zeros(len(weights))
    axis[term] = 1.0
    return search_line(candidates, weights * (1 - axis), axis)


def as_weights(
    candidates: Candidates, weights: Floats, *, length_normalization: float = 0.0
) -> Weights:
    """Weights of terms as the weights of a rescorer; the weight of `words` is the word penalty."""
    named = dict(zip(candidates.names, weights.tolist(), strict=True))
    penalty = named.pop(WORDS, 0.0)
    return Weights(named, penalty, length_normalization)


def as_values(weights: Weights) -> Floats:
    """The weights of a rescorer as weights of terms, in the order of `Weights.terms`, [F]."""
    return np.array(list(weights.terms().values()), np.float64)
