"""Token rows of any length through the graph, in batches of bounded size.

Rows of all lengths take one road: sorted by length, longest first, a batch of them advances in
chunks of time, and the rows that are not finished are always the first ones. So a finished row is
dropped, never fed with length 0, and a row of a million tokens takes no more memory in the graph
than many short ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lmscore.bundle import GATES, Config
from lmscore.runtime.graph import Graph
from lmscore.runtime.state import Tensor
from lmscore.runtime.tokenizer import Ids, check_text

_MAX_FLOATS = 8 << 20  # of the widest arrays in the graph: 32 MiB
_CHUNK = 64  # tokens of a long row at a time: the shorter, the more rows share a matrix product

_WINDOW_TEXTS = 1024  # enough to sort into batches of even length, few enough to answer soon
_WINDOW_CHARACTERS = 1 << 18


@dataclass(frozen=True)
class TokenRows:
    """Rows of inputs and the targets they predict, one after another in flat arrays."""

    inputs: Ids  # [N]
    targets: Ids  # [N]: targets[i] follows inputs[i]
    lengths: Ids  # [R], summing to N; 0 is legal: nothing is read

    @property
    def starts(self) -> Ids:
        """Where each row begins, int64 [R]."""
        return np.cumsum(self.lengths) - self.lengths

    def joined(self) -> TokenRows:
        """All rows as a single one: a document."""
        return TokenRows(self.inputs, self.targets, self.lengths.sum(keepdims=True))


def token_rows(texts: Sequence[Ids], *, bos: int | None, eos: int) -> TokenRows:
    """One row per text: reads [bos] + ids, predicts ids + [eos].

    Without `bos` the first id is read but not predicted, and an empty text is an empty row.
    """
    inputs: list[Ids] = []
    targets: list[Ids] = []
    begin, end = np.array([] if bos is None else [bos], np.int64), np.array([eos], np.int64)
    for ids in texts:
        inputs += (begin, ids)
        targets += (ids[1 - len(begin) :], end[: len(begin) + len(ids)])
    lengths = np.array([len(begin) + len(ids) for ids in texts], np.int64)
    return TokenRows(np.concatenate(inputs), np.concatenate(targets), lengths)


def token_budget(config: Config) -> int:
    """The tokens B * T of one graph run that keep its widest arrays at about 32 MiB each."""
    return max(1, _MAX_FLOATS // (config.vocab_size + GATES[config.cell] * config.hidden_size))


def score_rows(graph: Graph, rows: TokenRows, *, budget: int) -> Tensor:
    """The log-probability of every target, float32 [N] (nats); each row from the zero state."""
    log_probs = np.empty(len(rows.inputs), np.float32)
    for batch in _batches(rows.lengths, budget):
        _advance(graph, rows, batch, graph.initial_state(len(batch)), budget, log_probs)
    return log_probs


def score_document(
    graph: Graph, rows: TokenRows, state: tuple[Tensor, ...], *, budget: int
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Like `score_rows`, but each row goes on from where the one before it ended.

    Args:
        state: of one row, from which the first row goes on.

    Returns:
        The log-probabilities, and the state after the last row.
    """
    log_probs = np.empty(len(rows.inputs), np.float32)
    if len(rows.inputs):
        state = _advance(graph, rows.joined(), np.zeros(1, np.int64), state, budget, log_probs)
    return log_probs, state


def windows(texts: Iterable[str], size: int | None = None) -> Iterator[list[str]]:
    """Cut a stream of texts into lists of bounded size, none of them empty.

    Args:
        texts: the stream.
        size: texts in a list at most. Default: enough to sort into batches of even length.

    Raises:
        InputError: an item is not a string; says which.
    """
    size = size or _WINDOW_TEXTS
    window: list[str] = []
    characters = 0
    for number, text in enumerate(texts, 1):
        check_text(text, number)
        window.append(text)
        characters += len(text)
        if len(window) == size or characters >= _WINDOW_CHARACTERS:
            yield window
            window, characters = [], 0
    if window:
        yield window


def _batches(lengths: Ids, budget: int) -> Iterator[Ids]:
    """Row numbers, longest first, cut so that a first chunk of each batch fits the budget."""
    order = np.argsort(-lengths, kind="stable")
    order = order[: np.count_nonzero(lengths)]
    while len(order):
        size = max(1, budget // min(int(lengths[order[0]]), _CHUNK))
        yield order[:size]
        order = order[size:]


def _advance(
    graph: Graph,
    rows: TokenRows,
    batch: Ids,
    state: tuple[Tensor, ...],
    budget: int,
    log_probs: Tensor,
) -> tuple[Tensor, ...]:
    """Feed a batch to its end, chunk by chunk; write its log-probs in place.

    Args:
        batch: row numbers, longest first, none of them empty.
        state: one row per row of the batch.

    Returns:
        The state after the last chunk, of the rows that were in it.
    """
    starts, left = rows.starts[batch], rows.lengths[batch]
    while len(left):
        B, T = len(left), min(int(left[0]), max(1, budget // len(left)))
        steps = np.arange(T)
        inside = steps < left[:, None]  # [B, T]; padding reads the row's first position
        index = starts[:, None] + steps * inside
        chunk, *state_list = graph.run(
            ["target_log_probs", *(tensor.next for tensor in graph.config.state)],
            rows.inputs[index],
            state=state,
            targets=rows.targets[index][:, :, None],
            lengths=np.minimum(left, T).astype(np.int32),
            parents=np.arange(B),
        )
        log_probs[index[inside]] = chunk[:, :, 0][inside]
        state = tuple(state_list)
        going_on = np.count_nonzero(left > T)
        starts, left = starts[:going_on] + T, left[:going_on] - T
    return state
