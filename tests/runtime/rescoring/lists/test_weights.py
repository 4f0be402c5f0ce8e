"""Weights: what a score is made of, and the file they are kept in."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from lmscore.errors import InputError, InputFileError, OptionError
from lmscore.runtime.rescoring.lists.nbest import Hypothesis, NBestList
from lmscore.runtime.rescoring.lists.weights import Weights, read_weights, terms

LIST = NBestList(
    "u",
    (
        Hypothesis("a b c", {"am": -1.0, "lm": -6.0}),
        Hypothesis("a bc", {"am": -2.0, "lm": -3.0}),
        Hypothesis("", {"am": -3.0, "lm": -1.0}),
    ),
)


def test_features_and_words() -> None:
    weights = Weights({"am": 1, "lm": 0.5}, word_penalty=-0.25)
    assert weights.combine(LIST).tolist() == [-4.75, -4, -3.5]
    assert weights.best(LIST) == 2


def test_length_normalization() -> None:
    weights = Weights({"lm": 1}, word_penalty=-1, length_normalization=1)
    assert weights.combine(LIST).tolist() == [-3, -2.5, -1]
    square = Weights({"lm": 1}, length_normalization=2)
    assert square.combine(LIST).tolist() == pytest.approx([-6 / 9, -3 / 4, -1])


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("am", [-1, -2, -3]),
        ("words", [3, 2, 0]),
        ("rank", [0, -1, -2]),
        ("am*words", [-3, -4, 0]),
        ("lm*characters", [-30, -12, 0]),
    ],
)
def test_names(name: str, values: list[float]) -> None:
    assert terms(LIST, [name]).tolist() == [[value] for value in values]
    assert Weights({name: 2}).combine(LIST).tolist() == [2 * value for value in values]


def test_a_feature_of_the_list_comes_before_a_computed_one() -> None:
    nbest = NBestList("u", (Hypothesis("a b", {"words": 7.0, "rank": 8.0, "am*words": 9.0}),))
    assert terms(nbest, ["words", "rank", "am*words"]).tolist() == [[7, 8, 9]]


def test_the_word_penalty_adds_to_a_weight_of_words() -> None:
    assert Weights({"words": 1}, word_penalty=2).combine(LIST).tolist() == [9, 6, 0]


def test_the_first_of_equals_is_best() -> None:
    same = Hypothesis("a", {"am": -0.1, "lm": -0.3})
    nbest = NBestList("u", (Hypothesis("b", {"am": -9.0, "lm": 0.0}), *[same] * 7))
    assert Weights({"am": 0.7, "lm": 0.3}).best(nbest) == 1


def test_an_empty_list_has_no_best() -> None:
    empty = NBestList("u", ())
    assert Weights({"am": 1}).combine(empty).shape == (0,)
    assert Weights({"am": 1}).best(empty) is None


def test_impossible_hypotheses_come_last() -> None:
    nbest = NBestList("u", (Hypothesis("a", {"lm": -math.inf}), Hypothesis("b", {"lm": -1.0})))
    assert Weights({"lm": 1}).best(nbest) == 1
    assert Weights({"lm": 0}, word_penalty=1).combine(nbest).tolist() == [1, 1]
    with pytest.raises(OptionError) as caught:
        Weights({"lm": -1}).combine(nbest)
    assert str(caught.value) == (
        "list 'u', hypothesis 1: the score is inf; "
        "a feature of -inf needs a weight that is not negative"
    )


@pytest.mark.parametrize("name", ["x", "x*words", "am*letters"])
def test_a_feature_that_is_not_there(name: str) -> None:
    with pytest.raises(OptionError) as caught:
        Weights({name: 1}).combine(LIST)
    missing = "x" if name == "x*words" else name
    assert str(caught.value) == (
        f"list 'u', hypothesis 1: no feature {missing!r}; there are am, lm, words, rank"
    )


def test_a_feature_that_some_lack() -> None:
    nbest = NBestList("u", (Hypothesis("a", {"x": 1.0}), Hypothesis("b", {"y": 1.0})))
    with pytest.raises(OptionError, match="list 'u', hypothesis 2: no feature 'x'; there are y, "):
        Weights({"x": 1}).combine(nbest)


@pytest.mark.parametrize(
    ("features", "penalty", "message"),
    [
        ({}, 0.0, "no weights: name at least one feature"),
        ({"lm": math.nan}, 0.0, "the weight of 'lm' is nan, expected a finite number"),
        ({"lm": 1.0}, math.inf, "the word penalty is inf, expected a finite number"),
        ({"lm": 10**310}, 0.0, f"the weight of 'lm' is {10**310}, expected a finite number"),
        ({"lm": "1"}, 0.0, "the weight of 'lm' is '1', expected a finite number"),
        ({"lm": 1.0}, None, "the word penalty is None, expected a finite number"),
    ],
)
def test_bad_weights(features: dict[str, Any], penalty: Any, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        Weights(features, penalty)
    assert str(caught.value) == message


def test_file(tmp_path: Path) -> None:
    weights = Weights({"am_score*words": 1.0, "größe": 1 / 3}, -0.1, 0.5)
    weights.save(tmp_path / "weights.json")
    assert read_weights(tmp_path / "weights.json") == weights
    assert json.loads((tmp_path / "weights.json").read_text()) == {
        "format_version": 1,
        "features": {"am_score*words": 1.0, "größe": 1 / 3},
        "word_penalty": -0.1,
        "length_normalization": 0.5,
    }


def test_a_file_may_leave_out_what_is_zero(tmp_path: Path) -> None:
    path = tmp_path / "weights.json"
    path.write_text('{"format_version": 1, "features": {"lm": 2}}')
    assert read_weights(path) == Weights({"lm": 2.0})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON: Expecting property name"),
        ("[]", "expected a JSON object"),
        ('{"features": {"a": 1, "a": 2}}', "cannot be used: key 'a' is there twice"),
        ("[" * 100_000, "cannot be used: maximum recursion depth"),
        (
            f'{{"format_version": 1, "features": {{"a": {10**310}}}}}',
            "the weight of 'a' is inf, expected a finite number",
        ),
        ('{"features": {"a": 1}}', "'format_version' must be 1"),
        ('{"format_version": 2, "features": {"a": 1}}', "'format_version' must be 1"),
        ('{"format_version": 1, "x": 1}', "unknown key 'x'"),
        ('{"format_version": 1}', "'features' must be an object with a weight for each feature"),
        (
            '{"format_version": 1, "features": [1]}',
            "'features' must be an object with a weight for each feature",
        ),
        (
            '{"format_version": 1, "features": {"a": "1"}}',
            "'features.a' is '1', expected a number",
        ),
        (
            '{"format_version": 1, "features": {"a": 1}, "word_penalty": true}',
            "'word_penalty' is True, expected a number",
        ),
        (
            '{"format_version": 1, "features": {"a": NaN}}',
            "the weight of 'a' is nan, expected a finite number",
        ),
    ],
)
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "weights.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_weights(path)
    assert re.match(rf"{path}(, line 1)?: {re.escape(message)}", str(caught.value))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="no such file"):
        read_weights(tmp_path / "weights.json")
