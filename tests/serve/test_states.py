"""/v1/states: a decoder over HTTP sees what one in Python sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.runtime.model import LanguageModel
from lmscore.serve import Limits
from lmscore.serve.errors import ApiError
from lmscore.serve.store import StateStore
from tests.serve.conftest import Client, client_of


def best(log_probs: np.ndarray, k: int) -> list[dict[str, Any]]:
    order = np.argsort(-log_probs, kind="stable")[:k].tolist()
    return [{"token": token, "log_prob": float(log_probs[token])} for token in order]


@given(
    steps=st.lists(
        st.lists(st.tuples(st.integers(0, 9), st.integers(0, 59)), min_size=1, max_size=4),
        max_size=3,
    )
)
def test_branching_hypotheses(
    client: Client, lm_int8: LanguageModel, steps: list[list[tuple[int, int]]]
) -> None:
    (opened,) = client.post("/v1/states", prompt="the cat", k=3)["data"]
    step = lm_int8.engine.read(lm_int8.encode("the cat"))
    assert opened["top"] == best(step.log_probs[0], 3)
    ids, states = [opened["state"]], [step.state]
    for rows in steps:
        parents = [parent % len(ids) for parent, _ in rows]
        tokens = [token for _, token in rows]
        found = client.post(
            "/v1/states/step",
            states=[ids[parent] for parent in parents],
            tokens=tokens,
            targets=[[5, token] for token in tokens],
            k=2,
        )["data"]
        for one, parent, token in zip(found, parents, tokens, strict=True):
            log_probs, state = lm_int8.step([token], states[parent])
            assert one["top"] == best(log_probs[0], 2)
            assert one["targets"] == log_probs[0, [5, token]].tolist()
            ids.append(one["state"])
            states.append(state)
    assert len(set(ids)) == len(ids)
    assert client.post("/v1/states/drop", states=ids) == {"dropped": len(ids)}
    error = client.post("/v1/states/step", 404, states=ids[:1], tokens=[1])["error"]
    assert error["code"] == "no_state"


def test_several_prompts_and_replacement(client: Client, lm_int8: LanguageModel) -> None:
    first, second = client.post("/v1/states", prompt=["", "so"], k=1)["data"]
    assert first["top"] == best(lm_int8.engine.read([]).log_probs[0], 1)
    old = [first["state"], second["state"]]
    new = client.post("/v1/states/step", states=old, tokens=[4, 5], drop=True)["data"]
    client.post("/v1/states/step", 404, states=old, tokens=[4, 5])
    assert client.post("/v1/states/drop", states=[one["state"] for one in new])["dropped"] == 2


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"states": [], "tokens": []}, 400, "must have equal lengths, 1 or more"),
        ({"states": ["a"], "tokens": [1, 2]}, 400, "must have equal lengths"),
        ({"states": ["a"], "tokens": [60]}, 400, "token id 60"),
        ({"states": ["a"], "tokens": [1], "targets": [[60]]}, 400, "token id 60"),
        ({"states": ["a", "b"], "tokens": [1, 2], "targets": [[], [1]]}, 400, "same length"),
        ({"states": ["a"], "tokens": [1]}, 404, "no state 'a': it was dropped or forgotten"),
        ({"states": ["a"] * 9, "tokens": [1] * 9}, 422, "9 rows in one request: 8 at most"),
    ],
)
def test_errors(client: Client, body: dict[str, object], status: int, message: str) -> None:
    assert message in client.post("/v1/states/step", status, **body)["error"]["message"]


def test_the_number_of_states_is_bounded(lm_int8: LanguageModel) -> None:
    for client in client_of(("toy", lm_int8), limits=Limits(states=2)):
        (one,) = client.post("/v1/states")["data"]
        client.post("/v1/states")
        answer = client.http.post("/v1/states", json={})
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0
        client.post("/v1/states/step", 429, states=[one["state"]], tokens=[4])
        client.post("/v1/states/step", states=[one["state"]], tokens=[4], drop=True)


def test_repeated_states_make_no_room(lm_int8: LanguageModel) -> None:
    for client in client_of(("toy", lm_int8), limits=Limits(states=3)):
        (one,) = client.post("/v1/states")["data"]
        many = {"tokens": [4] * 4, "drop": True}
        client.post("/v1/states/step", 429, states=[one["state"]] * 4, **many)
        (*new,) = client.post(
            "/v1/states/step", states=[one["state"]] * 3, tokens=[4] * 3, drop=True
        )["data"]
        assert len(new) == 3


def test_room_is_promised_once(lm: LanguageModel) -> None:
    """Requests in progress do not share the last places."""
    store = StateStore(most=3, seconds=10)
    with store.room(2):
        store.check_room(1)
        with pytest.raises(ApiError, match="2 states are kept, and 3 at most"):
            store.check_room(2)
    store.add(lm.initial_state())
    with store.room(2), pytest.raises(ApiError), store.room(1):
        pass
    store.check_room(2)


def test_states_that_nobody_uses_are_forgotten(lm: LanguageModel) -> None:
    now = 0.0
    store = StateStore(most=3, seconds=10, clock=lambda: now)
    first, second = store.add(lm.initial_state()), store.add(lm.initial_state())
    now = 8
    store.use(first, "states[0]")
    now = 11
    assert len(store) == 1
    with pytest.raises(ApiError, match="dropped or forgotten"):
        store.use(second, "states[1]")
    now = 19
    assert len(store) == 0
