"""What is added to the loss while training, so that the network generalises."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lmscore.train.batches import PADDING
from lmscore.train.network import Outputs, RecurrentLM


@dataclass(frozen=True, kw_only=True)
class Penalties:
    """How much each penalty weighs; 0 leaves it out."""

    activation: float = 0.0
    temporal: float = 0.0
    smoothing: float = 0.0

    def __call__(self, network: RecurrentLM, outputs: Outputs, targets: Tensor) -> Tensor:
        """The penalties of a batch, summed over its tokens like the loss (nats).

        Args:
            network: that computed the outputs.
            outputs: of the batch.
            targets: int64 [T, B], PADDING where a row has ended.
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

    Of the last layer, [T, B, H], after dropout; counted bool [T, B]. Merity et al. 2017, section 5.
    """
    return dropped[counted].float().square().mean(-1).sum()


def temporal_activation(hidden: Tensor, counted: Tensor) -> Tensor:
    """Temporal activation regularisation: the mean square by which the units change in a step.

    Of the last layer, [T, B, H], before dropout; summed over the tokens that follow another in the
    batch; counted bool [T, B] (Merity et al. 2017, section 5).
    """
    change = (hidden[1:] - hidden[:-1])[counted[1:]]
    return change.float().square().mean(-1).sum()


def smoothing(features: Tensor, network: RecurrentLM, targets: Tensor, share: float) -> Tensor:
    """What label smoothing adds to the negative log-likelihood (nats), summed over tokens.

    The target distribution is 1 - share on the target and share over all V words (Szegedy et al.
    2016, section 7). With logits z, -log p_v = log sum exp z - z_v, so that the smoothed loss is
    the plain one + share * (z_target - mean_v z_v): no second softmax is needed.

    Args:
        features: [N, E], or H if untied.
        network: whose output matrix scores them.
        targets: int64 [N].
        share: of the probability that goes to all words alike.
    """
    matrix, bias = network.head.matrix, network.head.bias
    above_mean = matrix[targets] - matrix.mean(0)
    logits = (features.float() * above_mean).sum(-1) + bias[targets] - bias.mean()
    return share * logits.sum()
