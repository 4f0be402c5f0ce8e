"""What is seen of the inside of a network, against what is known by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from lmscore.bundle import CELLS, Cell
from lmscore.train import train
from lmscore.train.batches import PADDING, Batch
from lmscore.train.diagnosis import (
    dead_units,
    gradient_by_lag,
    gradient_norms,
    make_probe,
    recurrent_matrices,
)
from lmscore.train.loss import batch_loss
from lmscore.train.metrics import EVALUATED
from lmscore.train.network import RecurrentLM
from lmscore.train.workers import Workers
from tests.train.toy import toy_config, toy_corpus, toy_options


def batch(T: int = 5, B: int = 3) -> Batch:
    tokens = torch.randint(30, (T + 1, B), generator=torch.Generator().manual_seed(0))
    return Batch(tokens[:-1], tokens[1:], T * B, continues=False)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("tied", [True, False])
def test_the_parts_make_up_the_whole_norm(cell: Cell, tied: bool) -> None:
    config = toy_config(cell=cell, num_hidden_layers=2, tie_word_embeddings=tied, embedding_size=5)
    network = RecurrentLM(config)
    loss, _ = batch_loss(network, batch(), None, dtype=torch.float32)
    loss.backward()  # type: ignore[no-untyped-call]
    norms = gradient_norms(network)
    whole = float(torch.nn.utils.clip_grad_norm_(network.parameters(), 1e9))

    assert math.hypot(*norms.values()) == pytest.approx(whole, rel=1e-5)
    projection = ["projection"] if tied else []
    assert list(norms) == ["embedding", "layer_0", "layer_1", *projection, "output"]
    assert all(norm > 0 for norm in norms.values())


def test_units_that_never_move() -> None:
    network = RecurrentLM(toy_config(cell="rnn-tanh", num_hidden_layers=2))
    weights = dict(network.layers[1].named_parameters())
    with torch.no_grad():
        weights["bias_ih"][:6] = -1e3  # tanh is -1, whatever comes in
    example = batch()
    targets = example.targets.clone()
    targets[2:, 0] = PADDING
    _, outputs = batch_loss(network, example, None, dtype=torch.float32)
    first, second = dead_units(outputs, targets, Workers())
    assert first == 0
    assert second == 6 / 8
    # What stands behind the end of a row is not looked at.
    outputs.layers[1][2:, 0] = torch.rand(3, 8)
    assert dead_units(outputs, targets, Workers())[1] == 6 / 8


@pytest.mark.parametrize("rows", [0, 1])
def test_units_that_never_move_in_any_share(rows: int) -> None:
    """Of a batch of two rows, of which a worker has so many, or one that does not count."""
    network, example = RecurrentLM(toy_config(cell="rnn-tanh", num_hidden_layers=2)), batch()
    _, outputs = batch_loss(network, example, None, dtype=torch.float32)
    mine, others = example.targets.clone(), example.targets.clone()
    mine[:, rows:] = PADDING
    others[:, :rows] = PADDING
    said: list[torch.Tensor] = []  # by the other worker

    def say(values: torch.Tensor) -> torch.Tensor:
        said.append(values)
        return values

    dead_units(outputs, others, Mock(largest_of_each=say))
    together = Mock(largest_of_each=lambda values: torch.maximum(values, said.pop(0)))
    whole = dead_units(outputs, example.targets, Workers())
    assert dead_units(outputs, mine, together) == whole


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_gradients_vanish_and_explode(factor: float) -> None:
    network = RecurrentLM(toy_config(cell="rnn-relu", hidden_size=1))
    with torch.no_grad():
        for name, weight in network.layers[0].named_parameters():
            weight.fill_(factor if name == "weight_hh" else 1.0)
    lags = gradient_by_lag(network, batch(T=7))["h"]
    (norms,) = lags
    assert len(norms) == 6  # of the state before each token but the first
    ratios = np.array(norms[1:]) / np.array(norms[:-1])
    np.testing.assert_allclose(ratios, factor, rtol=1e-4)


@pytest.mark.parametrize("cell", CELLS)
def test_how_far_the_loss_reaches(cell: Cell) -> None:
    network = RecurrentLM(toy_config(cell=cell, num_hidden_layers=2)).train()
    found = gradient_by_lag(network, batch(T=4))
    assert list(found) == (list(CELLS[cell].state) if CELLS[cell].is_recurrent else [])
    assert all(np.shape(norms) == (2, 3) for norms in found.values())
    assert network.training
    assert all(weight.grad is None for weight in network.parameters())

    if cell == "lstm":  # by differences, for one unit of the state two tokens before
        assert found["h"][0][1] == pytest.approx(by_differences(network.eval(), batch(T=4)), 1e-2)


def by_differences(network: RecurrentLM, probe: Batch) -> float:
    """The mean norm of d loss / d h, layer 0, two tokens before the last one is read."""
    network = network.double()
    _, middle = network(probe.inputs[:2], tuple(x.double() for x in network.initial_state(3)))

    def losses(h: torch.Tensor) -> torch.Tensor:
        features, _ = network(probe.inputs[2:], (h, middle[1]))
        return -network.log_probs(features[-1]).gather(1, probe.targets[-1][:, None])[:, 0]

    norms = torch.zeros(3, dtype=torch.float64)
    with torch.no_grad():
        for unit in range(8):
            step = torch.zeros_like(middle[0])
            step[0, :, unit] = 1e-5
            norms += ((losses(middle[0] + step) - losses(middle[0] - step)) / 2e-5) ** 2
    return float(norms.sqrt().mean())


@pytest.mark.parametrize("context", ["sentence", "document"])
@pytest.mark.parametrize("lengths", [[1], [2, 1], [50] * 20, [3] * 40])
def test_the_probe_is_text(context: str, lengths: list[int]) -> None:
    corpus, config = toy_corpus(lengths), toy_config(context=context)  # type: ignore[arg-type]
    probe = make_probe(corpus, config)
    T, B = probe.inputs.shape
    assert 1 <= T <= 32
    assert (probe.inputs[0] == config.bos_token_id).all()
    assert torch.equal(probe.inputs[1:], probe.targets[:-1])
    text = " ".join(map(str, corpus.tokens.tolist()))
    for row in range(B):
        assert " ".join(map(str, probe.targets[:, row].tolist())) in text


def test_it_is_recorded(tmp_path: Path) -> None:
    bundle = train(toy_options(tmp_path, epochs=20, evaluations=2, layers=2, clip=0.01))
    lines = (bundle.path / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    update = next(record for record in records if EVALUATED not in record)
    assert update["clipping_rate"] == 1.0
    assert len(update["dead_units"]) == 2
    assert update["gradient_norms"]["layer_1"] > 0
    evaluation = next(record for record in records if EVALUATED in record)
    assert np.shape(evaluation["gradient_by_lag"]["c"]) == (2, 6)
    assert np.shape(evaluation["recurrent_norm"]) == (2, 4)
    assert np.shape(evaluation["recurrent_radius"]) == (2, 4)


def test_a_text_of_one_token_reaches_nothing() -> None:
    assert gradient_by_lag(RecurrentLM(toy_config()), batch(T=1)) == {"h": [], "c": []}


def test_recurrent_matrices() -> None:
    """A shear has the radius 1 and a norm above it, which is the golden ratio."""
    network = RecurrentLM(toy_config(cell="gru", hidden_size=2))
    with torch.no_grad():
        dict(network.layers[0].named_parameters())["weight_hh"].copy_(
            torch.cat([torch.eye(2) / 2, torch.tensor([[1.0, 1.0], [0.0, 1.0]]), torch.zeros(2, 2)])
        )
    found = recurrent_matrices(network)
    assert found["recurrent_radius"] == [pytest.approx([0.5, 1.0, 0.0], abs=1e-3)]
    assert found["recurrent_norm"] == [pytest.approx([0.5, (1 + 5**0.5) / 2, 0.0], abs=1e-3)]
    assert recurrent_matrices(RecurrentLM(toy_config(cell="window"))) == {}


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_recurrent_matrices_that_are_not_finite(value: float) -> None:
    """LAPACK ends the process for some of them."""
    network = RecurrentLM(toy_config())
    with torch.no_grad():
        dict(network.layers.named_parameters())["0.weight_hh"][0, 0] = value  # of the first gate
    for found in recurrent_matrices(network).values():
        assert [math.isnan(each) for each in found[0]] == [True, False, False, False]
