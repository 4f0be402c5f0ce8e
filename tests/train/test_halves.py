"""A network with an encoder against the same written step by step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmscore.bundle import READING, WRITING, Cell
from lmscore.train.dropout import Rates
from lmscore.train.network import RecurrentLM
from tests.export.conftest import ENCODERS, random_state, tiny_config
from tests.models import TorchModel

randoms = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def networks(cell: Cell) -> tuple[RecurrentLM, TorchModel]:
    reference = TorchModel(tiny_config(cell, **ENCODERS["an encoder"]), seed=1)
    network = RecurrentLM(reference.config).eval()
    network.load_weights({name: part.numpy() for name, part in reference.weights().items()})
    return network, reference


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 5), time=st.integers(1, 6), random=randoms)
@torch.no_grad()
def test_as_step_by_step(cell: Cell, rows: int, time: int, random: np.random.Generator) -> None:
    network, reference = networks(cell)
    config = network.config
    tokens = random.integers(0, config.vocab_size, (rows, time))
    state = random_state(config, rows, random)
    features, after = network(
        torch.from_numpy(tokens.T.copy()), tuple(map(torch.from_numpy, state))
    )
    expected, expected_after = reference.score(tokens, state)
    found = network.log_probs(features).transpose(0, 1).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-5)
    for part, wanted in zip(after, expected_after, strict=True):
        np.testing.assert_allclose(part.numpy(), wanted, atol=2e-5)


@torch.no_grad()
def test_phases() -> None:
    network, _ = networks("lstm")
    bos, eos = network.config.bos_token_id, network.config.eos_token_id
    state = network.initial_state(1)
    for token, phase in [
        (eos, READING),
        (3, READING),
        (eos, READING),
        (bos, WRITING),
        (4, WRITING),
    ]:
        _, state = network(torch.tensor([[token]]), state)
        assert float(state[-1]) == phase
    _, state = network(torch.tensor([[bos]]), network.initial_state(1))
    assert float(state[-1]) == WRITING


def test_gradients_reach_both_halves() -> None:
    network, _ = networks("lstm")
    bos, eos = network.config.bos_token_id, network.config.eos_token_id
    tokens = torch.tensor([[eos, 3, bos, 4], [bos, 4, 5, 3]]).T  # the second row has no first text
    features, _ = network(tokens, network.initial_state(2))
    assert not features[:2, 0].any()
    assert features[:, 1].any(-1).all()
    features[3].sum().backward()
    assert network.encoder is not None
    # What lies past the encoder's last layer changes no state, and so nothing.
    for part in (*network.layers.parameters(), *network.encoder.layers.parameters()):
        assert part.grad is not None
        assert part.grad.any()


@torch.no_grad()
def test_dropout_of_recurrent_weights_reaches_both_halves() -> None:
    config = tiny_config("lstm", **ENCODERS["an encoder"])
    network = RecurrentLM(config, Rates(weights=0.5))
    bos, eos = config.bos_token_id, config.eos_token_id
    for first in (eos, bos):  # read by the encoder, and by the other layers
        tokens = torch.tensor([[first, 3, 4, 5]]).T
        states = [network(tokens, network.initial_state(1))[1][0] for _ in range(2)]
        assert not torch.equal(*states)
    network.eval()
    states = [network(tokens, network.initial_state(1))[1][0] for _ in range(2)]
    assert torch.equal(*states)
