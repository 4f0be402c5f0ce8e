"""Warpers, by examples computed by hand, and the draw."""

from __future__ import annotations

import dataclasses
import math
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from lmscore.errors import OptionError
from lmscore.runtime.decoding.sampling import (
    SamplingKeywords,
    SamplingOptions,
    apply_temperature,
    draw,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    penalize_repetition,
    random_stream,
)
from lmscore.runtime.model import LanguageModel

NOTHING = np.empty(0, np.int64)
TENTHS = np.log([[0.1, 0.4, 0.2, 0.3], [0.7, 0.1, 0.1, 0.1]])

matrices = arrays(np.float64, (3, 7), elements=st.floats(-30, 0, width=32), unique=True)


def kept(log_probs: NDArray[np.floating[Any]]) -> list[list[int]]:
    return [np.flatnonzero(row > -np.inf).tolist() for row in log_probs]


def test_top_k() -> None:
    assert kept(keep_top_k(TENTHS, 2)[:1]) == [[1, 3]]
    assert kept(keep_top_k(TENTHS, 1)) == [[1], [0]]
    assert kept(keep_top_k(TENTHS, 2)[1:]) == [[0, 1, 2, 3]]  # as likely as the second
    for k in (4, 5):
        assert keep_top_k(TENTHS, k) is TENTHS


@pytest.mark.parametrize(
    ("p", "expected"),
    [(0.3, [1]), (0.4, [1]), (0.5, [1, 3]), (0.7, [1, 3]), (0.8, [1, 2, 3]), (1, [0, 1, 2, 3])],
)
def test_top_p(p: float, expected: list[int]) -> None:
    log_probs = np.log([[1.0, 4, 2, 3]])  # sums to 10: needs no normalisation
    assert kept(keep_top_p(log_probs, p)) == [expected]


def test_top_p_leaves_what_it_keeps() -> None:
    warped = keep_top_p(TENTHS, 0.75)
    assert kept(warped) == [[1, 2, 3], [0, 1, 2, 3]]  # three are equally likely
    assert (warped[warped > -np.inf] == TENTHS[warped > -np.inf]).all()


@pytest.mark.parametrize(
    ("p", "expected"),
    [(0, [0, 1, 2, 3]), (0.25, [0, 1, 2, 3]), (0.3, [1, 2, 3]), (0.6, [1, 3]), (1, [1])],
)
def test_min_p(p: float, expected: list[int]) -> None:
    assert kept(keep_min_p(np.log([[1.0, 4, 2, 3]]), p)) == [expected]


def test_temperature() -> None:
    squared = np.exp(apply_temperature(TENTHS[:1], 0.5))
    assert np.allclose(squared / squared.sum(), np.array([[1, 16, 4, 9]]) / 30)
    rooted = np.exp(apply_temperature(TENTHS[:1], 2))
    assert np.allclose(rooted / rooted.sum(), np.sqrt([[1, 4, 2, 3]]) / np.sqrt([1, 4, 2, 3]).sum())


@pytest.mark.parametrize("temperature", [1e-20, 1e-300, 5e-324])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_tiny_temperature_is_greedy(temperature: float, dtype: type[np.floating[Any]]) -> None:
    cold = apply_temperature(TENTHS[:1].astype(dtype), temperature)
    assert cold[0, 1] == 0
    assert (cold[0, [0, 2, 3]] < -1e9).all()
    assert draw(cold, [random_stream(0, 0, NOTHING)]) == [1]


@pytest.mark.parametrize("temperature", [1e30, 1e300, 10**400])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_huge_temperature_makes_all_that_is_allowed_alike(
    temperature: float, dtype: type[np.floating[Any]]
) -> None:
    SamplingOptions(temperature=temperature)
    hot = apply_temperature(np.array([[-np.inf, -9, -1, -5]], dtype), temperature)
    assert hot[0, 0] == -np.inf
    assert np.allclose(hot[0, 1:], 0)


@given(matrices)
def test_extremes_leave_something_to_draw(log_probs: NDArray[np.float64]) -> None:
    seen = np.ones(log_probs.shape, np.bool_)
    for penalty in (1e-30, 1000.0):
        options = SamplingOptions(temperature=1e-300, repetition_penalty=penalty)
        warped = options.warp(log_probs.astype(np.float32) * 100, list(seen))
        assert (warped.max(axis=1) == 0).all()


def test_repetition_penalty() -> None:
    seen = np.array([[True, False, True, False], [False] * 4])
    warped = np.exp(penalize_repetition(TENTHS, seen, 2))
    assert np.allclose(warped, [[0.01, 0.4, 0.04, 0.3], [0.7, 0.1, 0.1, 0.1]])
    assert SamplingOptions().warp(TENTHS, list(seen)) is TENTHS


def test_warpers_come_in_the_order_they_are_documented_in() -> None:
    options = SamplingOptions(
        temperature=0.5, top_k=3, top_p=0.9, min_p=0.5, repetition_penalty=2.0
    )
    seen = np.array([[False, True, False, False], [False] * 4])
    by_hand = penalize_repetition(TENTHS, seen, 2)
    by_hand = apply_temperature(by_hand, 0.5)
    by_hand = keep_min_p(keep_top_p(keep_top_k(by_hand, 3), 0.9), 0.5)
    assert np.array_equal(options.warp(TENTHS, list(seen)), by_hand)
    # Of .1 .16 .2 .3: squared and the first cut off, .0256 .04 .09; the nucleus of .9 leaves all
    # three, and half as likely as the likeliest is only itself.
    assert kept(by_hand)[0] == [3]


@given(matrices, st.integers(1, 9), st.floats(0.01, 1), st.floats(0, 1), st.floats(0.1, 3))
def test_the_likeliest_always_stays(
    log_probs: NDArray[np.float64], top_k: int, top_p: float, min_p: float, temperature: float
) -> None:
    options = SamplingOptions(top_k=top_k, top_p=top_p, min_p=min_p, temperature=temperature)
    warped = options.warp(log_probs, list(np.zeros(log_probs.shape, np.bool_)))
    assert (warped.max(axis=1) > -np.inf).all()
    assert (warped.argmax(axis=1) == log_probs.argmax(axis=1)).all()
    assert all(1 <= len(row) <= top_k for row in kept(warped))


@pytest.mark.parametrize(("V", "threshold"), [(4, 16.27), (11, 29.59), (16, 37.70), (17, 39.25)])
def test_draws_are_distributed_as_they_should_be(V: int, threshold: float) -> None:
    weights = np.arange(1.0, V + 1)
    log_probs = np.log(weights / weights.sum())[None]
    stream = random_stream(1, 0, NOTHING)
    drawn = Counter(int(draw(log_probs, [stream])[0]) for _ in range(4000))
    expected = 4000 * weights / weights.sum()
    chi_square = sum((drawn[i] - expected[i]) ** 2 / expected[i] for i in range(V))
    assert chi_square < threshold  # V - 1 degrees of freedom, p = 0.001
    assert drawn.keys() <= set(range(V))


def test_the_only_token_is_drawn() -> None:
    assert draw(np.zeros((2, 1)), [random_stream(n, 0, NOTHING) for n in range(2)]).tolist() == [
        0,
        0,
    ]
    certain = np.where(np.arange(50) == 49, 0.0, -np.inf)[None]
    assert draw(certain, [random_stream(1, 0, NOTHING)]) == [49]


def test_what_is_cut_is_never_drawn() -> None:
    stream = random_stream(1, 0, NOTHING)
    log_probs = keep_top_k(TENTHS[:1], 2)
    assert {int(draw(log_probs, [stream])[0]) for _ in range(200)} == {1, 3}


@given(matrices, st.integers(0, 9))
def test_last_bits_and_batch_mates_do_not_matter(log_probs: NDArray[np.float64], seed: int) -> None:
    together = draw(log_probs, [random_stream(seed, i, NOTHING) for i in range(3)])
    jittered = log_probs * (1 + 1e-7)
    for i in range(3):
        assert draw(jittered[i : i + 1], [random_stream(seed, i, NOTHING)]) == together[i : i + 1]


def test_streams_differ_by_sample_and_prompt() -> None:
    keys: list[tuple[int, int, list[int]]] = [
        (1, 0, []),
        (1, 1, []),
        (2, 0, []),
        (1, 0, [5]),
        (1, 0, [5, 5]),
        (1 << 70, 0, []),
    ]
    first = {random_stream(s, i, np.array(ids, np.int64)).random() for s, i, ids in keys}
    assert len(first) == len(keys)
    assert random_stream(None, 0, NOTHING).random() != random_stream(None, 0, NOTHING).random()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_samples": 0}, "num_samples must be an integer, 1 or more, not 0"),
        ({"max_tokens": 0}, "max_tokens must be an integer, 1 or more, not 0"),
        ({"max_tokens": 2.5}, "max_tokens must be an integer, 1 or more, not 2.5"),
        ({"temperature": -1}, "temperature must be 0 (greedy) or more, not -1"),
        ({"temperature": math.nan}, "temperature must be 0 (greedy) or more, not nan"),
        ({"temperature": math.inf}, "temperature must be 0 (greedy) or more, not inf"),
        ({"temperature": "hot"}, "temperature must be 0 (greedy) or more, not 'hot'"),
        ({"top_k": 0}, "top_k must be an integer, 1 or more, not 0"),
        ({"top_k": True}, "top_k must be an integer, 1 or more, not True"),
        ({"top_p": 0}, "top_p must be in 0 < p <= 1, not 0"),
        ({"top_p": 1.1}, "top_p must be in 0 < p <= 1, not 1.1"),
        ({"min_p": -0.1}, "min_p must be in 0 <= p <= 1, not -0.1"),
        ({"repetition_penalty": 0}, "repetition_penalty must be in 0 < x <= 1000, not 0"),
        (
            {"repetition_penalty": 1e9},
            "repetition_penalty must be in 0 < x <= 1000, not 1000000000.0",
        ),
        ({"stop": "."}, "stop must be a list of strings, not '.'"),
        ({"stop": None}, "stop must be a list of strings, not None"),
        ({"stop": [""]}, "stop must be strings of one character or more, not ''"),
        ({"stop": [1]}, "stop must be strings of one character or more, not 1"),
        ({"seed": -1}, "seed must be an integer, 0 or more, not -1"),
        ({"seed": 0.5}, "seed must be an integer, 0 or more, not 0.5"),
    ],
)
def test_impossible_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as error:
        SamplingOptions(**options)
    assert str(error.value) == message


def test_numpy_numbers_are_numbers() -> None:
    SamplingOptions(top_k=np.int64(3), top_p=np.float32(0.5), seed=np.int64(1))  # type: ignore[arg-type]


def test_keywords_are_stated_once() -> None:
    fields = {field.name: field.type for field in dataclasses.fields(SamplingOptions)}
    assert fields.pop("num_samples") == "int"
    keywords = SamplingKeywords.__annotations__
    assert {name: kind.__forward_arg__ for name, kind in keywords.items()} == fields
    documented = re.findall(r"^        (\w+): ", SamplingKeywords.__doc__ or "", re.MULTILINE)
    assert documented == list(keywords)


@pytest.mark.parametrize("method", ["sample", "sample_batch", "stream"])
def test_no_such_keyword(lm: LanguageModel, method: str) -> None:
    argument = ["the"] if method == "sample_batch" else "the"
    with pytest.raises(TypeError, match="unexpected keyword argument 'temprature'; there are max_"):
        getattr(lm, method)(argument, temprature=1)


def test_a_stream_is_one_sample(lm: LanguageModel) -> None:
    with pytest.raises(TypeError, match="'num_samples'"):
        lm.stream("the", num_samples=2)  # type: ignore[call-arg]
