"""Prompts that are read together: as if each were alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lmscore.errors import InputError
from lmscore.runtime.engine import read_prompts
from lmscore.runtime.model import LanguageModel

IDS = st.lists(st.integers(0, 59), max_size=12)


@given(
    rows=st.lists(IDS, min_size=1, max_size=6), k=st.sampled_from([0, 3]), budget=st.integers(1, 40)
)
@example(rows=[[]], k=0, budget=1)
@example(rows=[[], [4, 5], []], k=3, budget=1)
def test_each_as_if_alone(
    lm_int8: LanguageModel, rows: list[list[int]], k: int, budget: int
) -> None:
    engine, bos = lm_int8.engine, lm_int8.config.bos_token_id
    prompts = [np.array([bos, *ids]) for ids in rows]
    found = read_prompts(engine, prompts, k=k, budget=budget)
    unscored = read_prompts(engine, prompts, k=None, budget=budget)
    for ids, read, plain in zip(prompts, found, unscored, strict=True):
        n = len(ids) - 1
        assert read.log_probs.shape == (n,)
        assert read.top_log_probs.shape == read.top_tokens.shape == (n, k)
        assert plain.log_probs.shape == (0,)
        state = engine.initial_state()
        for place in range(n):
            step = engine.step(ids[place : place + 1], state)
            state = step.state
            assert read.log_probs[place] == step.log_probs[0, ids[place + 1]]
            best = np.argsort(-step.log_probs[0], kind="stable")[:k]
            assert read.top_tokens[place].tolist() == best.tolist()
            assert read.top_log_probs[place].tolist() == step.log_probs[0, best].tolist()
        for one in (read, plain):
            assert one.row.state.select([one.row.number]) == state


def test_ids_outside_the_vocabulary(lm: LanguageModel) -> None:
    with pytest.raises(InputError, match="tokens"):
        read_prompts(lm.engine, [np.array([1, 60, 2])], k=1)
