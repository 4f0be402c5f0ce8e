"""A learned initial state: weights in the place of the zeros that a row begins with.

Letters in shapes: L layers, B batch, H hidden.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lmscore.bundle import FRESH, INITIAL, Config
from lmscore.train.cells import State


class LearnedState(nn.Module):
    """The state that rows begin with which have read nothing; zeros at first."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.parts = nn.ParameterList(torch.zeros(part.shape(1)) for part in config.cell_state)
        self.names = [part.name for part in config.cell_state]

    def forward(self, state: State) -> State:
        """Replace the state [L, B, H] of fresh rows; its last part is the phase [1, B, 1]."""
        *cell, phase = state
        begun = [
            torch.where(phase == FRESH, first, part)
            for first, part in zip(self.parts, cell, strict=True)
        ]
        return (*begun, phase)

    def weights(self) -> dict[str, Tensor]:
        """The tensors of model.safetensors."""
        return {f"{INITIAL}{name}": part for name, part in zip(self.names, self.parts, strict=True)}
