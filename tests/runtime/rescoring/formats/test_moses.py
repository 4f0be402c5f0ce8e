"""Moses lists, as several decoders write them."""

from __future__ import annotations

import pytest

from lmscore.errors import InputError, OptionError
from tests.runtime.rescoring.formats.conftest import Read, Rewrite, add, contents, order

SAMPLE = """\
0 ||| das haus  |||  d= 0 -1.5 lm= -4 sp_a= 1 sp_b=c= 2 w= -2  ||| -3.25 ||| |0-1| ||| 0-0 1-1
0 |||  ||| d= 0 0 lm= -1 w= 0 ||| -9
0 ||| das haus ||| d= 0 -2 lm= -4 w= -2 ||| -4.5e+00
1||| ein | test ||| lm: -4 tm: -1 -2 |||-inf
"""


def test_what_is_read(read_text: Read) -> None:
    first, second = read_text(SAMPLE)
    assert (first.id, second.id) == ("0", "1")
    assert contents(first) == [
        (
            "das haus",
            {"d[0]": 0, "d[1]": -1.5, "lm": -4, "sp_a": 1, "sp_b=c": 2, "w": -2, "total": -3.25},
        ),
        ("", {"d[0]": 0, "d[1]": 0, "lm": -1, "w": 0, "total": -9}),
        ("das haus", {"d[0]": 0, "d[1]": -2, "lm": -4, "w": -2, "total": -4.5}),
    ]
    assert contents(second) == [
        ("ein | test", {"lm": -4, "tm[0]": -1, "tm[1]": -2, "total": float("-inf")})
    ]


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ("-1.5", {"feature": -1.5}),
        ("0 -1.5 ", {"feature[0]": 0, "feature[1]": -1.5}),
        ("-1 lm= -2", {"feature": -1, "lm": -2}),
        ("lm=-2 tm=-1 -3", {"lm": -2, "tm[0]": -1, "tm[1]": -3}),
        ("a= 1 b= 2 a= 3", {"a[0]": 1, "a[1]": 3, "b": 2}),
        ("", {}),
    ],
)
def test_ways_to_label_features(read_text: Read, features: str, expected: dict[str, float]) -> None:
    (nbest,) = read_text(f"0 ||| a ||| {features} ||| -1\n")
    assert contents(nbest) == [("a", {**expected, "total": -1})]


def test_a_new_feature_goes_to_the_end_of_field_3(rewrite: Rewrite) -> None:
    assert rewrite(SAMPLE, add("rnn", -1.25, -2, -3)) == (
        "0 ||| das haus  |||  d= 0 -1.5 lm= -4 sp_a= 1 sp_b=c= 2 w= -2  rnn= -1.25 ||| -3.25 "
        "||| |0-1| ||| 0-0 1-1\n"
        "0 |||  ||| d= 0 0 lm= -1 w= 0 rnn= -2.0 ||| -9\n"
        "0 ||| das haus ||| d= 0 -2 lm= -4 w= -2 rnn= -3.0 ||| -4.5e+00\n"
        "1||| ein | test ||| lm: -4 tm: -1 -2 rnn= -1.25 |||-inf\n"
    )


def test_a_new_feature_where_there_was_none(rewrite: Rewrite) -> None:
    assert rewrite("0 ||| a |||||| -1\n", add("rnn", -2)) == "0 ||| a ||| rnn= -2.0 ||| -1\n"


def test_another_order(rewrite: Rewrite) -> None:
    first, second, third, _ = SAMPLE.splitlines(keepends=True)
    text = first + second + third.rstrip("\n")
    assert rewrite(text, order(2, 0)) == third + first
    assert rewrite(text, order(2)) == third.rstrip("\n")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 ||| a ||| lm= -1", "3 fields, expected at least 4: ID ||| text ||| features ||| total"),
        ("", "1 field, expected at least 4: ID ||| text ||| features ||| total"),
        (" ||| a ||| lm= -1 ||| -1", "the ID (field 1) is empty"),
        ("1 ||| a ||| lm= x ||| -1", "features (field 3), 'lm': 'x' is no number"),
        ("1 ||| a ||| lm= w= 1 ||| -1", "features (field 3): 'lm' has no value"),
        ("1 ||| a ||| = 1 ||| -1", "features (field 3): '=' names no feature"),
        ("1 ||| a ||| lm= 1 ||| ", "total (field 4): '' is no number"),
        ("1 ||| a ||| lm= 1 ||| 1_0", "total (field 4): '1_0' is no number"),
        ("1 ||| a ||| total= 1 ||| -1", "a feature is called 'total', which is field 4; rename it"),
        (
            "1 ||| a ||| lm= nan ||| -1",
            "features (field 3), 'lm': the score nan cannot be used; mend it or drop the feature",
        ),
        (
            "1 ||| a ||| lm= 1 ||| inf",
            "total (field 4): the score inf cannot be used; mend it or drop the feature",
        ),
    ],
)
def test_bad_lines(read_text: Read, line: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_text(f"0 ||| a ||| lm= -1 ||| -1\n{line}\n", "moses")
    where, _, what = str(caught.value).partition("list, line 2")
    assert where
    assert what.lstrip(",: ") == message


@pytest.mark.parametrize("name", ["", "a b", "a=", "a|b", "a:"])
def test_names_that_cannot_be_written(rewrite: Rewrite, name: str) -> None:
    with pytest.raises(OptionError, match="cannot name a feature of a Moses list"):
        rewrite(SAMPLE, add(name, -1, -2, -3))


@pytest.mark.parametrize(
    ("line", "written"),
    [  # as Marian writes alignments, hard and soft, and the scores of words
        ("0 ||| a b ||| 0-0 1-1 ||| F0= -1.5 ||| -0.7", "F0= -1.5 rnn= -2.0 ||| -0.7"),
        ("0 ||| a b ||| 0.7,0.3 ||| F0= -1.5 ||| -0.7", "F0= -1.5 rnn= -2.0 ||| -0.7"),
        ("0 ||| a b ||| WordScores= -1 -2 ||| F0= -1.5 ||| -0.7", "F0= -1.5 rnn= -2.0 ||| -0.7"),
        ("0 ||| a b ||| F0= -1.5 ||| -0.7 ||| 0-0", "F0= -1.5 rnn= -2.0 ||| -0.7 ||| 0-0"),
    ],
)
def test_fields_before_the_features(
    read_text: Read, rewrite: Rewrite, line: str, written: str
) -> None:
    (nbest,) = read_text(f"{line}\n")
    assert contents(nbest) == [("a b", {"F0": -1.5, "total": -0.7})]
    assert rewrite(f"{line}\n", add("rnn", -2)).endswith(f" ||| {written}\n")
