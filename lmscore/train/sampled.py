"""A softmax over a sample of the vocabulary, which makes training on a big vocabulary cheaper.

The sum Z of exp(logit) over all words is estimated from the commonest words, all of them, and from
draws of the others (importance sampling: Bengio and Senécal 2008, "Adaptive importance sampling to
accelerate training of a neural probabilistic language model"; one sample for the whole batch, as in
Jean et al. 2015, "On using very large target vocabulary"). The model is a plain softmax: held-out
text, export and runtime do not depend on the sample.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from lmscore.train.cross_entropy import ScaledGradients, chunks, linear_cross_entropy, rounded_up

_EXACT = 512
"""The number of commonest tokens that every estimate of Z includes: half of an English text."""

_POWER = 0.75
"""The exponent on the frequencies by which the others are drawn, as in word2vec (Mikolov et al.
2013): between uniform draws and the unigram distribution, whose rare words get unbounded weights.
"""


class Candidates(NamedTuple):
    """The columns of the output layer in one estimate."""

    tokens: Tensor  # int64 [C], each once
    log_weights: Tensor  # float32 [C]: 0 for the commonest, else log(times drawn / (draws * q))


class SampledSoftmax:
    """A loss over candidates, which are drawn by how often each token occurs."""

    def __init__(self, counts: Tensor, draws: int) -> None:
        """Prepare `draws` a batch, by `counts` [V], the tokens' frequencies in the training text.

        If the commonest tokens and the draws would be no fewer than the vocabulary, the loss is the
        loss of the whole softmax.
        """
        order = torch.argsort(counts, descending=True, stable=True)
        self._exact, self._others = order[:_EXACT].sort().values, order[_EXACT:].sort().values
        self._draws = draws
        frequencies = (counts[self._others].double() + 1.0) ** _POWER
        self._q = (frequencies / frequencies.sum()).float()  # [V - C]
        self._is_whole = len(self._exact) + draws >= len(counts)

    def candidates(self, device: torch.device) -> Candidates | None:
        """What stands for the vocabulary in a batch, on a device; None: the vocabulary itself."""
        if self._is_whole:
            return None
        return Candidates(*(part.to(device) for part in self.draw()))

    def draw(self) -> Candidates:
        """The commonest tokens and a new sample of the others, by PyTorch's random numbers.

        Σ weight · exp(logit) over the candidates is an unbiased estimate of Z: a token of
        probability q is drawn `draws` · q times on average.
        """
        drawn = torch.multinomial(self._q, self._draws, replacement=True)
        drawn, times = torch.unique(drawn, return_counts=True)
        weights = times / (self._draws * self._q[drawn])
        tokens = torch.cat([self._exact, self._others[drawn]])
        return Candidates(tokens, torch.cat([torch.zeros(len(self._exact)), weights.log()]))

    def loss(
        self, hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, dtype: torch.dtype
    ) -> Tensor:
        """An estimate of `linear_cross_entropy` from a new sample; exact without gradients."""
        candidates = self.candidates(hidden.device) if torch.is_grad_enabled() else None
        if candidates is None:
            return linear_cross_entropy(hidden, weight, bias, targets, dtype)
        loss: Tensor = _SampledCrossEntropy.apply(  # type: ignore[no-untyped-call]
            hidden, weight, bias, targets, *candidates, dtype
        )
        return loss


class _SampledCrossEntropy(ScaledGradients):
    """Like `_LinearCrossEntropy`, over the candidates and each row's own target.

    A target's logit counts once and in full in its row's Z: if the target is among the
    candidates too, its column is left out of that row.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        tokens: Tensor,
        log_weights: Tensor,
        dtype: torch.dtype,
    ) -> Tensor:
        C = len(tokens)
        low_hidden, low_weight = rounded_up(hidden, dtype), rounded_up(weight[tokens], dtype)
        N, P = len(low_hidden), len(low_weight)  # with rows of zeros, which count for nothing
        shift = bias.new_full((P,), -torch.inf)
        shift[:C] = bias[tokens] + log_weights
        target_weight = weight[targets]  # [N, H]
        target_logits = (hidden.float() * target_weight).sum(-1) + bias[targets]  # [N]
        column = torch.full((len(weight),), P, device=tokens.device)  # P: no column of its own
        column[tokens] = torch.arange(C, device=tokens.device)
        own = column[targets]  # [N]

        loss = torch.zeros((), device=hidden.device)
        errors = torch.empty(N, P, dtype=dtype, device=hidden.device)  # d loss / d logits
        errors[len(hidden) :] = 0
        target_errors = torch.empty(len(hidden), device=hidden.device)
        hidden_grad = torch.empty_like(low_hidden)
        bias_grad = torch.zeros_like(shift)
        for chunk, rows in chunks(hidden, dtype, P):
            logits = hidden.new_empty(len(own[rows]), P + 1, dtype=torch.float32)
            logits[:, :P] = torch.mm(low_hidden[chunk], low_weight.T)[: len(logits)]
            logits[:, :P] += shift
            logits.scatter_(1, own[rows, None], -torch.inf)
            logits[:, P] = target_logits[rows]
            probs = torch.softmax(logits, -1)
            target_probs = probs[:, P]
            # A probability that underflows counts as the smallest float: 87 nats.
            loss -= target_probs.clamp_min(torch.finfo(torch.float32).tiny).log().sum()
            target_errors[rows] = target_probs - 1.0
            errors[rows] = probs[:, :P]
            bias_grad += probs[:, :P].sum(0)
            torch.mm(errors[chunk], low_weight, out=hidden_grad[chunk])

        whole_hidden_grad = hidden_grad[: len(hidden)].float()
        whole_hidden_grad += target_errors[:, None] * target_weight
        weight_grad = torch.zeros_like(weight)
        weight_grad[tokens] = (errors.T @ low_hidden)[:C].to(weight.dtype)
        weight_grad.index_add_(0, targets, target_errors[:, None] * hidden.float())
        whole_bias_grad = torch.zeros_like(bias)
        whole_bias_grad[tokens] = bias_grad[:C]
        whole_bias_grad.index_add_(0, targets, target_errors)
        ctx.save_for_backward(whole_hidden_grad.to(hidden.dtype), weight_grad, whole_bias_grad)
        return loss
