"""The optimiser of a run."""

from __future__ import annotations

import torch

from lmscore.train.network import RecurrentLM
from lmscore.train.options import TrainOptions


def make_optimizer(network: RecurrentLM, options: TrainOptions) -> torch.optim.Optimizer:
    """AdamW; biases are not decayed."""
    matrices = [weight for weight in network.parameters() if weight.dim() > 1]
    biases = [weight for weight in network.parameters() if weight.dim() == 1]
    return torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": options.weight_decay},
            {"params": biases, "weight_decay": 0.0},
        ],
        lr=options.learning_rate,
        fused=True,
    )
