"""Dropout of units and words while training, so that the network does not come to rely on them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Rates:
    """The share that each kind of dropout leaves out, 0 to 1."""

    embedding: float = 0.0  # units of the embedded tokens
    layers: float = 0.0  # units between layers
    output: float = 0.0  # units of the last layer
    words: float = 0.0  # whole words of the vocabulary, in the input
    weights: float = 0.0  # recurrent weights


class LockedDropout(nn.Module):
    """Dropout with one mask for all time steps (Gal & Ghahramani 2016)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Drop units of x [T, B, H]."""
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        mask = x.new_empty(1, x.size(1), x.size(2)).bernoulli_(keep) / keep
        return x * mask


def drop_words(matrix: Tensor, rate: float) -> Tensor:
    """Drop words from an embedding [V, E]; the other rows are scaled by 1 / (1 - rate).

    A dropped word is dropped at all its places in the batch (Gal & Ghahramani 2016, section 4.2;
    Merity et al. 2017, section 4.3). A tied output matrix stays whole.
    """
    if rate == 0:
        return matrix
    keep = 1 - rate
    return matrix * (matrix.new_empty(len(matrix), 1).bernoulli_(keep) / keep)
