"""The optimiser of a run, and what it minimises besides the loss."""

from __future__ import annotations

import torch

from lmscore.train.network import RecurrentLM
from lmscore.train.options import TrainOptions
from lmscore.train.penalties import Penalties


def make_optimizer(network: RecurrentLM, options: TrainOptions) -> torch.optim.Optimizer:
    """AdamW or plain SGD; biases are not decayed."""
    matrices = [weight for weight in network.parameters() if weight.dim() > 1]
    biases = [weight for weight in network.parameters() if weight.dim() == 1]
    kind = torch.optim.SGD if options.optimizer == "sgd" else torch.optim.AdamW
    return kind(
        [
            {"params": matrices, "weight_decay": options.weight_decay},
            {"params": biases, "weight_decay": 0.0},
        ],
        lr=options.learning_rate,
        fused=True,
    )


def make_penalties(options: TrainOptions) -> Penalties:
    """As the options weigh them."""
    return Penalties(
        activation=options.activation_penalty,
        temporal=options.temporal_penalty,
        smoothing=options.label_smoothing,
    )
