"""Distillation: a network learns from the distributions of other models beside the text.

Hinton et al. 2015, "Distilling the knowledge in a neural network": the loss of a token is
(1 - share) * -log p(target) + share * T^2 * -sum_v t_v log q_v, where t and q are the
distributions of the teachers and of the network at the temperature T, softmax(logits / T). T^2
keeps the gradients of both terms in proportion. Of several teachers, t is the mean of their
distributions.

Where a softmax is sampled, both distributions are estimated from the same candidates, with the same
weights.

Letters in shapes: N tokens, n of them at a time, V vocabulary, C candidates, D columns of an output
matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from lmscore.train.cross_entropy import ScaledGradients, chunk_rows, chunks, rounded_up
from lmscore.train.sampled import Candidates

_LEAST = -1e4
"""The least log-probability that a teacher's share is multiplied by, so that 0 * -inf is 0."""


class Logits(Protocol):
    """The logits of N tokens, computed for the rows and columns that are asked for."""

    def whole(self, rows: slice) -> Tensor:
        """Logits float32 [n, V] of the whole vocabulary."""

    def sampled(self, rows: slice, tokens: Tensor, targets: Tensor) -> Tensor:
        """Logits float32 [n, C + 1] of tokens [C] and, behind them, of each row's target [n]."""


class LinearLogits:
    """The logits features @ weight.T + bias, of features [N, D], weight [V, D] and bias [V]."""

    def __init__(self, features: Tensor, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
        """Take what makes the logits; `dtype` is the type of their products."""
        self._features, self._weight, self._bias = features, weight, bias
        self._low, self._dtype = rounded_up(features, dtype), dtype
        self._chosen: tuple[Tensor | None, Tensor, Tensor] | None = None  # tokens, weight, bias

    def whole(self, rows: slice) -> Tensor:
        """Logits float32 [n, V] of the whole vocabulary."""
        return self._products(rows, None)

    def sampled(self, rows: slice, tokens: Tensor, targets: Tensor) -> Tensor:
        """Logits float32 [n, C + 1] of tokens [C] and, behind them, of each row's target [n]."""
        of_targets = (self._features[rows].float() * self._weight[targets]).sum(-1)
        of_targets += self._bias[targets]
        return torch.cat([self._products(rows, tokens), of_targets[:, None]], 1)

    def _products(self, rows: slice, tokens: Tensor | None) -> Tensor:
        if self._chosen is None or self._chosen[0] is not tokens:
            if tokens is None:
                weight, bias = self._weight.to(self._dtype), self._bias
            else:
                weight, bias = rounded_up(self._weight[tokens], self._dtype), self._bias[tokens]
            self._chosen = (tokens, weight, bias)
        _, weight, bias = self._chosen
        product = torch.mm(self._low[rows], weight.T)  # the last rows have zeros behind them
        return product[: len(self._features[rows]), : len(bias)].float() + bias


class WholeLogits:
    """Logits that are computed for the whole vocabulary, whatever is asked for."""

    def __init__(self, whole: Callable[[slice], Tensor]) -> None:
        """Take the function that computes logits float32 [n, V] of some rows."""
        self._whole = whole

    def whole(self, rows: slice) -> Tensor:
        """Logits float32 [n, V] of the whole vocabulary."""
        return self._whole(rows)

    def sampled(self, rows: slice, tokens: Tensor, targets: Tensor) -> Tensor:
        """Logits float32 [n, C + 1] of tokens [C] and, behind them, of each row's target [n]."""
        logits = self._whole(rows)
        return torch.cat([logits[:, tokens], logits.gather(1, targets[:, None])], 1)


@dataclass(frozen=True)
class SoftTargets:
    """The distributions of teachers for N tokens, and how much they count."""

    teachers: Sequence[Logits]
    share: float
    temperature: float


def distilled_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    dtype: torch.dtype,
    soft: SoftTargets,
    candidates: Candidates | None = None,
) -> tuple[Tensor, Tensor]:
    """The loss to lower, and the loss of the text alone (nats), each summed over tokens.

    hidden [N, D], weight [V, D], bias [V], targets int64 [N]; `candidates` stand for the vocabulary
    if they are given. Matrix products are computed in `dtype`. Only the first loss has gradients.
    """
    losses: tuple[Tensor, Tensor] = _DistilledCrossEntropy.apply(  # type: ignore[no-untyped-call]
        hidden, weight, bias, targets, dtype, soft, candidates
    )
    return losses


class _DistilledCrossEntropy(ScaledGradients):
    """Both losses and the gradients of the first, in one pass over logits in the cache."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        dtype: torch.dtype,
        soft: SoftTargets,
        candidates: Candidates | None,
    ) -> tuple[Tensor, Tensor]:
        columns = _Columns(targets, len(weight), candidates)
        student = columns.rows_of(LinearLogits(hidden, weight, bias, dtype))
        teachers = [columns.rows_of(teacher) for teacher in soft.teachers]
        low_hidden, low_weight = rounded_up(hidden, dtype), columns.low_part(weight, dtype)
        N, C = len(hidden), columns.count
        lowered, loss = (torch.zeros((), device=hidden.device) for _ in range(2))
        # d lowered / d logits, and zeros where sizes are rounded up
        errors = torch.zeros(len(low_hidden), len(low_weight), dtype=dtype, device=hidden.device)
        target_errors = torch.zeros(N, device=hidden.device)  # of the targets' own columns
        hidden_grad = torch.empty_like(low_hidden)
        bias_grad = torch.zeros(C, device=hidden.device)
        for (chunk, rows), (logits, *taught) in zip(
            chunks(hidden, dtype, C), zip(student, *teachers, strict=True), strict=True
        ):
            of_text, of_both, error = _losses(columns, rows, logits, taught, soft)
            loss += of_text
            lowered += of_both
            errors[rows, :C] = error[:, :C]
            if candidates is not None:
                target_errors[rows] = error[:, C]
            bias_grad += error[:, :C].sum(0)
            torch.mm(errors[chunk], low_weight, out=hidden_grad[chunk])
        weight_grad = (errors.T @ low_hidden)[:C].to(weight.dtype)
        hidden_grad = hidden_grad[:N]
        if candidates is not None:
            hidden_grad = hidden_grad.float() + target_errors[:, None] * weight[targets]
            of_targets = target_errors[:, None] * hidden.float()
            weight_grad = _scattered(weight_grad, weight, candidates.tokens, targets, of_targets)
            bias_grad = _scattered(bias_grad, bias, candidates.tokens, targets, target_errors)
        ctx.save_for_backward(hidden_grad.to(hidden.dtype), weight_grad, bias_grad)
        ctx.mark_non_differentiable(loss)
        return lowered, loss

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """Scale the gradients of the first loss."""
        return ScaledGradients.backward(ctx, grad_outputs[0])


def _losses(
    columns: _Columns, rows: slice, logits: Tensor, taught: Sequence[Tensor], soft: SoftTargets
) -> tuple[Tensor, Tensor, Tensor]:
    """The loss of the text, the loss to lower, and its derivative by the logits [n, columns]."""
    T, share = soft.temperature, soft.share
    log_probs = columns.log_probs(logits, 1.0)
    wanted = columns.log_probs(taught[0], T).exp_()
    for each in taught[1:]:
        wanted += columns.log_probs(each, T).exp_()
    wanted /= len(taught)
    at = columns.of_targets[rows, None]
    of_text = -log_probs.gather(1, at).clamp_min(_LEAST).sum()
    softened = log_probs if T == 1 else columns.log_probs(logits, T)
    of_teachers = -torch.dot(wanted.view(-1), softened.clamp_min(_LEAST).view(-1))
    lowered = (1 - share) * of_text + share * T * T * of_teachers
    if T == 1:  # both terms have the same p
        error = log_probs.exp_()
    else:
        error = log_probs.exp_().mul_(1 - share).add_(softened.exp_(), alpha=share * T)
    error.sub_(wanted, alpha=share * T)
    error.scatter_add_(1, at, torch.full(at.shape, share - 1, device=at.device))
    return of_text, lowered, error


def _scattered(
    part: Tensor, weight: Tensor, tokens: Tensor, targets: Tensor, of_targets: Tensor
) -> Tensor:
    """The gradient of a weight [V, ...]: that of candidates [C, ...], and of targets [N, ...]."""
    whole = torch.zeros_like(weight)
    whole[tokens] = part.to(weight.dtype)
    return whole.index_add_(0, targets, of_targets.to(weight.dtype))


class _Columns:
    """The columns over which distributions are computed.

    They are the vocabulary, or the candidates and behind them each row's own target. It counts once
    and in full: if it is among the candidates too, its column there is left out of its row.
    """

    def __init__(self, targets: Tensor, V: int, candidates: Candidates | None) -> None:
        self._targets, self._candidates = targets, candidates
        self.count = V if candidates is None else len(candidates.tokens)
        self.of_targets = targets  # the column of each target, int64 [N]
        if candidates is None:
            return
        C = self.count
        column = torch.full((V,), C, device=targets.device)  # C: no column of its own
        column[candidates.tokens] = torch.arange(C, device=targets.device)
        self._left_out = column[targets]
        self.of_targets = torch.full_like(targets, C)
        self._log_weights = torch.cat([candidates.log_weights, candidates.log_weights.new_zeros(1)])

    def low_part(self, weight: Tensor, dtype: torch.dtype) -> Tensor:
        """The rows of a matrix [V, D] that have columns, in a type, their number rounded up."""
        if self._candidates is None:
            return weight.to(dtype)
        return rounded_up(weight[self._candidates.tokens], dtype)

    def rows_of(self, source: Logits) -> Iterator[Tensor]:
        """Yield the logits [n, columns] of the next tokens."""
        size = chunk_rows(self._targets.device, self.count)
        for start in range(0, len(self._targets), size):
            rows = slice(start, start + size)
            if self._candidates is None:
                yield source.whole(rows)
                continue
            logits = source.sampled(rows, self._candidates.tokens, self._targets[rows])
            of_targets = logits[:, -1].clone()
            logits.scatter_(1, self._left_out[rows, None], -torch.inf)
            logits[:, -1] = of_targets  # which the line above left out where it is no candidate
            yield logits

    def log_probs(self, logits: Tensor, temperature: float) -> Tensor:
        """Log-probabilities [n, columns] at a temperature; each column counts by its weight."""
        scaled = logits if temperature == 1 else logits / temperature
        if self._candidates is not None:
            scaled = scaled + self._log_weights
        return torch.log_softmax(scaled, -1)
