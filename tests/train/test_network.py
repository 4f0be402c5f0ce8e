"""The network: one shared matrix, exact states, the initial values that matter."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmscore.bundle import CELLS, Cell
from lmscore.train.network import LockedDropout, RecurrentLM
from tests.train.toy import toy_config


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("tied", [True, False])
def test_weights_are_those_of_the_config(cell: Cell, layers: int, tied: bool) -> None:
    config = toy_config(cell=cell, num_hidden_layers=layers, tie_word_embeddings=tied)
    network = RecurrentLM(config)
    shapes = {name: tuple(weight.shape) for name, weight in network.to_weights().items()}

    assert shapes == config.weight_shapes()
    # The tied matrix is one parameter, not two that look alike.
    assert sum(weight.numel() for weight in network.parameters()) == config.num_parameters


def test_tied_is_the_same_matrix() -> None:
    tied = RecurrentLM(toy_config())
    assert tied.output_matrix is tied.embedding.weight
    untied = RecurrentLM(toy_config(tie_word_embeddings=False))
    assert untied.output_matrix is not untied.embedding.weight


@pytest.mark.parametrize("cell", CELLS)
def test_weights_go_out_and_in(cell: Cell) -> None:
    config = toy_config(cell=cell, num_hidden_layers=2, tie_word_embeddings=False)
    one, other = RecurrentLM(config), RecurrentLM(config)
    other.load_weights(one.to_weights())
    tokens = torch.arange(12).reshape(6, 2)
    expected, _ = one(tokens, one.initial_state(2))

    torch.testing.assert_close(other(tokens, other.initial_state(2))[0], expected)


@given(cell=st.sampled_from(CELLS), cut=st.integers(1, 6), layers=st.integers(1, 2))
def test_steps_are_the_sequence(cell: Cell, cut: int, layers: int) -> None:
    network = RecurrentLM(toy_config(cell=cell, num_hidden_layers=layers))
    tokens = torch.arange(14).reshape(7, 2)
    whole, after = network(tokens, network.initial_state(2))
    first, state = network(tokens[:cut], network.initial_state(2))
    rest, final = network(tokens[cut:], state)

    assert [part.shape for part in after] == [t.shape(2) for t in network.config.state]
    torch.testing.assert_close(torch.cat([first, rest]), whole)
    torch.testing.assert_close(final, after)


def test_log_probs_sum_to_one() -> None:
    network = RecurrentLM(toy_config())
    hidden, _ = network(torch.zeros(3, 1, dtype=torch.int64), network.initial_state(1))
    torch.testing.assert_close(network.log_probs(hidden).exp().sum(-1), torch.ones(3, 1))


def test_locked_dropout_has_one_mask_for_all_times() -> None:
    dropout = LockedDropout(0.5)
    out = dropout(torch.ones(6, 4, 100))

    assert set(out.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(out, out[:1].expand_as(out))
    assert not torch.equal(out[:, 0], out[:, 1])
    assert 0.3 < (out == 0).float().mean() < 0.7


def test_dropout_is_for_training_only() -> None:
    network = RecurrentLM(toy_config(), dropout=0.5)
    tokens = torch.zeros(3, 2, dtype=torch.int64)
    state = network.initial_state(2)
    network.eval()
    torch.testing.assert_close(network(tokens, state)[0], network(tokens, state)[0])
    network.train()
    assert not torch.equal(network(tokens, state)[0], network(tokens, state)[0])


def test_output_bias_starts_at_the_unigram_frequencies() -> None:
    network = RecurrentLM(toy_config(4))
    network.set_output_bias(torch.tensor([0, 7, 1, 0]))
    expected = torch.tensor([1 / 12, 8 / 12, 2 / 12, 1 / 12]).log()
    torch.testing.assert_close(network.output_bias.detach(), expected)


def test_an_lstm_remembers_by_default() -> None:
    weights = RecurrentLM(toy_config(num_hidden_layers=2)).to_weights()
    for layer in range(2):
        forget = weights[f"rnn.bias_ih_l{layer}"] + weights[f"rnn.bias_hh_l{layer}"]
        torch.testing.assert_close(forget[8:16], torch.ones(8))


def test_an_elman_network_starts_orthogonal() -> None:
    recurrent = RecurrentLM(toy_config(cell="rnn-relu")).to_weights()["rnn.weight_hh_l0"]
    torch.testing.assert_close(recurrent @ recurrent.T, torch.eye(8), rtol=0, atol=1e-5)
