"""Every token is trained on once an epoch, in its context, and any batch can be gone back to."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmscore.bundle import Config
from lmscore.train import batches as batches_module
from lmscore.train.batches import PADDING, Batch, Batches, DocumentBatches, SentenceBatches
from lmscore.train.corpus import Corpus
from lmscore.train.evaluate import measure
from lmscore.train.network import RecurrentLM
from tests.train.toy import toy_config, toy_corpus

LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=40)


def rows_of(batches: Batches, epoch: int = 0) -> list[tuple[list[int], list[int]]]:
    """Inputs and targets of every row, pieces joined."""
    rows: list[tuple[list[int], list[int]]] = []
    for batch in batches.epoch(epoch):
        B = batch.inputs.size(1)
        if not batch.continues:
            rows += [([], []) for _ in range(B)]
        assert batch.num_tokens == int((batch.targets != PADDING).sum()) > 0
        for row in range(B):
            counted = batch.targets[:, row] != PADDING
            rows[len(rows) - B + row][0].extend(batch.inputs[:, row][counted].tolist())
            rows[len(rows) - B + row][1].extend(batch.targets[:, row][counted].tolist())
    return rows


def lines_of(corpus: Corpus) -> list[list[int]]:
    return [
        corpus.tokens[start:end].tolist()
        for start, end in zip(corpus.starts[:-1], corpus.starts[1:], strict=True)
    ]


def same(one: Batch, other: Batch) -> bool:
    return (
        torch.equal(one.inputs, other.inputs)
        and torch.equal(one.targets, other.targets)
        and (one.num_tokens, one.continues) == (other.num_tokens, other.continues)
    )


@given(lengths=LENGTHS, tokens=st.integers(1, 60), epoch=st.integers(0, 3))
def test_a_sentence_epoch_is_every_line_once(lengths: list[int], tokens: int, epoch: int) -> None:
    corpus = toy_corpus(lengths)
    batches = SentenceBatches(corpus, toy_config(), tokens=tokens, seed=1)
    rows = rows_of(batches, epoch)

    assert Counter(tuple(targets) for _, targets in rows) == Counter(map(tuple, lines_of(corpus)))
    assert all(inputs == [2, *targets[:-1]] for inputs, targets in rows)
    assert batches.tokens == sum(lengths)


@given(lengths=LENGTHS, tokens=st.integers(12, 60))
def test_a_batch_keeps_to_its_tokens(lengths: list[int], tokens: int) -> None:
    batches = SentenceBatches(toy_corpus(lengths), toy_config(), tokens=tokens, seed=1)
    assert all(batch.inputs.numel() <= tokens for batch in batches.epoch(0))


@given(lengths=LENGTHS, skip=st.integers(0, 30), longest=st.integers(2, 12))
def test_skipping_is_dropping(lengths: list[int], skip: int, longest: int) -> None:
    corpus = toy_corpus(lengths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches_module, "_LONGEST", longest)
        for batches in (
            SentenceBatches(corpus, toy_config(), tokens=20, seed=1),
            DocumentBatches(corpus, toy_config(context="document"), rows=3, bptt=4),
            DocumentBatches(corpus, toy_config(context="document"), rows=3, bptt=4, seed=1),
        ):
            whole, rest = list(batches.epoch(2)), list(batches.epoch(2, skip=skip))
            assert len(rest) == len(whole[skip:])
            assert all(map(same, rest, whole[skip:]))


def test_epochs_are_shuffled_and_repeatable() -> None:
    corpus = toy_corpus(range(1, 30))
    batches = SentenceBatches(corpus, toy_config(), tokens=20, seed=1)
    again = SentenceBatches(corpus, toy_config(), tokens=20, seed=1)
    other = SentenceBatches(corpus, toy_config(), tokens=20, seed=2)

    assert rows_of(batches, 0) == rows_of(again, 0)
    assert rows_of(batches, 0) != rows_of(batches, 1)
    assert rows_of(batches, 0) != rows_of(other, 0)


def test_some_lines_only() -> None:
    corpus = toy_corpus([3, 4, 5, 6])
    chosen = np.array([1, 3])
    batches = SentenceBatches(corpus, toy_config(), tokens=20, seed=None, lines=chosen)

    assert batches.tokens == 10
    assert sorted(len(targets) for _, targets in rows_of(batches)) == [4, 6]


def test_long_lines_in_pieces_give_the_loss_of_whole_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus, config = toy_corpus([1, 30, 29, 7, 23, 2]), toy_config()
    network = RecurrentLM(config)
    batches = SentenceBatches(corpus, config, tokens=60, seed=None)
    whole = measure(network, batches).mean
    monkeypatch.setattr(batches_module, "_LONGEST", 5)

    assert max(batch.inputs.size(0) for batch in batches.epoch(0)) == 5
    assert measure(network, batches).mean == pytest.approx(whole, rel=1e-6)


@given(
    lengths=LENGTHS,
    rows=st.integers(1, 6),
    bptt=st.integers(1, 9),
    seed=st.none() | st.integers(0, 9),
)
def test_a_document_is_read_in_tracks(
    lengths: list[int], rows: int, bptt: int, seed: int | None
) -> None:
    corpus = toy_corpus(lengths)
    config = toy_config(context="document")
    batches = DocumentBatches(corpus, config, rows=rows, bptt=bptt, seed=seed)
    tracks = rows_of(batches)
    stream = corpus.tokens.tolist()
    inputs = [token for row, _ in tracks for token in row]
    read = [token for _, row in tracks for token in row]

    assert 1 <= len(tracks) <= rows
    assert read == stream[: len(read)]
    assert len(stream) - len(read) < len(tracks)
    assert batches.tokens == len(read)
    # What a track reads is what stands one place further left, </s> before the first line.
    assert inputs == [config.eos_token_id, *read][:-1]
    assert [batch.continues for batch in batches.epoch(0)][:2] in ([False], [False, True])


def test_a_short_document_has_few_tracks() -> None:
    corpus = toy_corpus([10] * 10)
    config: Config = toy_config(context="document")
    tracks = rows_of(DocumentBatches(corpus, config, rows=64, bptt=35))
    assert [len(targets) for _, targets in tracks] == [50, 50]
    assert len(rows_of(DocumentBatches(toy_corpus([2]), config, rows=64, bptt=35))) == 1


def test_the_beginning_of_every_track() -> None:
    corpus = toy_corpus([10] * 10)
    config = toy_config(context="document")
    batches = DocumentBatches(corpus, config, rows=4, bptt=4, most_tokens=40)
    assert [len(targets) for _, targets in rows_of(batches)] == [10] * 4
    assert batches.tokens == 40


def test_lengths_drawn_around_bptt() -> None:
    config: Config = toy_config(context="document")
    batches = DocumentBatches(toy_corpus([10] * 20000), config, rows=1, bptt=70, seed=1)
    epochs = [[len(batch.inputs) for batch in batches.epoch(number)][:-1] for number in (0, 0, 1)]
    assert epochs[0] == epochs[1] != epochs[2]
    lengths = np.array(epochs[0])
    ordinary = lengths[lengths > 52]
    assert ordinary.mean() == pytest.approx(70, abs=1)
    assert ordinary.std() == pytest.approx(5, abs=0.6)
    assert lengths[lengths <= 52].mean() == pytest.approx(35, abs=3)
    assert (lengths <= 52).mean() == pytest.approx(0.05, abs=0.03)


@pytest.mark.parametrize("tokens", [2048, 1 << 15, 1 << 16])
def test_batches_of_any_size_have_little_padding(tokens: int) -> None:
    random = np.random.default_rng(0)
    lengths = np.clip(random.lognormal(3.1, 0.8, 150_000), 1, 250).astype(int)  # as of sentences
    corpus = toy_corpus(lengths.tolist())
    batches = list(SentenceBatches(corpus, toy_config(), tokens=tokens, seed=0).epoch(0))
    cells, used = sum(b.targets.numel() for b in batches), sum(b.num_tokens for b in batches)
    assert used == len(corpus.tokens)
    assert cells / used - 1 < 0.05


@given(lengths=LENGTHS, tokens=st.integers(1, 60))
def test_the_places_of_tokens(lengths: list[int], tokens: int) -> None:
    for batch in SentenceBatches(toy_corpus(lengths), toy_config(), tokens=tokens, seed=1).epoch(0):
        places = batch.places()
        assert len(places) == batch.num_tokens
        assert (batch.targets.flatten()[places] != PADDING).all()
        known = dataclasses.replace(batch, counted=places)
        assert known.places() is places
