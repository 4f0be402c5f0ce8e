"""Choices: which of several candidates fits best into a context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmscore.errors import InputError
from lmscore.runtime.engine import (
    Engine,
    State,
    reading_order,
    score_document,
    score_shared,
    token_rows,
)
from lmscore.runtime.text import IdRows, Ids, TextTokenizer, check_text


@dataclass(frozen=True, slots=True)
class Choice:
    """A candidate in its context."""

    text: str  # the candidate
    number: int  # of the candidate, from 0
    log_prob: float  # nats, of the whole text with this candidate, </s> included
    probability: float  # of the candidate among all candidates, given the context


def candidate_texts(left: str, candidates: Sequence[str], right: str) -> list[str]:
    """The text with each candidate.

    Raises:
        InputError: there is no candidate, or a text is not a string.
    """
    given: object = candidates
    if isinstance(given, str) or not isinstance(given, Sequence) or not given:
        raise InputError(f"expected a list of at least one candidate, got {given!r}")
    for name, one in (("left", left), ("right", right)):
        check_text(one, 1, name)
    for number, candidate in enumerate(candidates, 1):
        check_text(candidate, number, "candidate")
    return [left + candidate + right for candidate in candidates]


def choose_among(
    engine: Engine, tokenizer: TextTokenizer, left: str, candidates: Sequence[str], right: str
) -> list[Choice]:
    """The candidates, best first; see `LanguageModel.choose`.

    The texts are read as a prefix tree: what all of them begin with comes first, and from there on
    texts that begin alike are read together as far as they do.
    """
    texts = candidate_texts(left, candidates, right)
    config = engine.config
    ids = reading_order(tokenizer.encode_rows(texts, name="candidate"), config).split()
    shared = _shared(ids)
    begin = np.array([config.bos_token_id], np.int64)
    log_prob, state = _read(engine, begin, ids[0][:shared])
    last = np.concatenate((begin, ids[0][:shared]))[-1:]
    rests = IdRows.of([row[shared:] for row in ids])
    before = IdRows.repeated(last, len(ids))
    rows = token_rows(rests, before=before, eos=config.eos_token_id)
    parents = np.zeros(len(ids), np.int64)
    log_probs, _ = score_shared(engine, rows, state, parents, method="auto")
    owners = np.repeat(np.arange(len(texts)), rows.lengths)
    after = np.bincount(owners, log_probs, len(texts))
    engine.check_finite(after)
    total = after + log_prob
    weights = np.exp(total - total.max())
    order = np.argsort(-total, kind="stable").tolist()
    chances = (weights / weights.sum()).tolist()
    return [Choice(candidates[i], i, float(total[i]), chances[i]) for i in order]


def _shared(rows: Sequence[Ids]) -> int:
    """The number of tokens with which all rows begin."""
    shortest = min(map(len, rows))
    first = np.stack([row[:shortest] for row in rows])
    differs = (first != first[0]).any(axis=0)
    return int(differs.argmax()) if differs.any() else shortest


def _read(engine: Engine, begin: Ids, ids: Ids) -> tuple[float, State]:
    """The log-probability of tokens after <s> (nats), and the state before the last of all."""
    if not len(ids):
        return 0.0, engine.initial_state()
    rows = token_rows(IdRows.of([ids[:-1]]), before=IdRows.of([begin]), eos=int(ids[-1]))
    found, state = score_document(engine, rows, engine.initial_state())
    return float(found.log_probs.sum(dtype=np.float64)), state
