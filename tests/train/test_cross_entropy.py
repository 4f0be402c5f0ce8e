"""The fused loss and its gradients are those of F.cross_entropy."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from lmscore.train import cross_entropy as loss_module
from lmscore.train.cross_entropy import linear_cross_entropy, linear_log_z


def draw(N: int, V: int, H: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    hidden, weight, bias = (
        torch.randn(*shape, generator=generator).requires_grad_()
        for shape in ((N, H), (V, H), (V,))
    )
    return hidden, weight, bias, torch.randint(V, (N,), generator=generator)


def gradients(loss: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss, inputs)


@given(
    N=st.integers(1, 40), V=st.integers(1, 30), H=st.integers(1, 8), seed=st.integers(0, 1 << 16)
)
def test_value_and_gradients_in_float32(N: int, V: int, H: int, seed: int) -> None:
    hidden, weight, bias, targets = draw(N, V, H, seed)
    fused = linear_cross_entropy(hidden, weight, bias, targets, torch.float32)
    plain = F.cross_entropy(F.linear(hidden, weight, bias), targets, reduction="sum")

    torch.testing.assert_close(fused, plain, rtol=1e-5, atol=1e-4)
    for got, expected in zip(
        gradients(2 * fused, hidden, weight, bias),
        gradients(2 * plain, hidden, weight, bias),
        strict=True,
    ):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_chunks_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden, weight, bias, targets = draw(23, 11, 5, seed=0)
    whole = linear_cross_entropy(hidden, weight, bias, targets, torch.float32)
    expected = gradients(whole, hidden, weight, bias)
    monkeypatch.setattr(loss_module, "CHUNK", 4)
    in_chunks = linear_cross_entropy(hidden, weight, bias, targets, torch.float32)

    torch.testing.assert_close(in_chunks, whole)
    torch.testing.assert_close(gradients(in_chunks, hidden, weight, bias), expected)


def test_chunks_are_larger_on_a_gpu() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert [loss_module.chunk_rows(cpu, width) for width in (100, 1 << 17)] == [512, 512]
    assert loss_module.chunk_rows(gpu, 1 << 13) == 1 << 14  # 512 MB of float32
    assert loss_module.chunk_rows(gpu, 1 << 20) == 512


@pytest.mark.parametrize(("dtype", "sizes"), [("bfloat16", {64, 512}), ("float32", {5, 63, 512})])
def test_few_shapes_of_products_in_16_bits(
    dtype: str, sizes: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """oneDNN would compile each; in 32 bits more rows would only cost."""
    rows = set()
    mm = torch.mm

    def watched(a: torch.Tensor, b: torch.Tensor, **more: torch.Tensor) -> torch.Tensor:
        rows.add(len(a))
        return mm(a, b, **more)

    monkeypatch.setattr(torch, "mm", watched)
    for N in (5, 63, 512):
        hidden, weight, bias, targets = draw(N, 50, 16, seed=1)
        linear_cross_entropy(hidden, weight, bias, targets, getattr(torch, dtype))
        with torch.no_grad():
            linear_cross_entropy(hidden, weight, bias, targets, getattr(torch, dtype))
    assert rows == sizes


def test_bf16_is_close() -> None:
    hidden, weight, bias, targets = draw(64, 50, 16, seed=1)
    fused = linear_cross_entropy(hidden, weight, bias, targets, torch.bfloat16)
    plain = F.cross_entropy(F.linear(hidden, weight, bias), targets, reduction="sum")

    torch.testing.assert_close(fused, plain, rtol=0.01, atol=0)
    for got, expected in zip(
        gradients(fused, hidden, weight, bias),
        gradients(plain, hidden, weight, bias),
        strict=True,
    ):
        assert got.dtype == torch.float32
        torch.testing.assert_close(got, expected, rtol=0.1, atol=0.1)


def test_no_gradients_are_computed_where_none_are_wanted() -> None:
    hidden, weight, bias, targets = draw(9, 7, 3, seed=2)
    with torch.no_grad():
        without = linear_cross_entropy(hidden, weight, bias, targets, torch.float32)

    assert not without.requires_grad
    torch.testing.assert_close(
        without, linear_cross_entropy(hidden, weight, bias, targets, torch.float32).detach()
    )


def test_evaluation_counts_a_hopeless_token_in_full() -> None:
    hidden, weight = torch.ones(1, 1), torch.tensor([[0.0], [500.0]])
    bias, targets = torch.zeros(2), torch.tensor([0])
    with torch.no_grad():
        exact = linear_cross_entropy(hidden, weight, bias, targets, torch.float32)
    assert exact.item() == pytest.approx(500)

    weight.requires_grad_()
    capped = linear_cross_entropy(hidden, weight, bias, targets, torch.float32)
    assert capped.item() == pytest.approx(87.3, abs=0.1)
    torch.testing.assert_close(gradients(capped, weight)[0], torch.tensor([[-1.0], [1.0]]))


def test_nan_stays_nan() -> None:
    hidden, weight, bias, targets = draw(3, 4, 2, seed=3)
    broken = hidden.detach().clone()
    broken[1, 0] = torch.nan
    assert linear_cross_entropy(broken, weight, bias, targets, torch.float32).isnan()


@given(
    N=st.integers(1, 20),
    V=st.integers(1, 20),
    alpha=st.floats(0.01, 2),
    seed=st.integers(0, 1 << 16),
)
def test_self_normalising_penalises_log_z(N: int, V: int, alpha: float, seed: int) -> None:
    hidden, weight, bias, targets = draw(N, V, 4, seed)
    fused = linear_cross_entropy(hidden, weight, bias, targets, torch.float32, self_normalize=alpha)
    logits = F.linear(hidden, weight, bias)
    log_z = logits.logsumexp(1)
    plain = F.cross_entropy(logits, targets, reduction="sum") + alpha * (log_z**2).sum()

    torch.testing.assert_close(linear_log_z(hidden, weight, bias), log_z)
    torch.testing.assert_close(fused, plain, rtol=1e-5, atol=1e-4)
    for got, expected in zip(
        gradients(fused, hidden, weight, bias), gradients(plain, hidden, weight, bias), strict=True
    ):
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3)


def test_evaluation_leaves_the_penalty_out() -> None:
    hidden, weight, bias, targets = draw(9, 7, 3, seed=4)
    with torch.no_grad():
        losses = [
            linear_cross_entropy(hidden, weight, bias, targets, torch.float32, self_normalize=alpha)
            for alpha in (0.0, 1.0)
        ]
    assert losses[0] == losses[1]
