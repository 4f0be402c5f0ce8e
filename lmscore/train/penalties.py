"""Penalties in the training loss, for better generalisation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lmscore.train.batches import PADDING
from lmscore.train.network import Outputs, RecurrentLM


@dataclass(frozen=True, kw_only=True)
class Penalties:
    """The weight of each penalty; 0 leaves it out."""

    activation: float = 0.0
    temporal: float = 0.0
    smoothing: float = 0.0

    def __call__(self, network: RecurrentLM, outputs: Outputs, targets: Tensor) -> Tensor:
        """The penalties of a batch, summed over its tokens like the loss (nats).

        targets int64 [T, B] are PADDING after the end of a row.
        """
        counted = targets != PADDING
        total = outputs.features.new_zeros((), dtype=torch.float32)
        if self.activation:
            total = total + self.activation * activation(outputs.dropped, counted)
        if self.temporal:
            total = total + self.temporal * temporal_activation(outputs.hidden, counted)
        if self.smoothing:
            features = outputs.features[counted]
            total = total + smoothing(features, network, targets[counted], self.smoothing)
        return total


def activation(dropped: Tensor, counted: Tensor) -> Tensor:
    """Activation regularisation: the mean square of a token's hidden units, summed over tokens.

    dropped [T, B, H] is the last layer's output after dropout; counted bool [T, B] (Merity et al.
    2017, section 5).
    """
    return dropped[counted].float().square().mean(-1).sum()


def temporal_activation(hidden: Tensor, counted: Tensor) -> Tensor:
    """Temporal activation regularisation: the mean square change of the units in a step.

    hidden [T, B, H] is the last layer's output before dropout; the sum is over the counted tokens
    that follow another one in the batch, so that no change from the first text of a pair to the
    second is penalised; counted bool [T, B] (Merity et al. 2017, section 5).
    """
    change = (hidden[1:] - hidden[:-1])[counted[1:] & counted[:-1]]
    return change.float().square().mean(-1).sum()


def smoothing(features: Tensor, network: RecurrentLM, targets: Tensor, share: float) -> Tensor:
    """The term that label smoothing adds to the negative log-likelihood (nats), summed over tokens.

    The target distribution has 1 - share on the target and share over all V words (Szegedy et al.
    2016, section 7). With logits z, -log p_v = log sum exp z - z_v, so the smoothed loss is the
    plain one + share * (z_target - mean_v z_v), without a second softmax. features [N, E], or H
    if untied; targets int64 [N].
    """
    matrix, bias = network.head.matrix, network.head.bias
    above_mean = matrix[targets] - matrix.mean(0)
    logits = (features.float() * above_mean).sum(-1) + bias[targets] - bias.mean()
    return share * logits.sum()
