"""/v1/states: decoders elsewhere whose hypotheses live here, as states under ids.

A state is a value: a step makes a new one and leaves the old one as it was, so a hypothesis
branches by being stepped twice. States are bounded in number and time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from lmscore.runtime.engine import Row, State, Tensor, gather, read_prompts
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.text import Ids
from lmscore.serve.errors import ApiError
from lmscore.serve.prompts import check_ids, parse_prompts, read_apart
from lmscore.serve.requests import DropRequest, OpenRequest, StepRequest
from lmscore.serve.served import Limits, ServedModel


class Stepped(NamedTuple):
    """A hypothesis after a step."""

    state: State  # one row
    top_tokens: list[int]
    top_log_probs: list[float]  # nats
    target_log_probs: list[float]  # nats


class Item(NamedTuple):
    """A hypothesis, the token that it reads, and further tokens to score after it."""

    state: State
    token: int
    targets: tuple[int, ...] = ()


@dataclass(frozen=True)
class Stepping:
    """Hypotheses that read a token each; K targets are scored for each."""

    k: int
    K: int

    def run(self, lm: LanguageModel, items: Sequence[Item]) -> list[Stepped]:
        """All hypotheses in one step."""
        rows = [Row(item.state, 0) for item in items]
        tokens = np.array([item.token for item in items])
        targets = np.array([item.targets for item in items], np.int64).reshape(len(items), self.K)
        return _step(lm, rows, tokens, targets, self.k)


@dataclass(frozen=True)
class Opening:
    """Prompts that are read to their ends."""

    k: int

    def run(self, lm: LanguageModel, items: Sequence[Ids]) -> list[Stepped]:
        """The state after each prompt, <s> included."""
        rows = [read.row for read in read_prompts(lm.engine, items, k=None)]
        tokens = np.array([ids[-1] for ids in items])
        return _step(lm, rows, tokens, np.empty((len(items), 0), np.int64), self.k)


def _step(
    lm: LanguageModel, rows: Sequence[Row], tokens: Ids, targets: Ids, k: int
) -> list[Stepped]:
    state, parents = gather(rows)
    found = lm.engine.ranked(
        tokens[:, None], targets[:, None, :], state, k=min(k, lm.vocab_size), parents=parents
    )
    for log_probs in (found.top_log_probs, found.target_log_probs):
        lm.engine.check_finite(log_probs)
    columns: tuple[Tensor | Ids, ...] = (
        found.top_tokens[:, 0],
        found.top_log_probs[:, 0],
        found.target_log_probs[:, 0],
    )
    values = zip(*(column.tolist() for column in columns), strict=True)
    return [Stepped(found.state.select([row]), *each) for row, each in enumerate(values)]


async def open_states(model: ServedModel, body: OpenRequest, limits: Limits) -> dict[str, Any]:
    """States after prompts; raises ApiError, OptionError, InputError or ItemError."""
    model.lm.check_forward("a state")
    prompts = await read_apart(body.prompt, partial(parse_prompts, model, body.prompt))
    limits.check("tokens", sum(len(one.ids) for one in prompts), limits.tokens, param="prompt")
    ids = [one.ids for one in prompts]
    with model.states.room(len(ids)):
        found = await model.batcher.run(Opening(body.k), ids, list(map(len, ids)))
        return _answer(model, found)


async def step_states(model: ServedModel, body: StepRequest, limits: Limits) -> dict[str, Any]:
    """States after a token each; raises ApiError or ItemError."""
    count = len(body.states)
    targets = [()] * count if body.targets is None else list(map(tuple, body.targets))
    if count == 0 or not count == len(body.tokens) == len(targets):
        raise ApiError(
            400, "states, tokens (and targets) must have equal lengths, 1 or more", param="states"
        )
    widths = {len(row) for row in targets}
    if len(widths) > 1:
        raise ApiError(400, "every row of targets must have the same length", param="targets")
    limits.check("rows", count, limits.samples, param="states")
    for name, rows in (("tokens", [body.tokens]), ("targets", targets)):
        for row in rows:
            check_ids(model, row, name)
    items = [
        Item(model.states.use(name, f"states[{place}]"), token, row)
        for place, (name, token, row) in enumerate(
            zip(body.states, body.tokens, targets, strict=True)
        )
    ]
    dropped = len(set(body.states)) if body.drop else 0
    with model.states.room(count - dropped):
        found = await model.batcher.run(Stepping(body.k, widths.pop()), items, [1] * count)
        if body.drop:  # another request may have dropped some meanwhile
            model.states.check_room(dropped - model.states.drop(body.states))
        return _answer(model, found)


def drop_states(model: ServedModel, body: DropRequest) -> dict[str, Any]:
    """Forget states."""
    return {"dropped": model.states.drop(body.states)}


def _answer(model: ServedModel, found: Sequence[Stepped]) -> dict[str, Any]:
    data = [
        {
            "index": index,
            "state": model.states.add(one.state),
            "top": [
                {"token": token, "log_prob": log_prob}
                for token, log_prob in zip(one.top_tokens, one.top_log_probs, strict=True)
            ],
            "targets": one.target_log_probs,
        }
        for index, one in enumerate(found)
    ]
    return {"object": "list", "model": model.name, "data": data}
