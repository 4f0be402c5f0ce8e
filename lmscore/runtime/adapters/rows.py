"""Read tokens of several hypotheses in one batch; each hypothesis is a row of some state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lmscore.runtime.engine import Row, gather
from lmscore.runtime.model import LanguageModel


def read_rows(
    lm: LanguageModel, tokens: Sequence[int], rows: Sequence[Row]
) -> tuple[NDArray[np.float32], list[Row]]:
    """Let each of B hypotheses, rows of any states, read one token, all in one run.

    Returns:
        log_probs float32 [B, V] (nats) of the next token, and B rows of one new state.

    Raises:
        ModelError: the model yields nan or inf.
    """
    state, parents = gather(rows)
    log_probs, after = lm.engine.step(np.array(tokens), state, parents, checked=True)
    return log_probs, [Row(after, number) for number in range(len(rows))]


def read_next(
    lm: LanguageModel, texts: Sequence[Sequence[int]], parents: Sequence[Row | None]
) -> tuple[NDArray[np.float32], list[Row]]:
    """Let each hypothesis read its last token, or all of them if it has no parent.

    Args:
        lm: the model.
        texts: B, the ids of each hypothesis, without <s>; with a parent, the last is enough.
        parents: B, the row that has read all but the last id; None: it begins.

    Returns:
        log_probs float32 [B, V] (nats) of the next token, and the row of each.
    """
    known = [i for i, parent in enumerate(parents) if parent is not None]
    going_on = [parent for parent in parents if parent is not None]
    if len(known) == len(texts):
        return read_rows(lm, [text[-1] for text in texts], going_on)
    found: dict[int, Row] = {}
    log_probs = np.empty((len(texts), lm.vocab_size), np.float32)
    if known:
        log_probs[known], rows = read_rows(lm, [texts[i][-1] for i in known], going_on)
        found = dict(zip(known, rows, strict=True))
    read: dict[tuple[int, ...], int] = {}  # often all begin alike
    for i in sorted(set(range(len(texts))) - set(known)):
        first = read.setdefault(tuple(texts[i]), i)
        if first == i:
            log_probs[i], found[i] = read_beginning(lm, texts[i])
        else:
            log_probs[i], found[i] = log_probs[first], found[first]
    return log_probs, [found[i] for i in range(len(texts))]


def read_beginning(lm: LanguageModel, text: Sequence[int]) -> tuple[NDArray[np.float32], Row]:
    """Read <s> and the ids of a text; gives log_probs float32 [V] (nats) of the next token."""
    step = lm.engine.read(np.array(text, np.int64))
    return step.log_probs[0], Row(step.state, 0)
