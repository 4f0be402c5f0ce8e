"""Nematus' lists."""

from __future__ import annotations

import pytest

from lmscore.errors import InputError
from tests.runtime.rescoring.formats.conftest import Read, Rewrite, add, contents

SAMPLE = "0 ||| good day ||| 1.25\n0 ||| good bay ||| 2.5\n1 |||  ||| 0.5 \n"


def test_costs_are_read_as_scores(read_text: Read) -> None:
    first, second = read_text(SAMPLE)
    assert contents(first) == [("good day", {"total": -1.25}), ("good bay", {"total": -2.5})]
    assert (second.id, contents(second)) == ("1", [("", {"total": -0.5})])


def test_new_scores_are_a_field_behind_the_cost(rewrite: Rewrite, read_text: Read) -> None:
    text = rewrite(SAMPLE, add("rnn", -3, -4))
    assert text.startswith("0 ||| good day ||| 1.25 ||| rnn= -3.0 \n")
    assert contents(read_text(text)[0])[1] == ("good bay", {"total": -2.5, "rnn": -4.0})
    again = rewrite(text, add("lm", -5, -6))
    assert again.startswith("0 ||| good day ||| 1.25 ||| rnn= -3.0 lm= -5.0 \n")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 ||| a", "line 1: expected ID ||| text ||| cost"),
        ("0 ||| a ||| x", "line 1, cost (field 3): 'x' is no number"),
    ],
)
def test_bad_lines(read_text: Read, line: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_text(line, "nematus")
    assert str(caught.value).endswith(message)


def test_costs_are_costs(read_text: Read) -> None:
    """That scores are costs, which the format says, may be said again."""
    text = "0 ||| good day ||| 1.25\n"
    assert read_text(text, score_kind="costs")[0].hypotheses[0].features["total"] == -1.25
