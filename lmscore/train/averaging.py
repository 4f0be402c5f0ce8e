"""Averages of the weights over the updates, which are less noisy than the last weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from lmscore.train.network import RecurrentLM
from lmscore.train.options import NT_ASGD_PATIENCE


class WeightAverage:
    """An average of a network's weights.

    `ema` is exponential, a <- d a + (1 - d) w; over the first updates the decay d is smaller,
    (1 + n) / (10 + n), so that the first weights are soon forgotten. `asgd` is the mean of all
    (Polyak & Juditsky 1992). `nt-asgd` is the mean of all since the held-out loss stopped falling:
    since it was worse than the best loss of more than five evaluations ago (Merity et al. 2017,
    algorithm 1). Other kinds average nothing.
    """

    def __init__(self, network: RecurrentLM, kind: str, decay: float) -> None:
        self._weights = list(network.parameters())
        self._kind, self._decay = kind, decay
        self._averages: list[Tensor] = []
        self._count = 0  # updates in the average
        self._losses: list[float] = []  # the held-out loss of every evaluation
        self._begun = kind in ("ema", "asgd")

    @torch.no_grad()
    def update(self) -> None:
        """Add the current weights to the average."""
        if not self._begun:
            return
        if not self._averages:
            self._averages = [weight.detach().clone() for weight in self._weights]
        self._count += 1
        share = 1 / self._count
        if self._kind == "ema":
            share = 1 - min(self._decay, (1 + self._count) / (10 + self._count))
        for average, weight in zip(self._averages, self._weights, strict=True):
            average.lerp_(weight, share)

    def evaluated(self, loss: float) -> None:
        """Take note of a held-out loss (nats per token): `nt-asgd` may begin to average."""
        earlier = self._losses[: max(0, len(self._losses) - NT_ASGD_PATIENCE)]
        if self._kind == "nt-asgd" and earlier and loss > min(earlier):
            self._begun = True
        self._losses.append(loss)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the averages into the network; restore the weights at the end."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        if not self._averages:
            return
        for average, weight in zip(self._averages, self._weights, strict=True):
            kept = weight.clone()
            weight.copy_(average)
            average.copy_(kept)

    def state_dict(self) -> dict[str, Any]:
        """The state of the average for a checkpoint."""
        averages, count = self._averages, self._count
        return {"averages": averages, "count": count, "losses": self._losses, "begun": self._begun}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        device = self._weights[0].device
        self._averages = [average.to(device) for average in state["averages"]]
        self._count, self._losses, self._begun = (state[k] for k in ("count", "losses", "begun"))
