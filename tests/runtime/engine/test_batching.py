"""Batches, chunks and dropped rows against feeding each row alone, token by token."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lmscore.bundle import Config
from lmscore.errors import ModelError
from lmscore.runtime.engine.batching import (
    Boundaries,
    RowScores,
    TokenRows,
    log_sum,
    score_document,
    start_rows,
    token_rows,
)
from lmscore.runtime.engine.budget import token_budget
from lmscore.runtime.engine.engine import Engine
from lmscore.runtime.engine.graph import Graph
from lmscore.runtime.engine.state import State, Tensor
from lmscore.runtime.engine.workers import Workers
from lmscore.runtime.text import IdRows

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
    variant, device = "fp32", "cpu"

    def __init__(self) -> None:
        self.batches: list[tuple[int, int]] = []

    def check_ids(self, *arrays: NDArray[np.int64]) -> None:
        assert all(0 <= array.min(initial=0) <= array.max(initial=0) < 50 for array in arrays)

    def run(
        self,
        outputs: Sequence[str],
        tokens: NDArray[np.int64],
        *,
        state: tuple[Tensor, ...],
        targets: NDArray[np.int64],
        lengths: NDArray[np.int32],
        parents: NDArray[np.int64],
        k: int = 0,
        checked: bool = False,
    ) -> list[Tensor]:
        assert checked
        assert list(outputs) in (FETCHED, WHOLE)
        assert k == 0
        B, T = tokens.shape
        assert B >= 1
        assert targets.shape == (B, T, 1)
        assert lengths.dtype == np.int32
        assert 1 <= lengths.min() <= lengths.max() == T
        self.batches.append((B, T))
        h = state[0][:, parents]
        log_probs = np.full((B, T, 1), np.nan, np.float32)
        full = np.full((B, T, CONFIG.vocab_size), np.nan, np.float32)
        for t in range(T):
            reads = t < lengths
            h = np.where(reads[:, None], next_hash(h, tokens[:, t, None]), h)
            log_probs[reads, t] = fake_log_prob(h[0], targets[:, t])[reads]
            full[reads, t] = fake_log_probs(h[0])[reads]
        found = {"target_log_probs": log_probs, "next_h": h.astype(np.float32), "log_probs": full}
        return [found.get(name, np.empty((B, T, 0), np.float32)) for name in outputs]


def next_hash(h: Tensor, token: NDArray[np.int64]) -> Tensor:
    return ((h * 7 + token + 1) % 8191).astype(np.float32)


def fake_log_prob(h: Tensor, target: NDArray[np.int64]) -> Tensor:
    return (-(h * 3 + target) % 8191).astype(np.float32)


def fake_log_probs(h: Tensor) -> Tensor:
    """Of all tokens, [B, V], after the states h [B, 1]."""
    return (-(h * np.arange(1, 51) % 13)).astype(np.float32)


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


FETCHED = ["target_log_probs", "next_h"]
WHOLE = ["log_probs", "target_log_probs", "top_log_probs", "top_tokens", "next_h"]


def engine_of(graph: CountingGraph, on_one_core: CountingGraph | None = None) -> Engine:
    """An engine of one thread, or one whose batches are done by two workers."""
    workers = None if on_one_core is None else Workers(lambda: engine_of(on_one_core), 2)
    return Engine(cast(Graph, graph), workers=workers)


def score_rows(engine: Engine, rows: TokenRows, state: State, *, budget: int) -> RowScores:
    return start_rows(engine, rows, state, budget=budget).result()


def state_of(h: float) -> State:
    return State((np.full((1, 1, 1), h, np.float32),))


def rows_of(texts: list[NDArray[np.int64]], bos: int | None) -> TokenRows:
    before = np.array([] if bos is None else [bos], np.int64)
    return token_rows(IdRows.of(texts), before=IdRows.repeated(before, len(texts)), eos=2)


@given(st.lists(ids, min_size=1, max_size=12), bos_choices, st.integers(1, 200))
def test_batched_is_one_by_one(
    texts: list[NDArray[np.int64]], bos: int | None, budget: int
) -> None:
    graph, rows = CountingGraph(), rows_of(texts, bos)
    before = state_of(5)
    scores = score_rows(engine_of(graph), rows, before, budget=budget)
    assert scores.log_probs.dtype == scores.boundaries.dtype == np.float32
    assert scores.log_probs.tolist() == one_by_one(rows, 5, carry=False)[0]
    assert not scores.boundaries.any()
    assert max((B * T for B, T in graph.batches), default=0) <= budget


@given(st.lists(ids, min_size=1, max_size=12), bos_choices, st.integers(1, 200))
def test_document_carries_the_state(
    texts: list[NDArray[np.int64]], bos: int | None, budget: int
) -> None:
    graph, rows = CountingGraph(), rows_of(texts, bos)
    before = state_of(5)
    scores, after = score_document(engine_of(graph), rows, before, budget=budget)
    expected, h = one_by_one(rows, 5, carry=True)
    assert scores.log_probs.tolist() == expected
    assert after == state_of(h)
    assert before == state_of(5)


@given(st.lists(ids, min_size=1, max_size=6), st.integers(1, 90), st.data())
def test_boundaries_are_sums_over_the_full_distribution(
    texts: list[NDArray[np.int64]], budget: int, data: st.DataObject
) -> None:
    rows = rows_of(texts, 1)
    N = len(rows.inputs)
    at = np.array(data.draw(st.lists(st.booleans(), min_size=N, max_size=N)))
    tokens = np.array([2, 3, 5, 7, 40])
    engine = engine_of(CountingGraph())
    zero = state_of(0)
    plain = score_rows(engine, rows, zero, budget=budget)
    bounded = replace(rows, boundaries=Boundaries(at, tokens))
    scores = score_rows(engine, bounded, zero, budget=budget)
    assert scores.log_probs.tolist() == plain.log_probs.tolist()
    expected = np.zeros(N)
    for start, length in zip(rows.starts, rows.lengths, strict=True):
        h = np.zeros((1, 1), np.float32)
        for i in range(start, start + length):
            h = next_hash(h, rows.inputs[None, i : i + 1])
            if at[i]:
                expected[i] = np.log(np.exp(fake_log_probs(h)[0, tokens], dtype=np.float64).sum())
    assert scores.boundaries == pytest.approx(expected, abs=1e-5)
    document, _ = score_document(engine, bounded.joined(), zero, budget=budget)
    assert document.boundaries[: rows.lengths[0]] == pytest.approx(
        expected[: rows.lengths[0]], abs=1e-5
    )


def test_long_rows_are_fed_in_chunks_and_finished_rows_are_dropped() -> None:
    graph = CountingGraph()
    rows = rows_of([np.zeros(length - 1, np.int64) for length in (3, 200, 10, 100)], bos=1)
    score_rows(engine_of(graph), rows, state_of(0), budget=128)
    assert graph.batches == [(4, 32), (2, 64), (2, 64), (1, 40)]


def test_even_lengths_fill_the_budget() -> None:
    graph = CountingGraph()
    rows = rows_of([np.zeros(9, np.int64)] * 75, bos=1)
    score_rows(engine_of(graph), rows, state_of(0), budget=400)
    assert graph.batches == [(40, 10), (35, 10)]


def test_long_rows_share_their_runs_with_others() -> None:
    graph = CountingGraph()
    rows = rows_of([np.zeros(99, np.int64)] * 40, bos=1)
    score_rows(engine_of(graph), rows, state_of(0), budget=320)
    assert graph.batches == [(32, 10)] * 10 + [(8, 40), (8, 40), (8, 20)]


@given(st.lists(ids, min_size=1, max_size=12), bos_choices, st.integers(1, 60))
def test_workers_score_what_one_thread_does(
    texts: list[NDArray[np.int64]], bos: int | None, budget: int
) -> None:
    graph, on_one_core, rows = CountingGraph(), CountingGraph(), rows_of(texts, bos)
    before = state_of(5)
    engine = engine_of(graph, on_one_core)
    for _ in range(2):  # the second time, the workers are there
        scores = score_rows(engine, rows, before, budget=budget)
        assert scores.log_probs.tolist() == one_by_one(rows, 5, carry=False)[0]


def test_workers_that_are_there_share_a_few_rows() -> None:
    graph, on_one_core = CountingGraph(), CountingGraph()
    engine, rows = engine_of(graph, on_one_core), rows_of([np.zeros(9, np.int64)] * 16, bos=1)
    score_rows(engine, rows, state_of(0), budget=320)
    assert graph.batches == [(16, 10)]
    assert engine.workers is not None
    engine.workers.submit(lambda _: None).result()
    score_rows(engine, rows, state_of(0), budget=320)
    assert on_one_core.batches == [(8, 10), (8, 10)]


def test_what_fails_in_a_worker_is_raised_and_the_rest_is_left() -> None:
    class Failing(CountingGraph):
        def run(self, *args: object, **kwargs: object) -> list[Tensor]:
            self.batches.append((0, 0))
            raise ModelError("broken")

    failing = Failing()
    engine = engine_of(CountingGraph(), failing)
    rows = rows_of([np.zeros(9, np.int64)] * 4000, bos=1)
    with pytest.raises(ModelError, match="broken"):
        score_rows(engine, rows, state_of(0), budget=10)
    assert 1 <= len(failing.batches) < 4000


def test_scores_that_nobody_wants_any_more_are_not_computed() -> None:
    go_on = threading.Event()

    class Waiting(CountingGraph):
        def run(self, *args: Any, **kwargs: Any) -> list[Tensor]:
            assert go_on.wait(60)
            return super().run(*args, **kwargs)

    waiting = Waiting()
    engine = engine_of(CountingGraph(), waiting)
    rows = rows_of([np.zeros(9, np.int64)] * 50, bos=1)
    started = start_rows(engine, rows, state_of(0), budget=10)
    started.cancel()
    go_on.set()
    assert engine.workers is not None
    engine.workers.submit(lambda _: None).result()
    assert len({id(batch) for batch in waiting.batches}) <= 2 * 10  # those that two had begun


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


def test_what_is_read_before_a_text_may_differ() -> None:
    before = [np.array(row, np.int64) for row in ([1, 8], [], [1])]
    texts = [np.array(row, np.int64) for row in ([5], [6, 7], [])]
    rows = token_rows(IdRows.of(texts), before=IdRows.of(before), eos=2)
    assert rows.inputs.tolist() == [1, 8, 5, 6, 7, 1]
    assert rows.targets.tolist() == [8, 5, 2, 7, 2, 2]
    assert rows.lengths.tolist() == [3, 2, 1]


def test_budget_shrinks_as_the_vocabulary_grows() -> None:
    def budget(vocab_size: int) -> int:
        return token_budget(replace(CONFIG, vocab_size=vocab_size, hidden_size=512))

    assert budget(8_000) * 8_000 * 4 < 16 << 20
    assert budget(8_000) > 250
    assert budget(100) < 4_000
    assert budget(200_000) == budget(1 << 30) == 64


def test_the_probability_of_a_set_does_not_depend_on_the_rows_beside_it() -> None:
    random = np.random.default_rng(0)
    log_probs = np.log(random.dirichlet(np.full(500, 0.1), 40)).astype(np.float32).clip(-100)
    tokens = np.flatnonzero(random.random(500) < 0.7)
    together = log_sum(log_probs, tokens)
    alone = [log_sum(row[None], tokens)[0] for row in log_probs]
    assert together.tolist() == alone  # to the last bit
    expected = np.log(np.exp(log_probs[:, tokens].astype(float)).sum(axis=1))
    np.testing.assert_allclose(together, expected, rtol=1e-5, atol=1e-5)
