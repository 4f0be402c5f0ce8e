"""Reading a prompt, and going on from it a token at a time: what every decoder is made of.

Letters in shapes: B hypotheses, S rows of the state they come from, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmscore.runtime.engine.batching import token_budget
from lmscore.runtime.engine.graph import Graph, State
from lmscore.runtime.text.tokenizer import Ids


@dataclass(frozen=True)
class Position:
    """Where hypotheses have got to, and what may come next."""

    log_probs: NDArray[np.float32]  # [B, V], nats, as the model gives them
    state: State  # of B rows


@dataclass(frozen=True)
class Top:
    """Where hypotheses have got to, and the K tokens that are likeliest next, best first."""

    log_probs: NDArray[np.float32]  # [B, K], nats
    tokens: Ids  # [B, K]; of equally likely ones the lower id comes first
    state: State  # of B rows


def read_prompt(graph: Graph, ids: Ids) -> Position:
    """Read <s> and the ids of a prompt of any length, int64 [n]; gives a position of one row."""
    config = graph.config
    inputs = np.concatenate([np.array([config.bos_token_id]), ids])[None]
    *start, last = np.split(inputs, _cuts(inputs.shape[1], token_budget(config)), axis=1)
    state = graph.initial_state(1)
    for chunk in start:
        state = tuple(graph.run(graph.state_outputs, chunk, state=state))
    return advance(graph, last[0], state, np.zeros(1, np.int64))


def advance(graph: Graph, tokens: Ids, state: State, parents: Ids) -> Position:
    """Let each hypothesis read one token.

    Args:
        graph: the model.
        tokens: int64 [B].
        state: S rows.
        parents: int64 [B], the row of `state` that each hypothesis goes on from.

    Raises:
        ModelError: the model yields nan or inf.
    """
    outputs = ["log_probs", *graph.state_outputs]
    log_probs, *following = graph.run(outputs, tokens[:, None], state=state, parents=parents)
    graph.check_finite(log_probs)
    return Position(log_probs[:, 0], tuple(following))


def advance_top(graph: Graph, tokens: Ids, state: State, parents: Ids, *, k: int) -> Top:
    """Like `advance`, but the k best tokens are chosen in the graph: no [B, V] is fetched."""
    outputs = ["top_log_probs", "top_tokens", *graph.state_outputs]
    log_probs, best, *following = graph.run(
        outputs, tokens[:, None], state=state, parents=parents, k=k
    )
    graph.check_finite(log_probs)
    return Top(log_probs[:, 0], best[:, 0], tuple(following))


def top_of(position: Position, k: int) -> Top:
    """The k best tokens of a position, chosen here: after a prompt, or under a constraint."""
    tokens = np.argsort(-position.log_probs, axis=1, kind="stable")[:, :k]
    return Top(np.take_along_axis(position.log_probs, tokens, axis=1), tokens, position.state)


def _cuts(length: int, budget: int) -> list[int]:
    """Where to cut `length` inputs: chunks within the budget, the last of a single token."""
    return [*range(budget, length - 1, budget), length - 1] if length > 1 else []
