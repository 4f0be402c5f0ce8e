"""The optimiser of a run."""

from __future__ import annotations

import torch

from lmscore.train.network import RecurrentLM
from lmscore.train.options import TrainOptions


def make_optimizer(network: RecurrentLM, options: TrainOptions) -> torch.optim.Optimizer:
    """Make an AdamW or plain SGD optimiser; biases have no weight decay."""
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
