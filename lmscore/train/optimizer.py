"""The optimiser of a run: AdamW, plain SGD, or Muon for the matrices of the layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from lmscore.train.network import RecurrentLM
from lmscore.train.options import TrainOptions


class JointOptimizer:
    """Several of PyTorch's optimisers, each of weights of its own, as one."""

    def __init__(self, parts: Sequence[torch.optim.Optimizer]) -> None:
        self._parts = parts

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of weights of all parts; `lr` of each is its learning rate."""
        return [group for part in self._parts for group in part.param_groups]

    def step(self) -> None:
        """Update every weight by its gradient."""
        for part in self._parts:
            part.step()

    def zero_grad(self) -> None:
        """Drop every gradient."""
        for part in self._parts:
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        """The state of each part, for a checkpoint."""
        return [part.state_dict() for part in self._parts]

    def load_state_dict(self, states: list[dict[str, Any]] | dict[str, Any]) -> None:
        """Restore the states; older checkpoints have that of one part alone.

        Raises ValueError if they are those of other parts.
        """
        given = [states] if isinstance(states, dict) else states
        for part, state in zip(self._parts, given, strict=True):
            part.load_state_dict(state)


def make_optimizer(network: RecurrentLM, options: TrainOptions) -> JointOptimizer:
    """Make the optimiser that the options name; biases have no weight decay."""
    parts: list[torch.optim.Optimizer] = []
    by_muon = _inner_matrices(network) if options.optimizer == "muon" else []
    if by_muon:
        parts.append(_muon(by_muon, options))
    taken = {id(weight) for weight in by_muon}
    weights = [weight for weight in network.parameters() if id(weight) not in taken]
    kind = torch.optim.SGD if options.optimizer == "sgd" else torch.optim.AdamW
    parts.append(
        kind(
            [
                {
                    "params": [weight for weight in weights if weight.dim() > 1],
                    "weight_decay": options.weight_decay,
                },
                {"params": [w for w in weights if w.dim() == 1], "weight_decay": 0.0},
            ],
            lr=options.learning_rate,
            fused=True,
        )
    )
    return JointOptimizer(parts)


def _inner_matrices(network: RecurrentLM) -> list[torch.nn.Parameter]:
    """The matrices between embedding and output, whose inputs and outputs are both dense."""
    inner: list[torch.nn.Module] = [network.layers, network.connections]
    inner += filter(None, [network.encoder, network.projection])
    return [weight for part in inner for weight in part.parameters() if weight.dim() == 2]


def _muon(matrices: list[torch.nn.Parameter], options: TrainOptions) -> torch.optim.Optimizer:
    """Muon (Jordan et al. 2024): momentum, made orthogonal by five Newton-Schulz iterations.

    Its updates get the size of AdamW's (Liu et al. 2025, "Muon is scalable for LLM training",
    section 2.2), so one learning rate and weight decay suit both.
    """
    return torch.optim.Muon(
        matrices,
        lr=options.learning_rate,
        weight_decay=options.weight_decay,
        adjust_lr_fn="match_rms_adamw",
    )
