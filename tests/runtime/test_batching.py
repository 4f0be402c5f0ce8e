"""Batches, chunks and dropped rows against feeding each row alone, token by token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lmscore.bundle import Config
from lmscore.errors import InputError
from lmscore.runtime import batching
from lmscore.runtime.batching import (
    TokenRows,
    score_document,
    score_rows,
    token_budget,
    token_rows,
    windows,
)
from lmscore.runtime.graph import Graph
from lmscore.runtime.state import Tensor

CONFIG = Config(
    cell="gru",
    vocab_size=50,
    hidden_size=1,
    num_hidden_layers=1,
    tie_word_embeddings=True,
    bos_token_id=1,
    eos_token_id=2,
    unk_token_id=0,
    context="sentence",
    tokenizer="word",
    tokenizer_sha256="",
)


class CountingGraph:
    """Exact arithmetic in the place of a network: the state is a hash of all tokens so far."""

    config = CONFIG

    def __init__(self) -> None:
        self.batches: list[tuple[int, int]] = []

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        return (np.zeros((1, batch_size, 1), np.float32),)

    def run(
        self,
        outputs: Sequence[str],
        tokens: NDArray[np.int64],
        *,
        state: tuple[Tensor, ...],
        targets: NDArray[np.int64],
        lengths: NDArray[np.int32],
        parents: NDArray[np.int64],
    ) -> list[Tensor]:
        assert list(outputs) == ["target_log_probs", "next_h"]
        B, T = tokens.shape
        assert B >= 1
        assert targets.shape == (B, T, 1)
        assert lengths.dtype == np.int32
        assert 1 <= lengths.min() <= lengths.max() == T
        self.batches.append((B, T))
        h = state[0][:, parents]
        log_probs = np.full((B, T, 1), np.nan, np.float32)
        for t in range(T):
            reads = t < lengths
            h = np.where(reads[:, None], next_hash(h, tokens[:, t, None]), h)
            log_probs[reads, t] = fake_log_prob(h[0], targets[:, t])[reads]
        return [log_probs, h.astype(np.float32)]


def next_hash(h: Tensor, token: NDArray[np.int64]) -> Tensor:
    return ((h * 7 + token + 1) % 8191).astype(np.float32)


def fake_log_prob(h: Tensor, target: NDArray[np.int64]) -> Tensor:
    return (-(h * 3 + target) % 8191).astype(np.float32)


def one_by_one(rows: TokenRows, h: float, *, carry: bool) -> tuple[list[float], float]:
    """The reference: plain Python over each row."""
    log_probs, first = [], h
    for start, length in zip(rows.starts, rows.lengths, strict=True):
        h = h if carry else first
        for i in range(start, start + length):
            h = (h * 7 + int(rows.inputs[i]) + 1) % 8191
            log_probs.append(-(h * 3 + int(rows.targets[i])) % 8191)
    return log_probs, h


ids = st.lists(st.integers(0, 49), max_size=30).map(lambda row: np.array(row, np.int64))
bos_choices = st.sampled_from([None, 1])


def rows_of(texts: list[NDArray[np.int64]], bos: int | None) -> TokenRows:
    return token_rows(texts, bos=bos, eos=2)


@given(st.lists(ids, min_size=1, max_size=12), bos_choices, st.integers(1, 200))
def test_batched_is_one_by_one(
    texts: list[NDArray[np.int64]], bos: int | None, budget: int
) -> None:
    graph, rows = CountingGraph(), rows_of(texts, bos)
    log_probs = score_rows(cast(Graph, graph), rows, budget=budget)
    assert log_probs.dtype == np.float32
    assert log_probs.tolist() == one_by_one(rows, 0, carry=False)[0]
    assert max((B * T for B, T in graph.batches), default=0) <= budget


@given(st.lists(ids, min_size=1, max_size=12), bos_choices, st.integers(1, 200))
def test_document_carries_the_state(
    texts: list[NDArray[np.int64]], bos: int | None, budget: int
) -> None:
    graph, rows = CountingGraph(), rows_of(texts, bos)
    before = (np.full((1, 1, 1), 5, np.float32),)
    log_probs, (after,) = score_document(cast(Graph, graph), rows, before, budget=budget)
    expected, h = one_by_one(rows, 5, carry=True)
    assert log_probs.tolist() == expected
    assert after.tolist() == [[[h]]]
    assert before[0].tolist() == [[[5]]]


def test_long_rows_are_fed_in_chunks_and_finished_rows_are_dropped() -> None:
    graph = CountingGraph()
    rows = rows_of([np.zeros(length - 1, np.int64) for length in (3, 200, 10, 100)], bos=1)
    score_rows(cast(Graph, graph), rows, budget=128)
    assert graph.batches == [(2, 64), (2, 64), (1, 72), (2, 10)]


def test_even_lengths_fill_the_budget() -> None:
    graph = CountingGraph()
    rows = rows_of([np.zeros(9, np.int64)] * 25, bos=1)
    score_rows(cast(Graph, graph), rows, budget=100)
    assert graph.batches == [(10, 10), (10, 10), (5, 10)]


@pytest.mark.parametrize(
    ("bos", "inputs", "targets", "lengths"),
    [
        (1, [1, 5, 6, 1, 1, 7], [5, 6, 2, 2, 7, 2], [3, 1, 2]),
        (None, [5, 6, 7], [6, 2, 2], [2, 0, 1]),
    ],
)
def test_token_rows_by_hand(
    bos: int | None, inputs: list[int], targets: list[int], lengths: list[int]
) -> None:
    rows = rows_of([np.array(row, np.int64) for row in ([5, 6], [], [7])], bos)
    assert rows.inputs.tolist() == inputs
    assert rows.targets.tolist() == targets
    assert rows.lengths.tolist() == lengths
    assert rows.starts.tolist() == np.cumsum([0, *lengths[:-1]]).tolist()
    assert rows.joined().lengths.tolist() == [sum(lengths)]


def test_budget_shrinks_as_the_vocabulary_grows() -> None:
    def budget(vocab_size: int) -> int:
        return token_budget(
            Config(**{**vars(CONFIG), "vocab_size": vocab_size, "hidden_size": 512})
        )

    assert budget(8_000) * 8_000 * 4 < 64 << 20
    assert budget(8_000) > 500
    assert budget(100) < 8_000
    assert budget(200_000) * 200_000 * 4 < 64 << 20
    assert budget(1 << 30) == 1


@given(st.lists(st.text(max_size=5)), st.integers(1, 4), st.integers(1, 12))
def test_windows_keep_everything_in_order(texts: list[str], count: int, characters: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batching, "_WINDOW_TEXTS", count)
        patch.setattr(batching, "_WINDOW_CHARACTERS", characters)
        cut = list(windows(texts))
    assert [text for window in cut for text in window] == texts
    assert all(1 <= len(window) <= count for window in cut)
    assert all(sum(map(len, window[:-1])) < characters for window in cut)


def test_windows_read_no_further_than_they_must() -> None:
    def endless() -> Iterator[str]:
        while True:
            yield "x" * 1000

    assert sum(map(len, next(windows(endless())))) <= 1 << 19


def test_windows_refuse_what_is_no_string() -> None:
    with pytest.raises(InputError, match="text 2: expected a string, got bytes"):
        list(windows(["a", b"b"]))  # type: ignore[list-item]
