"""Our tab-separated lists."""

from __future__ import annotations

import pytest

from lmscore.errors import InputError
from tests.runtime.rescoring.formats.conftest import Read, Rewrite, add, contents, order

SAMPLE = "u1\t-1.5\tgood day\nu1\t-2\t\nu1\t-1.5\tgood day\nu2\t-inf\t 12 \n"


def test_what_is_read(read_text: Read) -> None:
    first, second = read_text(SAMPLE)
    assert (first.id, second.id) == ("u1", "u2")
    assert contents(first) == [
        ("good day", {"score": -1.5}),
        ("", {"score": -2}),
        ("good day", {"score": -1.5}),
    ]
    assert contents(second) == [("12", {"score": float("-inf")})]


def test_any_number_of_scores(read_text: Read) -> None:
    (nbest,) = read_text("u1\ta\nu1\tb\n")
    assert contents(nbest) == [("a", {}), ("b", {})]
    (nbest,) = read_text("u1\t-1\t-2\t-3\ta\n")
    assert contents(nbest) == [("a", {"score": -1, "score2": -2, "score3": -3})]


def test_a_new_score_is_a_column_before_the_text(rewrite: Rewrite) -> None:
    assert rewrite(SAMPLE, add("rnn", -7.5, -8, -9)) == (
        "u1\t-1.5\t-7.5\tgood day\nu1\t-2\t-8.0\t\nu1\t-1.5\t-9.0\tgood day\nu2\t-inf\t-7.5\t 12 \n"
    )


def test_another_order(rewrite: Rewrite) -> None:
    assert rewrite("u\ta\r\nu\tb", order(1, 0)) == "u\tb\r\nu\ta\r\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("u1\ta\nu2\n", "line 2: no tab; expected id<TAB>text or id<TAB>score<TAB>text"),
        (
            "u1\t-1\ta\nu1\tb\n",
            "line 2: 2 columns, but the first line has 3; every line needs the same columns",
        ),
        ("\ta\n", "line 1: the id (column 1) is empty"),
        ("u\t-1\tx\ta\n", "line 1, score (column 3): 'x' is no number"),
        (
            "u\tnan\ta\n",
            "line 1, score (column 2): the score nan cannot be used; mend it or drop the feature",
        ),
    ],
)
def test_bad_lines(read_text: Read, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_text(text, "tsv")
    assert str(caught.value).endswith(f"list, {message}")
