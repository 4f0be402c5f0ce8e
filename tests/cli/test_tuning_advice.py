"""What a report of tuning says about itself: weights below 0, and what to do next."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest

from lmscore.cli.rescoring.tuning_advice import advice, unusual_weights
from lmscore.cli.rescoring.tuning_report import TuningReport
from lmscore.runtime.rescoring.lists import Weights
from lmscore.runtime.rescoring.tuning import compare
from tests.runtime.rescoring.tuned import make_candidates


def make_report(
    lists: Sequence[Sequence[Sequence[float]]],
    errors: Sequence[Sequence[int]],
    values: Sequence[float],
    *,
    added: tuple[str, ...] = ("f1",),
    folds: int | None = 2,
) -> TuningReport:
    """A report of given weights of the terms f0, f1."""
    candidates = make_candidates(lists, errors)
    weights = np.array(values)
    comparison = compare(candidates, candidates.best(weights))
    return TuningReport(candidates, weights, comparison, folds, added)


# The second hypothesis is right, and only f1 knows.
KNOWS = [[[1.0, 0.0], [0.0, 2.0]]] * 8
WRONG_FIRST = [[2, 1]] * 8


@pytest.mark.parametrize(
    ("report", "message"),
    [
        (make_report(KNOWS, [[1, 1]] * 8, [1, 1]), "the lists hold little .* 10.00 WER %; ask"),
        (make_report(KNOWS, WRONG_FIRST, [1, 0.0]), r"the LM has no weight \(f1 changes next"),
        (make_report(KNOWS, WRONG_FIRST, [1, -1]), r"the LM has no weight \(that of f1 is below 0"),
        (make_report(KNOWS, [[2, 1], *[[1, 1]] * 8][:8], [1, 1]), "the change may be chance.*8 li"),
        (make_report(KNOWS, WRONG_FIRST, [1, 1]), "100 % of what .* write the weights"),
        (make_report(KNOWS, WRONG_FIRST, [1, 1], folds=None), "100 % .*: use the weights with"),
    ],
)
def test_advice(report: TuningReport, message: str) -> None:
    assert re.match(message, advice(report)), advice(report)


def test_half_of_what_could_be_gained() -> None:
    lists = [*KNOWS, *[[[1.0, 0.0], [0.0, 0.0]]] * 12]
    report = make_report(lists, [[2, 1]] * 20, [1, 1])
    assert advice(report) == (
        "40 % of what the lists hold is gained; adapt the model to text of this domain with train "
        "--init-from"
    )


def test_weights_that_make_it_worse() -> None:
    right_first = [[[1.0, 0.0], [0.0, 2.0]]] * 8
    report = make_report(right_first, [[1, 2]] * 7 + [[2, 1]], [1, 1], added=())
    assert report.comparison.chosen.worse == 7
    assert advice(report) == "the weights make it worse: tune them on lists like these"


def test_weights_below_zero() -> None:
    weights = Weights({"am": -1.0, "lmscore": -0.25, "rank": 1.0, "words": -2.0}, -3.0)
    cost, model = unusual_weights(weights, ["lmscore"])
    assert cost == "the weight of am is below 0 (-1): lower is better, as of a cost"
    assert model.startswith("the weight of lmscore is below 0 (-0.25): what the language model fin")


def test_an_n_gram_of_text_that_the_recogniser_does_not_know() -> None:
    assert [*unusual_weights(Weights({"am": 1.0, "lodr": -0.25}), ["lmscore"])] == []
    (line,) = unusual_weights(Weights({"am": 1.0, "lodr": 0.25}), ["lmscore"])
    assert line.startswith("the weight of lodr is above 0 (0.25): what its text makes likely is")
