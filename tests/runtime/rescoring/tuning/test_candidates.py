"""Lists in the form that tuning works on."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given

from lmscore.errors import InputError, OptionError
from lmscore.runtime.rescoring.lists.metrics import METRICS
from lmscore.runtime.rescoring.lists.nbest import NBestList
from lmscore.runtime.rescoring.lists.weights import Weights
from lmscore.runtime.rescoring.tuning.candidates import Candidates, candidates
from tests.runtime.rescoring.tuned import drawn_candidates, make_list

WER = METRICS["wer"]
LISTS = [
    make_list("u", "a b c", ("a b", {"am": -1.0, "lm": -2.0}), ("a b c", {"am": -2.0, "lm": -1.0})),
    make_list("v", "d e"),
    make_list("w", "f", ("f g", {"am": -3.0, "lm": -4.0})),
]


def test_what_is_made_of_lists() -> None:
    made = candidates(LISTS, ["am", "lm", "words"], WER)
    assert made.names == ("am", "lm", "words")
    assert made.terms.tolist() == [[-1, -2, 2], [-2, -1, 3], [0, 0, 0], [-3, -4, 2]]
    assert made.statistics.tolist() == [[0, 1, 0, 3], [0, 0, 0, 3], [0, 2, 0, 2], [0, 0, 1, 1]]
    assert made.starts.tolist() == [0, 2, 3]
    assert made.lengths.tolist() == [2, 1, 1]
    assert made.owners.tolist() == [0, 0, 1, 2]
    assert len(made) == 3


def test_a_list_without_hypotheses_is_all_deletions() -> None:
    made = candidates(LISTS, ["am"], WER)
    assert made.value(made.starts) == 100 * (1 + 2 + 1) / 6


def test_normalization_of_both_sides() -> None:
    nbest = make_list("u", "A, b", ("a B!", {"am": 0.0}))
    made = candidates([nbest], ["am"], WER, normalize=lambda text: text.lower().strip("!"))
    assert made.statistics.tolist() == [[1, 0, 0, 2]]


def test_length_normalization() -> None:
    made = candidates(LISTS[:1], ["am", "words"], WER, length_normalization=1)
    assert made.terms.tolist() == [[-1 / 2, 1], [-2 / 3, 1]]


def test_equal_texts_have_equal_statistics() -> None:
    rows = [("a b", {"am": -1.0}), ("a", {"am": -2.0}), ("a b", {"am": -3.0})]
    made = candidates([make_list("u", "a", *rows)], ["am"], WER)
    assert made.statistics.tolist() == [[0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 1, 1]]


def test_the_best_rows_are_those_of_a_rescorer() -> None:
    made = candidates(LISTS, ["am", "lm", "words"], WER)
    for values in itertools.product([0.0, 0.5, 2.0], repeat=2):
        weights = Weights({"am": 1, "lm": values[0]}, values[1])
        best = [weights.best(nbest) or 0 for nbest in LISTS]
        chosen = made.best(np.array([1, *values]))
        assert (chosen - made.starts).tolist() == best


def test_the_first_of_equals() -> None:
    same = ("a", {"am": -0.1})
    made = candidates([make_list("u", "a", ("b", {"am": -9.0}), same, same)], ["am"], WER)
    assert made.best(np.array([0.3])).tolist() == [1]


@given(drawn_candidates())
def test_some_lists(made: Candidates) -> None:
    lists = np.flatnonzero(np.arange(len(made)) % 2 == 0)
    some = made.of(lists)
    rows = [row for row in range(len(made.terms)) if made.owners[row] in lists]
    assert some.terms.tolist() == made.terms[rows].tolist()
    assert some.statistics.tolist() == made.statistics[rows].tolist()
    assert some.lengths.tolist() == made.lengths[lists].tolist()


@given(drawn_candidates())
def test_the_oracle_of_error_rates_is_the_best_of_every_list(made: Candidates) -> None:
    errors = made.statistics[:, :3].sum(1)
    best = np.minimum.reduceat(errors, made.starts)
    assert errors[made.oracle()].tolist() == best.tolist()


def test_the_oracle_of_bleu_looks_at_the_corpus() -> None:
    rows = [(text, {"am": 0.0}) for text in ("the cat", "the cat sat on mat", "cat the sat mat")]
    lists = [make_list(str(i), "the cat sat on the mat", *rows) for i in range(3)]
    made = candidates(lists, ["am"], METRICS["bleu"])
    choices = itertools.product(range(3), repeat=3)
    best = max(made.value(made.starts + choice) for choice in choices)
    assert made.value(made.oracle()) == best > made.value(made.starts)


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ([], "there is no list to tune on"),
        (
            [make_list("u", None, ("a", {"am": 0.0}))],
            "list 'u' has no reference; give a file with `references`",
        ),
        (
            [make_list("u", " ", ("a", {"am": 0.0}))],
            "all references are empty: there is nothing to compare with",
        ),
        (
            [make_list("u", "a", ("a", {"am": 0.0}), ("b", {"am": NAN}))],
            (
                "list 'u', hypothesis 2: feature 'am' is nan; "
                "tuning needs finite numbers: mend it or leave the feature out"
            ),
        ),
        (
            [make_list("u", "a", ("a", {"am": -INF}))],
            (
                "list 'u', hypothesis 1: feature 'am' is -inf; "
                "tuning needs finite numbers: mend it or leave the feature out"
            ),
        ),
    ],
)
def test_bad_lists(lists: list[NBestList], message: str) -> None:
    with pytest.raises(InputError) as caught:
        candidates(lists, ["am"], WER)
    assert str(caught.value) == message


def test_features_that_are_not_there() -> None:
    with pytest.raises(OptionError, match="list 'u', hypothesis 1: no feature 'x'"):
        candidates(LISTS, ["x"], WER)
    with pytest.raises(OptionError, match="no features to weigh: name at least one"):
        candidates(LISTS, [], WER)
