"""What is left out while training, so that the network does not come to rely on it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Rates:
    """The share of each kind of thing that is left out, 0 to 1."""

    embedding: float = 0.0  # units of the embedded tokens
    layers: float = 0.0  # units between layers
    output: float = 0.0  # units of the last layer
    words: float = 0.0  # whole words of the vocabulary, on the input
    weights: float = 0.0  # recurrent weights


class LockedDropout(nn.Module):
    """Dropout with one mask for all time steps (Gal & Ghahramani 2016)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, H] -> [T, B, H]."""
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        mask = x.new_empty(1, x.size(1), x.size(2)).bernoulli_(keep) / keep
        return x * mask


def drop_words(matrix: Tensor, rate: float) -> Tensor:
    """An embedding [V, E] without some of its words, the others scaled by 1 / (1 - rate).

    A word that is dropped is so at all its places in the batch (Gal & Ghahramani 2016, section 4.2;
    Merity et al. 2017, section 4.3). As the output matrix, where the two are tied, it stays whole.
    """
    if rate == 0:
        return matrix
    keep = 1 - rate
    return matrix * (matrix.new_empty(len(matrix), 1).bernoulli_(keep) / keep)
