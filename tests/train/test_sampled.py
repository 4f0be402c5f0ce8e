"""The sampled softmax estimates the whole one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from lmscore.train import sampled as sampled_module
from lmscore.train import train
from lmscore.train.cross_entropy import linear_cross_entropy
from lmscore.train.record import resumed_options
from lmscore.train.sampled import Candidates, SampledSoftmax
from tests.train.test_cross_entropy import draw, gradients
from tests.train.toy import toy_options

ZIPF = torch.tensor([1000 // rank for rank in range(1, 31)])


@pytest.fixture(autouse=True)
def few_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampled_module, "_EXACT", 8)


class Fixed(SampledSoftmax):
    """Draws what it is told to."""

    def __init__(self, candidates: Candidates, V: int) -> None:
        super().__init__(torch.ones(V, dtype=torch.int64), draws=1)
        self.fixed = candidates

    def draw(self) -> Candidates:
        return self.fixed


@pytest.mark.parametrize("draws", [22, 30, 1000])
def test_as_many_draws_as_words_are_the_whole_softmax(draws: int) -> None:
    hidden, weight, bias, targets = draw(20, 30, 4, seed=0)
    loss = SampledSoftmax(ZIPF, draws).loss(hidden, weight, bias, targets, torch.float32)
    whole = linear_cross_entropy(hidden, weight, bias, targets, torch.float32)

    assert loss == whole
    for got, expected in zip(
        gradients(loss, hidden, weight, bias), gradients(whole, hidden, weight, bias), strict=True
    ):
        assert torch.equal(got, expected)


@given(N=st.integers(1, 40), V=st.integers(10, 30), seed=st.integers(0, 1 << 16))
def test_every_word_once_at_weight_one_is_the_whole_softmax(N: int, V: int, seed: int) -> None:
    """The estimate's own arithmetic, with nothing left out: value and gradients."""
    hidden, weight, bias, targets = draw(N, V, 5, seed)
    everything = Fixed(Candidates(torch.randperm(V), torch.zeros(V)), V)
    loss = everything.loss(hidden, weight, bias, targets, torch.float32)
    plain = F.cross_entropy(F.linear(hidden, weight, bias), targets, reduction="sum")

    torch.testing.assert_close(loss, plain, rtol=1e-5, atol=1e-4)
    for got, expected in zip(
        gradients(2 * loss, hidden, weight, bias),
        gradients(2 * plain, hidden, weight, bias),
        strict=True,
    ):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


@given(N=st.integers(1, 40), C=st.integers(1, 20), seed=st.integers(0, 1 << 16))
def test_value_and_gradients_of_any_candidates(N: int, C: int, seed: int) -> None:
    """As autograd computes them of the formula: the target once and in full, others weighted."""
    hidden, weight, bias, targets = draw(N, 30, 5, seed)
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randperm(30, generator=generator)[:C]
    log_weights = torch.randn(C, generator=generator)
    loss = Fixed(Candidates(tokens, log_weights), 30).loss(
        hidden, weight, bias, targets, torch.float32
    )
    logits = F.linear(hidden, weight, bias)
    own = logits.gather(1, targets[:, None])
    others = (logits[:, tokens] + log_weights).masked_fill(tokens == targets[:, None], -torch.inf)
    plain = (torch.cat([own, others], 1).logsumexp(1) - own[:, 0]).sum()

    torch.testing.assert_close(loss, plain, rtol=1e-5, atol=1e-4)
    for got, expected in zip(
        gradients(loss, hidden, weight, bias), gradients(plain, hidden, weight, bias), strict=True
    ):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_the_estimate_of_z_is_unbiased() -> None:
    torch.manual_seed(0)
    logits = torch.randn(30)
    sampled = SampledSoftmax(ZIPF, draws=5)

    def estimate() -> Tensor:
        candidates = sampled.draw()
        assert len(set(candidates.tokens.tolist())) == len(candidates.tokens)
        return (logits[candidates.tokens] + candidates.log_weights).exp().sum()

    found = torch.stack([estimate() for _ in range(4000)])
    error = found.std() / len(found) ** 0.5
    assert found.std() > 0.1  # it does estimate
    assert abs(found.mean() - logits.exp().sum()) < 4 * error


def test_the_commonest_words_are_always_there() -> None:
    counts = ZIPF.flip(0)
    candidates = SampledSoftmax(counts, draws=3).draw()
    assert candidates.tokens[:8].tolist() == list(range(22, 30))
    assert candidates.log_weights[:8].eq(0).all()


def test_bf16_is_close() -> None:
    hidden, weight, bias, targets = draw(64, 50, 16, seed=1)
    everything = Fixed(Candidates(torch.arange(50), torch.zeros(50)), 50)
    loss = everything.loss(hidden, weight, bias, targets, torch.bfloat16)
    plain = F.cross_entropy(F.linear(hidden, weight, bias), targets, reduction="sum")
    torch.testing.assert_close(loss, plain, rtol=0.01, atol=0)
    for got, expected in zip(
        gradients(loss, hidden, weight, bias), gradients(plain, hidden, weight, bias), strict=True
    ):
        torch.testing.assert_close(got, expected, rtol=0.1, atol=0.1)


def test_evaluation_is_exact() -> None:
    hidden, weight, bias, targets = draw(9, 30, 3, seed=2)
    with torch.no_grad():
        loss = SampledSoftmax(ZIPF, 5).loss(hidden, weight, bias, targets, torch.float32)
        assert loss == linear_cross_entropy(hidden, weight, bias, targets, torch.float32)


def test_nan_stays_nan() -> None:
    hidden, weight, bias, targets = draw(3, 30, 2, seed=3)
    broken = hidden.detach().clone()
    broken[1, 0] = torch.nan
    assert SampledSoftmax(ZIPF, 5).loss(broken, weight, bias, targets, torch.float32).isnan()


def test_a_model_learns_and_goes_on_with_the_whole_softmax(tmp_path: Path) -> None:
    options = toy_options(tmp_path, sampled_softmax=2, epochs=8)
    bundle = train(options)
    assert bundle.config.output_layer == "softmax"
    assert bundle.config.training["valid"]["perplexity"] < 5

    whole = resumed_options(options.output, {"sampled_softmax": 0, "epochs": 10})
    again = train(whole, resume=True)
    assert again.config.training["options"]["sampled_softmax"] == 0
    assert again.config.training["valid"]["perplexity"] < 5
