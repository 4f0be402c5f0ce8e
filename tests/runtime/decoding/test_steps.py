"""What decoders are made of, held against `LanguageModel.step`."""

from __future__ import annotations

import numpy as np
import pytest

from lmscore.errors import ModelError
from lmscore.runtime.decoding import steps
from lmscore.runtime.decoding.steps import advance, advance_top, read_prompt, top_of
from lmscore.runtime.model import LanguageModel


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 7])
@pytest.mark.parametrize("budget", [1, 3, 1000])
def test_a_prompt_of_any_length(
    lm: LanguageModel, monkeypatch: pytest.MonkeyPatch, length: int, budget: int
) -> None:
    monkeypatch.setattr(steps, "token_budget", lambda _: budget)
    ids = np.arange(3, 3 + length)
    state = lm.initial_state()
    for token in [lm.config.bos_token_id, *ids.tolist()]:
        log_probs, state = lm.step([token], state)
    position = read_prompt(lm._graph, ids)
    np.testing.assert_allclose(position.log_probs, log_probs, atol=1e-5)
    for found, expected in zip(position.state, state.tensors, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("k", [1, 5, 60])
def test_the_best_are_the_same_wherever_they_are_chosen(lm: LanguageModel, k: int) -> None:
    state = read_prompt(lm._graph, np.array([3, 4])).state
    tokens, parents = np.array([5, 6, 7]), np.zeros(3, np.int64)
    here = top_of(advance(lm._graph, tokens, state, parents), k)
    there = advance_top(lm._graph, tokens, state, parents, k=k)
    np.testing.assert_array_equal(here.tokens, there.tokens)
    np.testing.assert_array_equal(here.log_probs, there.log_probs)
    for ours, theirs in zip(here.state, there.state, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_log_probs_that_are_not_finite(lm: LanguageModel) -> None:
    broken = tuple(tensor * np.float32(np.nan) for tensor in lm._graph.initial_state(1))
    for step in (advance, lambda *args: advance_top(*args, k=3)):
        with pytest.raises(ModelError, match=r"model\.onnx: yields .* not finite"):
            step(lm._graph, np.array([1]), broken, np.array([0]))
