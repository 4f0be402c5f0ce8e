"""N-best lists as arrays for tuning: each hypothesis's terms, and its statistics of a metric.

Letters in shapes: U lists (utterances), N hypotheses of all of them one after another, F terms,
S statistics of the metric.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lmscore.errors import InputError, OptionError
from lmscore.runtime.rescoring.lists import (
    Floats,
    Metric,
    NBestList,
    Statistics,
    reference_of,
    terms,
    weighted,
)

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Candidates:
    """The hypotheses of some lists; a list without any has the empty text in their place."""

    names: tuple[str, ...]  # of the terms
    terms: Floats  # [N, F]
    statistics: Statistics  # [N, S]
    starts: Rows  # [U], the row of each list's first hypothesis
    metric: Metric

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def lengths(self) -> Rows:
        """The number of hypotheses of each list, [U]."""
        return np.diff(self.starts, append=len(self.terms))

    @property
    def owners(self) -> Rows:
        """The list of each row, [N]."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def of(self, lists: Rows) -> Candidates:
        """The candidates of some lists only."""
        lengths = self.lengths[lists]
        starts = np.cumsum(lengths) - lengths
        rows = np.arange(lengths.sum()) + np.repeat(self.starts[lists] - starts, lengths)
        return replace(
            self, terms=self.terms[rows], statistics=self.statistics[rows], starts=starts
        )

    def best(self, weights: Floats) -> Rows:
        """The row of each list with the highest score, the first of equals, [U]."""
        scores = weighted(self.terms, weights)
        highest = np.maximum.reduceat(scores, self.starts)[self.owners]
        numbers = np.where(scores == highest, np.arange(len(scores)), len(scores))
        return np.minimum.reduceat(numbers, self.starts)

    def oracle(self) -> Rows:
        """The row of each list that makes the metric best, [U].

        Lists are visited in turns until nothing improves. That finds the best for error rates; for
        BLEU and chrF, which do not add up over sentences, something close to it.
        """
        sign = 1 if self.metric.higher_is_better else -1
        rows, ends = self.starts.copy(), self.starts + self.lengths
        total, moved = self.statistics[rows].sum(0), True
        while moved:
            moved = False
            for place, (start, end) in enumerate(zip(self.starts, ends, strict=True)):
                rest = total - self.statistics[rows[place]]
                values = sign * self.metric.value(rest + self.statistics[start:end])
                if values.max() > values[rows[place] - start]:
                    rows[place] = start + values.argmax()
                    total = rest + self.statistics[rows[place]]
                    moved = True
        return rows

    def value(self, rows: Rows) -> float:
        """The metric of a selection of rows."""
        return float(self.metric.value(self.statistics[rows].sum(0)))


def candidates(
    lists: Iterable[NBestList],
    names: Sequence[str],
    metric: Metric,
    *,
    length_normalization: float = 0.0,
    normalize: Callable[[str], str] = str,
) -> Candidates:
    """Bring lists with references into the form that tuning works on.

    Args:
        lists: no hypothesis is dropped; a list without any counts as one that found nothing.
        names: the terms, named as in `Weights`.
        length_normalization: as in `Weights`.
        normalize: changes hypotheses and references before they are compared.

    Raises:
        OptionError: no term is named, or a hypothesis lacks a feature.
        InputError: there is no list, a list has no reference, all references are empty, or a
            feature is not finite.
        MissingExtraError: a package that the metric needs is not installed.
    """
    if not names:
        raise OptionError("no features to weigh: name at least one")
    blocks: list[Floats] = []
    statistics: list[Statistics] = []
    something_said = False
    for nbest in lists:
        reference = normalize(reference_of(nbest))
        something_said = something_said or bool(reference.strip())
        texts = [normalize(hypothesis.text) for hypothesis in nbest.hypotheses]
        statistics.append(_statistics(metric, texts or [""], reference))
        values = terms(nbest, names, length_normalization=length_normalization)
        _check_finite(nbest, names, values)
        blocks.append(values if texts else np.zeros((1, len(names))))
    if not blocks:
        raise InputError("there is no list to tune on")
    if not something_said:
        raise InputError("all references are empty: there is nothing to compare with")
    lengths = np.array([len(block) for block in blocks])
    starts = np.cumsum(lengths) - lengths
    values, counted = np.concatenate(blocks), np.concatenate(statistics)
    return Candidates(tuple(names), values, counted, starts, metric)


def _statistics(metric: Metric, texts: Sequence[str], reference: str) -> Statistics:
    """The statistics of each text, int64 [n, S]; equal texts are compared once."""
    numbers: dict[str, int] = {}
    places = [numbers.setdefault(text, len(numbers)) for text in texts]
    return metric.statistics(list(numbers), reference)[places]


def _check_finite(nbest: NBestList, names: Sequence[str], values: Floats) -> None:
    for place, row in enumerate(values.tolist(), 1):
        for name, value in zip(names, row, strict=True):
            if not math.isfinite(value):
                raise InputError(
                    f"{nbest.name}, hypothesis {place}: feature {name!r} is {value}; "
                    "tuning needs finite numbers: mend it or leave the feature out"
                )
