"""Scores that are costs or probabilities."""

from __future__ import annotations

import math
import re

import pytest

from lmscore.errors import InputError
from lmscore.runtime.rescoring.lists import ScoreSigns, in_log_domain
from tests.runtime.rescoring.toys import make_list


def test_costs_and_probabilities() -> None:
    nbest = make_list("a", "b", score=[0.25, 1.0], other=[3.0, 4.0])
    (costs,) = in_log_domain([nbest], "score", "costs")
    assert [dict(h.features) for h in costs.hypotheses] == [
        {"score": -0.25, "other": 3.0},
        {"score": -1.0, "other": 4.0},
    ]
    (logs,) = in_log_domain([nbest], "score", "probabilities")
    assert [h.features["score"] for h in logs.hypotheses] == [math.log(0.25), 0.0]
    with pytest.raises(InputError, match=r"list 'u', hypothesis 1, other: 3\.0 is no probability"):
        list(in_log_domain([nbest], "other", "probabilities"))


@pytest.mark.parametrize(
    ("scores", "hint"),
    [
        ([-1.0, -2.0], None),
        ([1.0, 9.0], "the scores 'score' rise .* in 1 of 1 lists; score_kind='costs'"),
        ([-2.0, -1.0], "score_kind='costs'"),
        ([0.9, 0.2], "lie between 0 and 1; score_kind='probabilities'"),
        ([0.0, 0.0], None),
        ([3.0, 3.0], "above 0, where log-probabilities are below; score_kind='costs' if lower"),
        ([252.3, 251.9], None),  # a confidence, the best first
    ],
)
def test_hints(scores: list[float], hint: str | None) -> None:
    signs = ScoreSigns()
    signs.see(make_list("a", "b", score=scores), "score")
    signs.see(make_list("a", other=[1.0]), "score")
    found = signs.hint()
    assert (found is None) == (hint is None)
    assert hint is None or re.search(hint, found or "")


def test_costs_with_another_sign() -> None:
    """As a format with costs has them: the list has minus the cost."""
    for values, message in {
        (-1.0, -2.0): None,
        (2.0, 1.0): "the costs 'score' are below 0; give them a weight below 0 if higher",
        (-2.0, -1.0): "the costs 'score' fall down most lists",
    }.items():
        signs = ScoreSigns(are_costs=True)
        signs.see(make_list("a", "b", score=values), "score")
        found = signs.hint()
        assert found is None if message is None else (found or "").startswith(message)
