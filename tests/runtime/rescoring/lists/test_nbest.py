"""Lists are values: what is added or moved makes a new one."""

from __future__ import annotations

import math

import pytest

from lmscore.errors import OptionError
from lmscore.runtime.rescoring.lists.nbest import Hypothesis, NBestList

LIST = NBestList("u", (Hypothesis("a", {"am": -1.0}), Hypothesis("b", {"am": -2.0})), "a")


def test_a_new_feature() -> None:
    changed = LIST.with_feature("rnn", [-3, -4])
    assert [h.features for h in changed.hypotheses] == [
        {"am": -1, "rnn": -3},
        {"am": -2, "rnn": -4},
    ]
    assert [h.added for h in changed.hypotheses] == [("rnn",), ("rnn",)]
    assert (changed.id, changed.reference) == ("u", "a")
    assert LIST.hypotheses[0].features == {"am": -1}


def test_another_order() -> None:
    assert [h.text for h in LIST.reordered([1, 0]).hypotheses] == ["b", "a"]
    assert [h.text for h in LIST.reordered([1]).hypotheses] == ["b"]
    assert LIST.reordered([]).hypotheses == ()


@pytest.mark.parametrize("order", [[0, 0], [2], [-1]])
def test_orders_that_are_none(order: list[int]) -> None:
    with pytest.raises(OptionError, match="is no selection of 2 hypotheses"):
        LIST.reordered(order)


def test_features_that_are_none() -> None:
    with pytest.raises(OptionError, match="the list has a feature 'am' already"):
        LIST.with_feature("am", [-1, -2])
    with pytest.raises(OptionError, match="feature 'rnn' is nan, expected a finite number"):
        LIST.with_feature("rnn", [-1, math.nan])
    with pytest.raises(OptionError, match="list 'u': 1 values of feature 'rnn' for 2 hypotheses"):
        LIST.with_feature("rnn", [-1])
