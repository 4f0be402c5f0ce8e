"""Penalties against what their papers' formulas give by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from lmscore.train.batches import PADDING, Batch
from lmscore.train.loss import batch_loss
from lmscore.train.network import RecurrentLM
from lmscore.train.penalties import Penalties, activation, smoothing, temporal_activation
from tests.train.toy import toy_config


def test_activation() -> None:
    dropped = torch.tensor([[[1.0, 3.0]], [[0.0, -2.0]], [[100.0, 100.0]]])  # [T, B, H]
    counted = torch.tensor([[True], [True], [False]])
    assert activation(dropped, counted).item() == (1 + 9) / 2 + (0 + 4) / 2


def test_temporal_activation() -> None:
    hidden = torch.tensor([[[1.0, 3.0]], [[0.0, -2.0]], [[100.0, 100.0]]])
    counted = torch.tensor([[True], [True], [False]])
    assert temporal_activation(hidden, counted).item() == (1 + 25) / 2
    assert temporal_activation(hidden[:1], counted[:1]).item() == 0


def test_no_change_from_the_first_text_of_a_pair_to_the_second() -> None:
    hidden = torch.tensor([[[0.0, 0.0]], [[1.0, 3.0]], [[0.0, -2.0]]])  # an encoder yields zeros
    counted = torch.tensor([[False], [True], [True]])
    assert temporal_activation(hidden, counted).item() == (1 + 25) / 2


@given(share=st.floats(0, 0.9), tied=st.booleans(), seed=st.integers(0, 1 << 16))
def test_smoothing_is_cross_entropy_with_smoothed_targets(
    share: float, tied: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    network = RecurrentLM(toy_config(11, tie_word_embeddings=tied))
    network.head.set_bias(torch.arange(11))
    features, targets = torch.randn(6, 8, requires_grad=True), torch.randint(11, (6,))
    logits = F.linear(features, network.head.matrix, network.head.bias)
    plain = F.cross_entropy(logits, targets, reduction="sum")
    found = plain + smoothing(features, network, targets, share)
    expected = F.cross_entropy(logits, targets, reduction="sum", label_smoothing=share)

    torch.testing.assert_close(found, expected)
    inputs = (features, network.head.matrix, network.head.bias)
    for got, wanted in zip(
        torch.autograd.grad(found, inputs, retain_graph=True),
        torch.autograd.grad(expected, inputs),
        strict=True,
    ):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


def test_padding_is_not_penalised() -> None:
    network = RecurrentLM(toy_config())
    penalties = Penalties(activation=2.0, temporal=3.0, smoothing=0.1)
    tokens = torch.tensor([[3, 4], [5, 6], [7, 8]])
    padded = torch.tensor([[5, 6], [7, 8], [9, PADDING]])
    together = 0.0
    for row, length in ((0, 3), (1, 2)):
        batch = Batch(tokens[:length, [row]], padded[:length, [row]], length, continues=False)
        _, outputs = batch_loss(network, batch, None, dtype=torch.float32)
        together += penalties(network, outputs, batch.targets).item()
    batch = Batch(tokens, padded, 5, continues=False)
    _, outputs = batch_loss(network, batch, None, dtype=torch.float32)

    assert penalties(network, outputs, padded).item() == pytest.approx(together, rel=1e-5)
    assert Penalties()(network, outputs, padded).item() == 0
