"""Weights of mixtures, found by expectation maximisation."""

from __future__ import annotations

from math import exp, inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lmscore.errors import OptionError
from lmscore.runtime.rescoring.models.em import Floats, fit_to

LOG_PROBS = st.tuples(st.integers(1, 4), st.integers(1, 12)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.floats(-700, 0))
)


def perplexity(weights: Floats, log_probs: Floats) -> float:
    with np.errstate(divide="ignore"):
        mixed = np.logaddexp.reduce(log_probs + np.log(weights)[:, None], axis=0)
    return exp(-mixed.mean())


@given(LOG_PROBS)
def test_no_step_makes_the_text_less_probable(log_probs: Floats) -> None:
    fit = fit_to(log_probs)
    assert sum(fit.weights) == pytest.approx(1)
    assert min(fit.weights) >= 0
    logs = np.log(fit.perplexities)
    assert (np.diff(logs) <= 1e-9 * np.abs(logs[1:]) + 1e-12).all()
    equal = np.full(len(log_probs), 1 / len(log_probs))
    assert fit.perplexities[0] == pytest.approx(perplexity(equal, log_probs))
    assert fit.perplexities[-1] == pytest.approx(perplexity(np.array(fit.weights), log_probs))


@given(
    arrays(np.float64, (2, 20), elements=st.floats(-8, -0.1)),
    st.floats(0, 1),
)
def test_no_other_weights_are_better(log_probs: Floats, share: float) -> None:
    other = perplexity(np.array([share, 1 - share]), log_probs)
    assert fit_to(log_probs).perplexities[-1] <= other * (1 + 1e-4)


def test_it_recovers_the_mixture_that_made_the_text() -> None:
    random = np.random.default_rng(0)
    weights, models = np.array([0.6, 0.3, 0.1]), random.dirichlet(np.full(50, 0.3), 3)
    words = random.choice(50, 40_000, p=weights @ models)
    found = fit_to(np.log(models[:, words])).weights
    assert found == pytest.approx(weights, abs=0.02)


def test_one_step_by_hand() -> None:
    # The shares of equal weights in the two words are 4/5 and 1/5, 1/2 and 1/2.
    log_probs = np.log([[0.4, 0.3], [0.1, 0.3]])
    fit = fit_to(log_probs, tolerance=10)
    assert fit.weights == pytest.approx((0.65, 0.35))
    assert fit.perplexities == pytest.approx([(0.25 * 0.3) ** -0.5, (0.295 * 0.3) ** -0.5])


def test_a_model_that_is_always_better_gets_everything() -> None:
    fit = fit_to(np.array([[-1.0, -2.0, -800.0], [-3.0, -4.0, -1600.0]]))
    assert fit.weights == pytest.approx((1, 0), abs=1e-6)


def test_a_model_that_is_needed_once_keeps_a_weight() -> None:
    fit = fit_to(np.array([[-1.0] * 99 + [-inf], [-900.0] * 99 + [-1.0]]))
    assert fit.weights == pytest.approx((0.99, 0.01))
    assert fit.perplexities[-1] < inf


def test_impossible_words_are_left_out() -> None:
    fit = fit_to(np.array([[-1.0, -inf, -inf], [-inf, -inf, -1.0]]))
    assert (fit.weights, fit.num_words, fit.num_left_out) == ((0.5, 0.5), 2, 1)
    assert str(fit) == (
        "perplexity 5.44 (5.44 with equal weights) per word, </s> counted, of 2 words; 1 that no "
        "model knows left out"
    )


def test_one_model_takes_all() -> None:
    assert fit_to(np.array([[-1.0, -2.0]])).weights == (1.0,)


@pytest.mark.parametrize(
    ("log_probs", "message"),
    [
        (np.empty((0, 3)), "log-probabilities of at least one model"),
        (np.array([[nan]]), "log-probabilities of at least one model"),
        (np.array([[inf]]), "log-probabilities of at least one model"),
        (np.empty((2, 0)), "no words to fit the mixture to"),
        (np.array([[-inf], [-inf]]), "no words to fit the mixture to"),
    ],
)
def test_nothing_to_fit_to(log_probs: Floats, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        fit_to(log_probs)
