"""The softmax output layers: the plain one, and one whose logits are nearly log-probabilities.

Letters in shapes: N tokens, V vocabulary, D columns of the output matrix.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmscore.bundle import Config
from lmscore.train.cross_entropy import linear_cross_entropy, linear_log_z
from lmscore.train.distillation import SoftTargets, distilled_cross_entropy
from lmscore.train.sampled import SampledSoftmax


class SoftmaxHead(nn.Module):
    """P(w | h) = softmax(W h + bias); if tied, W is the embedding."""

    def __init__(self, config: Config, embedding: nn.Embedding) -> None:
        super().__init__()
        V, D = config.vocab_size, config.output_dim
        self._embedding = (embedding,)  # in a tuple, so that the tied matrix is one parameter
        self.weight = None if config.tie_word_embeddings else nn.Parameter(torch.empty(V, D))
        self.bias = nn.Parameter(torch.zeros(V))
        self.sampled: SampledSoftmax | None = None
        """An estimator of the loss from a part of the vocabulary while gradients are computed."""

    def start(self) -> None:
        """Draw the initial weights."""
        if self.weight is not None:
            nn.init.uniform_(self.weight, -0.1, 0.1)

    def set_bias(self, counts: Tensor) -> None:
        """Start the bias at the log unigram frequencies of counts [V], with add-one smoothing."""
        with torch.no_grad():
            smoothed = counts.double() + 1.0
            self.bias.copy_((smoothed / smoothed.sum()).log())

    @property
    def matrix(self) -> Tensor:
        """W [V, D]."""
        return self._embedding[0].weight if self.weight is None else self.weight

    def weights(self) -> dict[str, nn.Parameter]:
        """The weights by their names in model.safetensors."""
        own = {} if self.weight is None else {"output.weight": self.weight}
        return {**own, "output.bias": self.bias}

    def log_probs(self, features: Tensor) -> Tensor:
        """The log-probabilities of the whole vocabulary [..., V], nats, from features [..., D]."""
        return F.log_softmax(F.linear(features, self.matrix, self.bias), dim=-1)

    def loss(self, features: Tensor, targets: Tensor, dtype: torch.dtype) -> Tensor:
        """Summed negative log-likelihood (nats) of targets [N]; features [N, D].

        `dtype` is the type of the matrix products.
        """
        arguments = (features, self.matrix, self.bias, targets, dtype)
        if self.sampled is not None:
            return self.sampled.loss(*arguments)
        return linear_cross_entropy(*arguments)

    def distilled_loss(
        self, features: Tensor, targets: Tensor, dtype: torch.dtype, soft: SoftTargets
    ) -> tuple[Tensor, Tensor]:
        """The loss to lower and the loss of the text (nats), as `distilled_cross_entropy` has them.

        features [N, D], targets [N].
        """
        candidates = None if self.sampled is None else self.sampled.candidates(features.device)
        return distilled_cross_entropy(
            features, self.matrix, self.bias, targets, dtype, soft, candidates
        )

    def log_z(self, features: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Log Z [N], the log of the sum of exp(logit); features [N, D]."""
        return linear_log_z(features, self.matrix, self.bias, dtype)

    def scores(self, features: Tensor, targets: Tensor) -> Tensor:
        """The logits [...] of targets [...] from features [..., D]: log-probabilities + log Z."""
        return (features * self.matrix[targets]).sum(-1) + self.bias[targets]


class SelfNormalisedHead(SoftmaxHead):
    """A softmax that learns a log Z near 0, so that scores need no sum over V."""

    self_normalize = 0.0
    """The weight of (log Z)^2 in the loss of a token while gradients are computed."""

    def loss(self, features: Tensor, targets: Tensor, dtype: torch.dtype) -> Tensor:
        """The loss of a softmax, plus the penalty on log Z while gradients are computed."""
        return linear_cross_entropy(
            features, self.matrix, self.bias, targets, dtype, self_normalize=self.self_normalize
        )
