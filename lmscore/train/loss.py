"""The training loss of a batch."""

from __future__ import annotations

import torch

from lmscore.train.batches import Batch
from lmscore.train.distillation import SoftTargets
from lmscore.train.network import Outputs, RecurrentLM, State


def batch_loss(
    network: RecurrentLM, batch: Batch, state: State | None, *, dtype: torch.dtype
) -> tuple[torch.Tensor, Outputs]:
    """The output layer's loss (nats), summed over a batch, and the network's outputs.

    `state` is the state after the previous batch; it is used if this batch continues that one.
    """
    features, targets, outputs = run_batch(network, batch, state, dtype)
    return network.head.loss(features, targets, dtype), outputs


def distilled_loss(
    network: RecurrentLM,
    batch: Batch,
    state: State | None,
    soft: SoftTargets,
    *,
    dtype: torch.dtype,
) -> tuple[torch.Tensor, torch.Tensor, Outputs]:
    """The loss of `batch_loss`, without gradients; what distillation adds to it, with all of them.

    Their sum is the loss to lower. `soft` has the teachers' distributions for the batch.
    """
    features, targets, outputs = run_batch(network, batch, state, dtype)
    lowered, loss = network.head.distilled_loss(features, targets, dtype, soft)
    return loss, lowered - loss, outputs


def run_batch(
    network: RecurrentLM, batch: Batch, state: State | None, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor, Outputs]:
    """Run a network on a batch; `state` is used if the batch continues the previous one.

    Returns:
        Features [N, E] (H if untied) and targets [N] without padding; all outputs.
    """
    device = network.device
    # From pinned memory these copies do not wait for the GPU; its results would be waited for if
    # it found the padding itself.
    targets = batch.targets.to(device, non_blocking=True).flatten()
    if state is None or not batch.continues:
        state = network.initial_state(batch.inputs.size(1))
    with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
        outputs = network.run(batch.inputs.to(device, non_blocking=True), state)
    flat = outputs.features.flatten(0, 1)
    if batch.num_tokens < len(targets):
        counted = batch.places().to(device, non_blocking=True)
        flat, targets = flat[counted], targets[counted]
    return flat, targets, outputs
