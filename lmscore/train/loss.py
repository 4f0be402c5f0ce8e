"""The training loss: what a network makes of a batch."""

from __future__ import annotations

import torch

from lmscore.train.batches import PADDING, Batch
from lmscore.train.network import Outputs, RecurrentLM, State


def batch_loss(
    network: RecurrentLM, batch: Batch, state: State | None, *, dtype: torch.dtype
) -> tuple[torch.Tensor, Outputs]:
    """The output layer's loss (nats), summed over a batch, and what the network computed of it.

    `state` is the one after the batch before; it is used where the batch continues that one.
    """
    features, targets, outputs = run_batch(network, batch, state, dtype)
    return network.head.loss(features, targets, dtype), outputs


def run_batch(
    network: RecurrentLM, batch: Batch, state: State | None, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor, Outputs]:
    """Run a network on a batch; `state` is used where the batch continues the one before.

    Returns:
        Features [N, E] (H if untied) and targets [N] of the places that count; all outputs.
    """
    device = network.device
    targets = batch.targets.to(device).flatten()
    if state is None or not batch.continues:
        state = network.initial_state(batch.inputs.size(1))
    with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
        outputs = network.run(batch.inputs.to(device), state)
    flat = outputs.features.flatten(0, 1)
    if batch.num_tokens < len(targets):
        counted = (targets != PADDING).nonzero().squeeze(1)
        flat, targets = flat[counted], targets[counted]
    return flat, targets, outputs
