"""Softmax cross-entropy of a linear output layer, in one pass over logits in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

# Rows of logits computed at once: 512 rows of a 10k vocabulary in bf16 fill about one L2 cache.
CHUNK = 512
# For products in 16 bits on the CPU oneDNN compiles code for each shape that it meets, and keeps a
# thousand of them. So that the sizes of batches do not make a new shape each, they are rounded up.
_MULTIPLE = 64
# A GPU computes as many rows as fit into 512 MB of float32: each chunk starts a dozen kernels.
_FLOATS_ON_DEVICE = 1 << 27


def linear_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    dtype: torch.dtype,
    *,
    self_normalize: float = 0.0,
) -> Tensor:
    """Summed negative log-likelihood (nats) of targets under softmax(hidden @ weight.T + bias).

    hidden [N, H], weight [V, H], bias [V], targets int64 [N]. Matrix products are computed in
    `dtype`, sums in float32. While gradients are computed, the penalty self_normalize * (log Z)^2
    is added for each row, where Z is the sum of exp(logit) (Devlin et al. 2014, section 2.4). It
    teaches log Z to be near 0.
    """
    if torch.is_grad_enabled():
        loss: Tensor = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
            hidden, weight, bias, targets, dtype, self_normalize
        )
        return loss
    loss = torch.zeros((), device=hidden.device)
    for rows, logits in _chunks(hidden, weight, bias, dtype):
        loss -= torch.log_softmax(logits, -1).gather(1, targets[rows, None]).sum()
    return loss


def linear_log_z(
    hidden: Tensor, weight: Tensor, bias: Tensor, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Log Z [N], the log of the sum of exp(logit), of each row of hidden [N, H]; nats."""
    chunks = _chunks(hidden, weight, bias, dtype)
    return torch.cat([torch.logsumexp(logits, -1) for _, logits in chunks])


class ScaledGradients(torch.autograd.Function):
    """A function whose forward saves the gradients of its first arguments; backward scales them."""

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """Scale the saved gradients; the other arguments have none."""
        (scale,) = grad_outputs
        gradients = [gradient * scale for gradient in ctx.saved_tensors]
        return *gradients, *[None] * (len(ctx.needs_input_grad) - len(gradients))


class _LinearCrossEntropy(ScaledGradients):
    """A loss whose forward computes the gradients too, in chunks whose logits fit the cache.

    There is one softmax per token instead of three passes (log-softmax, its exponential, the
    gradient) over a float32 [N, V] matrix in memory. Only d loss / d logits is kept whole, in the
    low precision.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        dtype: torch.dtype,
        self_normalize: float,
    ) -> Tensor:
        low_hidden, low_weight = rounded_up(hidden, dtype), weight.to(dtype)
        loss = torch.zeros((), device=hidden.device)
        errors = torch.empty(len(low_hidden), len(weight), dtype=dtype, device=hidden.device)
        errors[len(hidden) :] = 0
        hidden_grad = torch.empty_like(low_hidden)
        bias_grad = torch.zeros_like(bias)
        for chunk, rows in chunks(hidden, dtype, len(weight)):
            # The bias is added in float32: in bf16 a log-frequency of -10 is off by up to 0.03.
            product = torch.mm(low_hidden[chunk], low_weight.T)[: rows.stop - rows.start]
            logits = product.float() + bias
            probs = torch.softmax(logits, -1)
            index = targets[rows, None]
            target_probs = probs.gather(1, index)
            # A probability that underflows counts as the smallest float: 87 nats.
            log_probs = target_probs.clamp_min(torch.finfo(torch.float32).tiny).log()
            loss -= log_probs.sum()
            if self_normalize:
                log_z = logits.gather(1, index) - log_probs
                loss += self_normalize * log_z.square().sum()
                probs *= 1 + 2 * self_normalize * log_z  # d log Z / d logits = p
                target_probs = probs.gather(1, index)
            probs.scatter_(1, index, target_probs - 1.0)  # d loss / d logits = p - onehot
            errors[rows] = probs
            bias_grad += probs.sum(0)
            torch.mm(errors[chunk], low_weight, out=hidden_grad[chunk])
        weight_grad = errors.T @ low_hidden
        whole_hidden_grad = hidden_grad[: len(hidden)].to(hidden.dtype)
        ctx.save_for_backward(whole_hidden_grad, weight_grad.to(weight.dtype), bias_grad)
        return loss


def rounded_up(rows: Tensor, dtype: torch.dtype) -> Tensor:
    """Rows [N, H] in a type, and rows of zeros after them where sizes are rounded up."""
    count = _rounded(len(rows), dtype, rows.device)
    if count == len(rows):
        return rows.to(dtype)
    found = rows.new_zeros(count, rows.size(1), dtype=dtype)
    found[: len(rows)] = rows
    return found


def _rounded(count: int, dtype: torch.dtype, device: torch.device) -> int:
    multiple = _MULTIPLE if device.type == "cpu" and dtype.itemsize == 2 else 1
    return -(-count // multiple) * multiple


def chunks(hidden: Tensor, dtype: torch.dtype, width: int) -> Iterator[tuple[slice, slice]]:
    """The rows of each product of hidden [N, H], rounded up, and those of them below N."""
    size, N = chunk_rows(hidden.device, width), len(hidden)
    for start in range(0, N, size):
        stop = min(start + size, N)
        yield slice(start, start + _rounded(stop - start, dtype, hidden.device)), slice(start, stop)


def chunk_rows(device: torch.device, width: int) -> int:
    """The rows of logits, `width` wide, that are computed at once."""
    return CHUNK if device.type == "cpu" else max(CHUNK, _FLOATS_ON_DEVICE // width)


def _chunks(
    hidden: Tensor, weight: Tensor, bias: Tensor, dtype: torch.dtype
) -> Iterator[tuple[slice, Tensor]]:
    """A few rows at a time, and their logits, float32 [n, V]."""
    low_hidden, low_weight = rounded_up(hidden, dtype), weight.to(dtype)
    for chunk, rows in chunks(hidden, dtype, len(weight)):
        # The bias is added in float32: in bf16 a log-frequency of -10 is off by up to 0.03.
        product = torch.mm(low_hidden[chunk], low_weight.T)[: rows.stop - rows.start]
        yield rows, product.float() + bias
