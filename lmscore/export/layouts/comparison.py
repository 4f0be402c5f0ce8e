"""A layout's graph, run as its program runs it, beside the model's own, over all of parity.npz.

Letters in shapes: N sequences of parity.npz, T their tokens, V vocabulary, S one state in a row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import Parity
from lmscore.runtime.engine import Engine, State

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Array = NDArray[Any]


def compare(session: InferenceSession, layout: str, engine: Engine, parity: Parity) -> float:
    """The largest difference of a token's log-probability, in nats (offline: of a sequence's)."""
    run = {
        "sherpa-online": _online,
        "sherpa-offline": _offline,
        "rasr": _rasr,
        "rasr-scorer": _rasr_scorer,
        "triton": _triton,
    }[layout]
    return run(session, engine, parity.inputs, parity.lengths)


def _online(session: InferenceSession, engine: Engine, tokens: Array, lengths: Array) -> float:
    """By the position of inputs and outputs, one row and one token a run."""
    names, worst = [value.name for value in session.get_inputs()], 0.0
    shapes = [value.shape for value in session.get_inputs()[1:]]
    for row, length in zip(tokens, lengths, strict=True):
        states, state = [np.zeros(shape, np.float32) for shape in shapes], engine.initial_state()
        for token in row[:length]:
            feeds = dict(zip(names, [np.array([[token]], np.int64), *states], strict=True))
            found, *states = session.run(None, feeds)
            expected, state = engine.step([token], state)
            worst = max(worst, _distance(found.ravel(), expected[0]))
    return worst


def _offline(session: InferenceSession, engine: Engine, tokens: Array, lengths: Array) -> float:
    """Padded with 0, and a row without tokens."""
    given = np.array([0, *lengths[1:]], np.int64)
    rows = [list(row[:length]) for row, length in zip(tokens, given, strict=True)]
    x = np.zeros((len(rows), given.max()), np.int64)
    for index, row in enumerate(rows):
        x[index, : len(row)] = row
    (found,) = session.run(None, {"x": x, "x_lens": given})
    config = engine.config
    read = np.full((len(rows), x.shape[1] + 1), 0, np.int64)
    targets = np.zeros_like(read)
    for index, row in enumerate(rows):
        read[index, : len(row) + 1] = [config.bos_token_id, *row]
        targets[index, : len(row) + 1] = [*row, config.eos_token_id]
    counts = (given + 1).astype(np.int32)
    scores, _ = engine.targets(
        read, targets[:, :, None], engine.initial_state(len(rows)), lengths=counts
    )
    inside = np.arange(read.shape[1]) < counts[:, None]
    return _distance(found, -np.where(inside, scores[:, :, 0], 0).sum(axis=1))


def _rasr(session: InferenceSession, engine: Engine, tokens: Array, lengths: Array) -> float:
    """Padded rows in one run, then one token more from the state that came of it."""
    flat: Array = np.zeros((len(tokens), _state_size(session)), np.float32)
    feeds = {"word": tokens.astype(np.int32), "word-length": lengths, "state": flat}
    found, flat = session.run(None, feeds)
    expected = engine.distributions(tokens, engine.initial_state(len(tokens)), lengths=lengths)
    inside = np.arange(tokens.shape[1]) < lengths[:, None]
    worst = _distance(found[inside], expected.log_probs[inside])
    ones = np.ones_like(lengths)
    feeds = {"word": tokens[:, :1].astype(np.int32), "word-length": ones, "state": flat}
    after = engine.step(tokens[:, 0], expected.state)
    return max(worst, _distance(session.run(None, feeds)[0][:, 0], after.log_probs))


def _rasr_scorer(session: InferenceSession, engine: Engine, tokens: Array, lengths: Array) -> float:
    """Hypotheses that grow token by token, those that go on in one run."""
    rows = np.zeros((len(tokens), _state_size(session)), np.float32)
    state, worst = engine.initial_state(len(tokens)), 0.0
    for place in range(tokens.shape[1]):
        going = np.flatnonzero(lengths > place)
        feeds = {
            "token": tokens[going, place, None].astype(np.int32),
            "token-length": np.ones(len(going), np.int32),
            "prefix-length": np.full(len(going), place, np.int32),
            "state": rows[going],
        }
        scores, rows[going] = session.run(None, feeds)
        places = np.searchsorted(np.flatnonzero(lengths > place - 1), going)
        expected, state = engine.step(tokens[going, place], state.select(places))
        worst = max(worst, _distance(-scores[:, 0], expected))
    return worst


def _triton(session: InferenceSession, engine: Engine, tokens: Array, lengths: Array) -> float:
    """All rows in one run, then the longest two in turns, as the server batches sequences."""
    worst = 0.0
    rows: list[Array] = [np.zeros((1, _state_size(session)), np.float32)] * len(tokens)
    states: list[State] = [engine.initial_state()] * len(tokens)
    longest = np.argsort(-lengths)
    for place in range(tokens.shape[1]):
        going = [row for row in longest if lengths[row] > place]
        for batch in filter(None, (going, going[:1], going[1:2])):
            token = tokens[batch, place]
            feeds = {"token": token[:, None], "state": np.concatenate([rows[i] for i in batch])}
            found, after = session.run(None, feeds)
            expected = engine.step(token, State.concat([states[i] for i in batch]))
            worst = max(worst, _distance(found, expected.log_probs))
            for index, row in enumerate(batch):
                rows[row] = after[index : index + 1]
                states[row] = expected.state.select([index])
    return worst


def _state_size(session: InferenceSession) -> int:
    """S, where the state is the last input."""
    size: int = session.get_inputs()[-1].shape[1]
    return size


def _distance(found: Array, expected: Array) -> float:
    """The largest difference; infinite where shapes differ."""
    if found.shape != expected.shape:
        return float("inf")
    return float(np.max(np.abs(found - expected), initial=0.0))
