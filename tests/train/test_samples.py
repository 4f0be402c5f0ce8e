"""parity.npz: what the network computes, row by row."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lmscore.bundle import MAX_COLUMNS, Bundle, Cell, Config, Parity
from lmscore.train.network import RecurrentLM
from lmscore.train.samples import make_parity
from tests.train.toy import toy_config, toy_corpus


def alone(network: RecurrentLM, inputs: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Log-probs [T, V] and the final state of one row."""
    with torch.no_grad():
        hidden, state = network(torch.from_numpy(inputs)[:, None], network.initial_state(1))
        return network.log_probs(hidden)[:, 0].numpy(), [part[:, 0].numpy() for part in state]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("lengths", [[1], [2, 1], [30] * 20, list(range(1, 300, 7))])
def test_rows_are_what_the_network_computes(cell: Cell, lengths: list[int]) -> None:
    network = RecurrentLM(toy_config(cell=cell, num_hidden_layers=2)).eval()
    parity = make_parity(network, toy_corpus(lengths))

    assert sorted(set(parity.lengths.tolist())) == [1, 2, 3, 5, 8, 13, 21]
    assert parity.columns.tolist() == list(range(30))
    for row, length in enumerate(parity.lengths):
        expected, state = alone(network, parity.inputs[row, :length])
        np.testing.assert_allclose(parity.log_probs[row, :length], expected, atol=1e-5)
        targets = expected[np.arange(length), parity.targets[row, :length]]
        np.testing.assert_allclose(parity.target_log_probs[row, :length], targets, atol=1e-5)
        for part, whole in zip(state, parity.final_state, strict=True):
            np.testing.assert_allclose(whole[:, row], part, atol=1e-5)


def test_a_large_vocabulary_keeps_some_columns() -> None:
    config: Config = toy_config(3000, hidden_size=2)
    parity = make_parity(RecurrentLM(config).eval(), toy_corpus([20] * 20, vocab=3000))
    assert len(parity.columns) == MAX_COLUMNS
    assert parity.columns[[0, -1]].tolist() == [0, 2999]
    assert parity.log_probs.shape[2] == MAX_COLUMNS


def test_the_held_out_sample_is_sentences(trained: Bundle) -> None:
    parity = Parity.load(trained)
    ends = parity.heldout_targets[np.arange(42), parity.heldout_lengths - 1]

    assert len(parity.heldout_inputs) == trained.config.training["valid"]["lines"]
    assert (parity.heldout_inputs[:, 0] == trained.config.bos_token_id).all()
    assert (ends == trained.config.eos_token_id).all()
    inside = np.arange(parity.heldout_inputs.shape[1]) < parity.heldout_lengths[:, None]
    total = parity.heldout_target_log_probs[inside].sum()
    assert total == pytest.approx(trained.config.training["valid"]["log_prob"], rel=1e-5)
