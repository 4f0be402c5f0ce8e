"""The connections past a layer: what becomes of its input beside its output.

Letters in shapes: T time (tokens), B batch, D size of a layer's input, H hidden.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lmscore.bundle import Config
from lmscore.train.dropout import LockedDropout

_CARRIED = -1.0  # the bias of a gate at first: most of the input is carried on


class Connections(nn.Module):
    """The connections past all layers of a network.

    Without connections, y = h: what follows a layer reads its output alone. Residual (He et al.
    2016): y = h + x. Highway (Srivastava et al. 2015): y = g h + (1 - g) x with the gate
    g = sigmoid(W x + b). Dense (Huang et al. 2017, Godin et al. 2017): y = [x; h], so that each
    layer, and the output layer, reads the embedding and the outputs of all layers below.

    The first layer, whose input has the size of the embedding, has neither of the first two.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.kind, H = config.connections, config.hidden_size
        above = config.num_hidden_layers - 1 if self.kind == "highway" else 0
        self.gates = nn.ModuleList(nn.Linear(H, H) for _ in range(above))
        for name, weight in self.gates.named_parameters():
            if name.endswith("bias"):
                nn.init.constant_(weight, _CARRIED)

    def forward(
        self, layer: int, x: Tensor, hidden: Tensor, dropout: LockedDropout
    ) -> tuple[Tensor, Tensor]:
        """A layer's input x [T, B, D] and output [T, B, H] -> what follows reads, [T, B, D'].

        Returns that before dropout and after it. Dense connections do not drop x again.
        """
        if self.kind == "dense":
            return torch.cat([x, hidden], -1), torch.cat([x, dropout(hidden)], -1)
        if layer > 0 and self.kind == "residual":
            hidden = hidden + x
        if layer > 0 and self.kind == "highway":
            gate = torch.sigmoid(self.gates[layer - 1](x))
            hidden = x + gate * (hidden - x)
        return hidden, dropout(hidden)

    def weights(self) -> dict[str, Tensor]:
        """The tensors of model.safetensors."""
        return {
            f"highway.{name}_l{layer}": weight
            for layer, gate in enumerate(self.gates, 1)
            for name, weight in gate.named_parameters()
        }
