"""The gated delta rule: chunks against single steps, and what it promises to remember."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from lmscore.train.gated_delta import gated_delta_rule
from lmscore.train.network import RecurrentLM
from tests.train.toy import toy_config

Tensor = torch.Tensor


def draw(time: int, seed: int, *, n: int = 2, d: int = 3) -> tuple[Tensor, ...]:
    """Queries, keys, values [1, n, time, d], decays and rates [1, n, time], a memory."""
    random = torch.Generator().manual_seed(seed)
    q, k, v = torch.randn(3, 1, n, time, d, generator=random, dtype=torch.float64)
    decay, rate = torch.rand(2, 1, n, time, generator=random, dtype=torch.float64)
    memory = torch.randn(1, n, d, d, generator=random, dtype=torch.float64)
    return q, F.normalize(k, dim=-1), v, (0.7 + 0.3 * decay).log(), rate, memory


@settings(deadline=None, max_examples=30)
@given(time=st.integers(1, 150), seed=st.integers(0, 2**31))
def test_chunks_are_the_rule_token_by_token(time: int, seed: int) -> None:
    q, k, v, log_decay, rate, memory = draw(time, seed)
    found, after = gated_delta_rule(q, k, v, log_decay, rate, memory)
    for t in range(time):
        decayed = log_decay[:, :, t, None, None].exp() * memory
        known = (k[:, :, t, :, None] * decayed).sum(-2)
        change = rate[:, :, t, None] * (v[:, :, t] - known)
        memory = decayed + k[:, :, t, :, None] * change[:, :, None]
        expected = (q[:, :, t, :, None] * memory).sum(-2) / math.sqrt(3)
        torch.testing.assert_close(found[:, :, t], expected)
    torch.testing.assert_close(after, memory)


def test_a_new_value_takes_the_place_of_the_old_one() -> None:
    keys = torch.eye(2)[[0, 1, 0]][None, None]
    values = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])[None, None]
    queries = math.sqrt(2) * torch.eye(2)[[0, 0, 1]][None, None]
    always, never = torch.ones(1, 1, 3), torch.zeros(1, 1, 3)
    read, memory = gated_delta_rule(queries, keys, values, never, always, torch.zeros(1, 1, 2, 2))
    torch.testing.assert_close(read[0, 0], values[0, 0][[0, 0, 1]])
    torch.testing.assert_close(memory[0, 0], torch.tensor([[5.0, 6.0], [3.0, 4.0]]))


def test_gradients_are_those_of_finite_differences() -> None:
    inputs = tuple(each.requires_grad_() for each in draw(5, 1, n=1, d=2))
    assert torch.autograd.gradcheck(gated_delta_rule, inputs)


def test_a_long_text_learns_in_16_bits_too() -> None:
    """Several chunks, whose sums are kept in 32 bits."""
    network = RecurrentLM(toy_config(cell="gated-delta", hidden_size=16))
    tokens = torch.randint(30, (100, 2), generator=torch.Generator().manual_seed(0))
    exact, state = network(tokens, network.initial_state(2))
    with torch.autocast("cpu", torch.bfloat16):
        rounded, after = network(tokens, network.initial_state(2))
    assert (rounded - exact).abs().max() < 0.2
    assert [part.dtype for part in after] == [torch.float32] * 2
    rounded.square().sum().backward()
    for name, weight in network.layers.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
    torch.testing.assert_close(after[0], state[0], atol=0.2, rtol=0.1)


@pytest.mark.parametrize("hidden", [8, 96])
def test_a_memory_for_each_head(hidden: int) -> None:
    network = RecurrentLM(toy_config(cell="gated-delta", hidden_size=hidden, embedding_size=5))
    _, (memory, convolved) = network(torch.tensor([[1, 2]]), network.initial_state(2))
    assert memory.shape == (1, 2, hidden * {8: 8, 96: 48}[hidden])
    assert convolved.shape == (1, 2, 9 * hidden)
