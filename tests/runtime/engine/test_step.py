"""One token per hypothesis, and a state that is a value."""

from __future__ import annotations

import numpy as np
import pytest

from lmscore.errors import InputError, OptionError
from lmscore.runtime.engine.state import State
from lmscore.runtime.model import LanguageModel

TOLERANCE = 1e-4  # nats per token, fp32


def test_step_in_a_batch_is_step_alone(lm: LanguageModel) -> None:
    tokens = np.array([1, 3, 4])
    _, state = lm.step(tokens, lm.initial_state(3))
    log_probs, after = lm.step([4, 3, 5], state)
    for row, token in enumerate([4, 3, 5]):
        alone, one = lm.step([token], state.select([row]))
        np.testing.assert_allclose(alone[0], log_probs[row], atol=TOLERANCE)
        np.testing.assert_allclose(one.tensors[0], after.select([row]).tensors[0], atol=1e-5)
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=1), 1, atol=1e-4)
    assert log_probs.dtype == np.float32
    assert log_probs.shape == (3, lm.vocab_size)


def test_parents_are_select(lm: LanguageModel) -> None:
    _, state = lm.step([1, 3, 4], lm.initial_state(3))
    log_probs, after = lm.step([5, 6], state, parents=[2, 0])
    expected, expected_after = lm.step([5, 6], state.select([2, 0]))
    np.testing.assert_array_equal(log_probs, expected)
    assert after == expected_after


def test_step_leaves_its_argument_alone(lm: LanguageModel) -> None:
    state = lm.initial_state(2)
    before = hash(state)
    _, after = lm.step([3, 4], state)
    assert hash(state) == before
    assert after != state
    assert not after.tensors[0].flags.writeable


@pytest.mark.parametrize(
    ("tokens", "rows", "parents", "message"),
    [
        ([999], 1, None, "tokens must lie in 0"),
        ([-1], 1, None, "tokens must lie in 0"),
        ([1, 2], 1, None, "state has 1 rows for 2 rows of tokens; give parents"),
        ([1], 2, [2], r"parents must lie in 0\.\.1"),
        ([1], 2, [-1], r"parents must lie in 0\.\.1"),
        ([], 1, None, "tokens must be"),
        ([[1]], 1, None, "tokens must be a list or 1-d array of integers"),
        ([0.5], 1, None, "tokens must be a list or 1-d array of integers"),
        ([1], 1, [0.0], "parents must be a list or 1-d array of integers"),
    ],
)
def test_step_errors(
    lm: LanguageModel, tokens: list[int], rows: int, parents: list[int] | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        lm.step(tokens, lm.initial_state(rows), parents)


def test_a_state_of_another_model_is_refused(lm: LanguageModel) -> None:
    strange = State((np.zeros((1, 1, 99), np.float32),))
    with pytest.raises(InputError, match="state"):
        lm.step([1], strange)


def test_an_initial_state_has_rows(lm: LanguageModel) -> None:
    assert len(lm.initial_state()) == 1
    assert len(lm.initial_state(3)) == 3
    with pytest.raises(OptionError, match="batch_size must be an integer, 1 or more, not 0"):
        lm.initial_state(0)
