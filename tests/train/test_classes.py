"""Classes in training: a distribution, its loss and gradients, and where the classes begin."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lmscore.train import classes as classes_module
from lmscore.train.classes import ClassHead, choose_cutoffs
from tests.train.toy import toy_config

cutoffs_of_twelve = st.sets(st.integers(1, 11), min_size=1, max_size=4).map(sorted)


def draw(cutoffs: list[int], N: int, seed: int, V: int = 12, H: int = 5) -> tuple[Tensor, ...]:
    """Hidden, matrix, bias, class matrix, class bias, targets."""
    generator = torch.Generator().manual_seed(seed)
    n = len(cutoffs)
    weights = (
        torch.randn(*shape, generator=generator).requires_grad_()
        for shape in ((N, H), (V, H), (V,), (n, H), (n,))
    )
    return *weights, torch.randint(V, (N,), generator=generator)


def head(cutoffs: list[int], weights: list[Tensor]) -> tuple[ClassHead, list[Tensor]]:
    """A head of these weights, matrix first, and the weights as it holds them."""
    V, H = weights[0].shape
    config = toy_config(V, hidden_size=H, output_layer="classes", cutoffs=tuple(cutoffs))
    embedding = torch.nn.Embedding(V, H)
    made = ClassHead(config, embedding)
    own = [embedding.weight, made.bias, made.class_weight, made.class_bias]
    with torch.no_grad():
        for parameter, weight in zip(own, weights, strict=True):
            parameter.copy_(weight)
    return made, own


@given(cutoffs=cutoffs_of_twelve, N=st.integers(1, 30), seed=st.integers(0, 1 << 16))
def test_the_loss_is_that_of_the_distribution(cutoffs: list[int], N: int, seed: int) -> None:
    hidden, *weights, targets = draw(cutoffs, N, seed)
    made, own = head(cutoffs, weights)
    log_probs = made.log_probs(hidden)
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(N))
    expected = -log_probs.gather(1, targets[:, None]).sum()
    loss = made.loss(hidden, targets, torch.float32)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-4)
    for found, wanted in zip(
        torch.autograd.grad(loss, (hidden, *own)),
        torch.autograd.grad(expected, (hidden, *own)),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_a_class_without_targets_has_no_gradient() -> None:
    hidden, *weights, _ = draw([4, 8], 6, seed=1)
    made, own = head([4, 8], weights)
    loss = made.loss(hidden, torch.tensor([0, 3, 9, 8, 2, 11]), torch.float32)
    matrix, bias = torch.autograd.grad(loss, own[:2])
    assert not matrix[4:8].any()
    assert not bias[4:8].any()
    assert matrix[8:].any(dim=1).all()


def cost(cutoffs: tuple[int, ...], counts: list[int]) -> float:
    """Rows of the output matrix a token is multiplied by on average, as the docstring says."""
    rows = float(len(cutoffs) + (cutoffs[0] if cutoffs else len(counts)))
    for begin, end in itertools.pairwise((*cutoffs, len(counts))):
        share = sum(counts[begin:end]) / sum(counts)
        rows += (end - begin) * max(share, classes_module._LEAST_SHARE)
    return rows


@given(counts=st.lists(st.integers(1, 60), min_size=1, max_size=12))
def test_the_cutoffs_cost_the_least(counts: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classes_module, "_LITTLE", 0.0)
        found = choose_cutoffs(np.array(counts))
    places = range(1, len(counts))
    every = [c for n in range(5) for c in itertools.combinations(places, n)]
    assert cost(found, counts) == pytest.approx(min(cost(c, counts) for c in every))


def test_of_nearly_equal_costs_the_largest_head_is_taken() -> None:
    counts = (1e6 / np.arange(1, 50_001)).astype(np.int64)  # Zipf's law
    bare, with_recurrence = choose_cutoffs(counts), choose_cutoffs(counts, recurrence=4096.0)
    assert len(bare) == 4
    assert 300 < bare[0] < with_recurrence[0] < 5000
    least = cost(bare, counts.tolist())
    assert cost(with_recurrence, counts.tolist()) < least + 0.05 * (least + 4096)


def test_a_few_words_are_not_worth_classes() -> None:
    assert choose_cutoffs(np.full(3, 5)) == ()
    assert choose_cutoffs(np.array([3])) == ()
