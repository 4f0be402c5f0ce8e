"""The network: one shared matrix, exact states, the initial values that matter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmscore.bundle import CELLS, FRESH, HEADS, WRITING, Cell, HeadSpec
from lmscore.train import cells as cells_module
from lmscore.train import network as network_module
from lmscore.train.cells import make_layer, start_from_identity
from lmscore.train.dropout import LockedDropout, Rates, drop_words
from lmscore.train.network import RecurrentLM
from tests.models import CELL_STEPS, WHOLE_STEPS, TorchModel
from tests.train.toy import head_config, toy_config


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("embedding", [None, 8, 5])
def test_weights_are_those_of_the_config(
    cell: Cell, layers: int, tied: bool, embedding: int | None
) -> None:
    config = toy_config(
        cell=cell, num_hidden_layers=layers, tie_word_embeddings=tied, embedding_size=embedding
    )
    network = RecurrentLM(config)
    shapes = {name: tuple(weight.shape) for name, weight in network.to_weights().items()}

    assert shapes == config.weight_shapes()
    # The tied matrix is one parameter, not two that look alike.
    assert sum(weight.numel() for weight in network.parameters()) == config.num_parameters


@pytest.mark.parametrize("spec", HEADS.values(), ids=lambda spec: spec.name)
@pytest.mark.parametrize("tied", [True, False])
def test_an_output_layer_is_a_distribution_and_its_loss(spec: HeadSpec, tied: bool) -> None:
    config = head_config(spec, tie_word_embeddings=tied, embedding_size=5)
    network = RecurrentLM(config)
    network.head.set_bias(torch.arange(30))
    shapes = {name: tuple(weight.shape) for name, weight in network.to_weights().items()}
    assert shapes == config.weight_shapes()
    assert sum(weight.numel() for weight in network.parameters()) == config.num_parameters

    draw = torch.Generator().manual_seed(0)
    features = torch.randn(9, config.output_dim, generator=draw)
    targets = torch.randint(30, (9,), generator=draw)
    with torch.no_grad():
        log_probs = network.log_probs(features)
        loss = network.head.loss(features, targets, torch.float32)
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(9))
    torch.testing.assert_close(loss, -log_probs.gather(1, targets[:, None]).sum())


def test_every_row_has_a_layer() -> None:
    assert list(network_module.HEADS) == [spec.name for spec in HEADS.values()]
    recurrent = {cell for cell, spec in CELLS.items() if spec.is_recurrent}
    assert set(cells_module._KERNELS) == {c for c in recurrent if CELLS[c].has_recurrent_matrix}
    assert {*CELL_STEPS, *WHOLE_STEPS} == recurrent


def test_tied_is_the_same_matrix() -> None:
    tied = RecurrentLM(toy_config())
    assert tied.head.matrix is tied.embedding.weight
    untied = RecurrentLM(toy_config(tie_word_embeddings=False))
    assert untied.head.matrix is not untied.embedding.weight


@pytest.mark.parametrize("cell", CELLS)
def test_weights_go_out_and_in(cell: Cell) -> None:
    config = toy_config(cell=cell, num_hidden_layers=2, tie_word_embeddings=False)
    one, other = RecurrentLM(config), RecurrentLM(config)
    other.load_weights(one.to_weights())
    tokens = torch.arange(12).reshape(6, 2)
    expected, _ = one(tokens, one.initial_state(2))

    torch.testing.assert_close(other(tokens, other.initial_state(2))[0], expected)


SHAPES: list[dict[str, Any]] = [
    {},
    {"num_hidden_layers": 3, "connections": "residual"},
    {"num_hidden_layers": 3, "connections": "highway", "embedding_size": 5},
    {"num_hidden_layers": 3, "connections": "dense"},
    {"num_hidden_layers": 2, "connections": "dense", "tie_word_embeddings": False},
    {"num_hidden_layers": 2, "embedding_size": 5},
    {"embedding_size": 11, "tie_word_embeddings": False},
    {"num_hidden_layers": 2, "learned_initial_state": True},
]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("shape", SHAPES)
def test_it_computes_what_the_papers_say(cell: Cell, shape: dict[str, Any]) -> None:
    config = toy_config(cell=cell, **shape)
    written_out = TorchModel(config, seed=3)
    network = RecurrentLM(config)
    network.load_weights({n: w.numpy() for n, w in written_out.weights().items()})
    draw = torch.Generator().manual_seed(0)
    tokens = torch.randint(30, (9, 4), generator=draw)
    state = tuple(torch.rand(t.shape(4), generator=draw) for t in config.cell_state)
    if config.has_phase:  # rows that have read nothing, and others
        state = (*state, torch.tensor([FRESH, WRITING, FRESH, WRITING])[None, :, None])
    features, after = network(tokens, state)
    log_probs, expected = written_out.score(tokens.T.numpy(), [part.numpy() for part in state])

    found = network.log_probs(features).transpose(0, 1).detach().numpy()
    np.testing.assert_allclose(found, log_probs, atol=1e-5)
    for one, other in zip(after, expected, strict=True):
        np.testing.assert_allclose(one.detach().numpy(), other, atol=1e-5)


def start_anywhere(network: RecurrentLM) -> None:
    """Give the learned initial state values as if it was learned."""
    assert network.initial is not None
    for part in network.initial.parameters():
        torch.nn.init.uniform_(part, -0.9, 0.9)


@given(
    cell=st.sampled_from(list(CELLS)),
    cut=st.integers(1, 6),
    layers=st.integers(1, 2),
    learned=st.booleans(),
)
def test_steps_are_the_sequence(cell: Cell, cut: int, layers: int, learned: bool) -> None:
    network = RecurrentLM(
        toy_config(cell=cell, num_hidden_layers=layers, learned_initial_state=learned)
    )
    if learned:
        start_anywhere(network)
    tokens = torch.arange(14).reshape(7, 2)
    whole, after = network(tokens, network.initial_state(2))
    first, state = network(tokens[:cut], network.initial_state(2))
    rest, final = network(tokens[cut:], state)

    assert [part.shape for part in after] == [t.shape(2) for t in network.config.state]
    torch.testing.assert_close(torch.cat([first, rest]), whole)
    torch.testing.assert_close(final, after)


@pytest.mark.parametrize("cell", CELLS)
def test_a_learned_state_is_that_of_fresh_rows_alone(cell: Cell) -> None:
    config = toy_config(cell=cell, num_hidden_layers=2)
    plain = RecurrentLM(config)
    network = RecurrentLM(replace(config, learned_initial_state=True))
    assert network.initial is not None
    zeros = {n: w for n, w in network.to_weights().items() if n.startswith("initial.")}
    network.load_weights({**plain.to_weights(), **zeros})
    tokens = torch.arange(6).reshape(3, 2)
    features, (*_, phase) = network(tokens, network.initial_state(2))
    torch.testing.assert_close(features, plain(tokens, plain.initial_state(2))[0])
    assert phase.flatten().tolist() == [WRITING, WRITING]

    start_anywhere(network)
    first = tuple(part.detach().expand(-1, 2, -1) for part in network.initial.parts)
    features, after = network(tokens, network.initial_state(2))
    torch.testing.assert_close(features, plain(tokens, first)[0])
    features.sum().backward()
    assert all(part.grad is not None and part.grad.any() for part in network.initial.parts)

    network.zero_grad()
    later = tuple(part.detach() for part in after)
    network(tokens, later)[0].sum().backward()
    assert not any(part.grad is not None and part.grad.any() for part in network.initial.parts)


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


RATES = [
    Rates(embedding=0.5),
    Rates(layers=0.5),
    Rates(output=0.5),
    Rates(words=0.5),
    Rates(weights=0.5),
]


@pytest.mark.parametrize("rates", RATES)
def test_dropout_is_for_training_only(rates: Rates) -> None:
    network = RecurrentLM(toy_config(num_hidden_layers=2), rates)
    tokens = torch.arange(24).reshape(6, 4)
    state = network.initial_state(4)
    network.eval()
    torch.testing.assert_close(network(tokens, state)[0], network(tokens, state)[0])
    network.train()
    assert not torch.equal(network(tokens, state)[0], network(tokens, state)[0])


def test_a_word_is_dropped_at_all_its_places() -> None:
    matrix = torch.rand(1000, 4)
    dropped = drop_words(matrix, 0.25)
    gone = (dropped == 0).all(1)
    assert 0.15 < gone.float().mean() < 0.35
    torch.testing.assert_close(dropped[~gone], matrix[~gone] / 0.75)
    assert drop_words(matrix, 0.0) is matrix


def test_recurrent_weights_are_dropped_and_the_others_scaled() -> None:
    torch.manual_seed(0)
    config = toy_config(cell="rnn-relu", embedding_size=1, hidden_size=64)
    layer = make_layer(config, 0, weight_drop=0.5)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.zero_()
        layer.get_parameter("weight_hh").fill_(1.0)
    hidden, _ = layer(torch.zeros(2, 1, 1), (torch.ones(1, 1, 64),))
    # A unit adds up the ones that are left, doubled, with the same mask at every step.
    mask = hidden[0, 0] / 2
    assert mask.unique().numel() > 5
    assert mask.mean().item() == pytest.approx(32, abs=3)
    layer.eval()
    assert layer(torch.zeros(1, 1, 1), (torch.ones(1, 1, 64),))[0].unique().item() == 64


def test_output_bias_starts_at_the_unigram_frequencies() -> None:
    network = RecurrentLM(toy_config(4))
    network.head.set_bias(torch.tensor([0, 7, 1, 0]))
    expected = torch.tensor([1 / 12, 8 / 12, 2 / 12, 1 / 12]).log()
    torch.testing.assert_close(network.head.bias.detach(), expected)


def test_an_lstm_remembers_by_default() -> None:
    weights = RecurrentLM(toy_config(num_hidden_layers=2)).to_weights()
    for layer in range(2):
        forget = weights[f"rnn.bias_ih_l{layer}"] + weights[f"rnn.bias_hh_l{layer}"]
        np.testing.assert_allclose(forget[8:16], np.ones(8), rtol=1e-6)


def test_a_coupled_lstm_remembers_what_it_does_not_take_in() -> None:
    weights = RecurrentLM(toy_config(cell="lstm-coupled")).to_weights()
    taken_in = weights["rnn.bias_ih_l0"] + weights["rnn.bias_hh_l0"]
    np.testing.assert_allclose(taken_in[:8], -np.ones(8), rtol=1e-6)


def test_from_identity_a_state_is_copied() -> None:
    network = RecurrentLM(toy_config(cell="rnn-relu"))
    start_from_identity(network.layers)
    state = torch.rand(1, 2, 8)
    _, (after,) = network(torch.zeros(100, 2, dtype=torch.int64), (state,))
    torch.testing.assert_close(after, state, atol=0.05, rtol=0)


def test_an_elman_network_starts_orthogonal() -> None:
    recurrent = RecurrentLM(toy_config(cell="rnn-relu")).to_weights()["rnn.weight_hh_l0"]
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(8), rtol=0, atol=1e-5)
