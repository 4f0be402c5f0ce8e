"""A class-factored output layer: P(w | h) = P(class of w | h) * P(w | its class, h), summing to 1.

Goodman 2001 ("Classes for fast maximum entropy training"), in the form of adaptive softmax (Grave
et al. 2017, "Efficient softmax approximation for GPUs"), which keeps matrix products large: the
most frequent words share one softmax, the head, with the classes of all others.

The classes are ranges of token ids. A word tokenizer numbers its words by falling frequency, and a
tokenizer of pieces nearly so. Any order gives a correct model, but a slower one.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from lmscore.bundle import Config
from lmscore.train.cross_entropy import linear_cross_entropy
from lmscore.train.heads import SoftmaxHead

_MOST_CLASSES = 4
"""The most classes besides the head; one more saves less than its small products cost."""

_LEAST_SHARE = 1 / 40
"""The least share of a run's tokens for which a class is charged: with fewer rows, a product takes
the time in which the processor reads the matrix.
"""

_GRID = 96
"""The number of ids that are tried as cutoffs, evenly spaced by logarithm."""

_LITTLE = 0.05
"""The extra cost, relative to the cheapest cutoffs, that a larger head may have."""


class ClassHead(SoftmaxHead):
    """A class-factored output layer; the head holds the words before the first class."""

    def __init__(self, config: Config, embedding: nn.Embedding) -> None:
        super().__init__(config, embedding)
        self.class_weight = nn.Parameter(torch.empty(len(config.cutoffs), config.output_dim))
        self.class_bias = nn.Parameter(torch.zeros(len(config.cutoffs)))
        self._classes = config.classes
        self._sizes = [config.cutoffs[0], *(ids.stop - ids.start for ids in config.classes)]

    def start(self) -> None:
        """Draw the initial weights."""
        super().start()
        nn.init.uniform_(self.class_weight, -0.1, 0.1)

    def set_bias(self, counts: Tensor) -> None:
        """Start the bias at the log unigram frequencies of words and classes."""
        super().set_bias(counts)
        with torch.no_grad():
            for number, ids in enumerate(self._classes):
                self.class_bias[number] = self.bias[ids].logsumexp(0)

    def weights(self) -> dict[str, nn.Parameter]:
        """The weights by their names in model.safetensors."""
        classes = {
            "output.classes.weight": self.class_weight,
            "output.classes.bias": self.class_bias,
        }
        return {**super().weights(), **classes}

    def _parts(self) -> list[tuple[Tensor, Tensor]]:
        """The matrix and bias of the head, with the classes in it, and of every class."""
        # One split, so that the matrix gets one gradient, not one for each part.
        matrices = list(torch.split(self.matrix, self._sizes))
        biases = list(torch.split(self.bias, self._sizes))
        matrices[0] = torch.cat([matrices[0], self.class_weight])
        biases[0] = torch.cat([biases[0], self.class_bias])
        return list(zip(matrices, biases, strict=True))

    def loss(self, features: Tensor, targets: Tensor, dtype: torch.dtype) -> Tensor:
        """Summed negative log-likelihood (nats) of targets [N]; features [N, D].

        A class is computed only for the rows whose targets are in it.
        """
        head, *parts = self._parts()
        loss = linear_cross_entropy(features, *head, self._head_targets(targets), dtype)
        for ids, part in zip(self._classes, parts, strict=True):
            rows = ((targets >= ids.start) & (targets < ids.stop)).nonzero().squeeze(1)
            within = targets[rows] - ids.start
            loss = loss + linear_cross_entropy(features[rows], *part, within, dtype)
        return loss

    def _head_targets(self, targets: Tensor) -> Tensor:
        """Replace targets outside the head by the head's columns of their classes."""
        starts = torch.tensor([ids.start for ids in self._classes], device=targets.device)
        number = torch.bucketize(targets, starts, right=True)
        return torch.where(number > 0, starts[0] + number - 1, targets)

    def log_probs(self, features: Tensor) -> Tensor:
        """[..., D] -> log-probabilities of the whole vocabulary [..., V], nats."""
        head, *parts = (F.log_softmax(F.linear(features, *part), dim=-1) for part in self._parts())
        words, *classes = torch.split(head, [self._sizes[0], *[1] * len(parts)], dim=-1)
        tails = (of_class + within for of_class, within in zip(classes, parts, strict=True))
        return torch.cat([words, *tails], dim=-1)


def choose_cutoffs(counts: NDArray[np.int64], *, recurrence: float = 0.0) -> tuple[int, ...]:
    """The ids at which classes should begin, given the frequency of each id, counts [V].

    The cost of a token is the number of rows of the output matrix by which it is multiplied: all
    rows of the head, and for each class its rows times the share of tokens in it (the model of
    computing time of Grave et al. 2017, section 4, in which a product with few rows has a least
    cost). `recurrence` is the other cost of a token, in rows. Among the cutoffs that cost little
    more than the cheapest, the ones with the largest head win: they are nearest to a single
    softmax. If a single softmax is cheapest, there are no cutoffs.
    """
    V = len(counts)
    grid = np.unique(np.geomspace(1, V, _GRID).astype(np.int64))  # from 1: the head is not empty
    mass = np.concatenate([[0], np.cumsum(counts, dtype=np.float64)])[grid]
    costs, cutoffs = _cheapest(grid, mass / max(mass[-1], 1))
    costs += recurrence
    return cutoffs[int(np.flatnonzero(costs <= costs.min() * (1 + _LITTLE))[-1])]


def _cheapest(
    grid: NDArray[np.int64], mass: NDArray[np.float64]
) -> tuple[NDArray[np.float64], list[tuple[int, ...]]]:
    """For each head that ends at a place of the grid: the least cost, and the cutoffs that have it.

    By dynamic programming from the last class back: `rest[i]` is the cost of all ids from grid[i]
    on, in at most as many classes as there were iterations.
    """
    sizes, shares = grid - grid[:, None], np.maximum(mass - mass[:, None], _LEAST_SHARE)
    cost = np.where(sizes > 0, 1 + sizes * shares, np.inf)  # and the row of the class itself
    rest = np.append(np.full(len(grid) - 1, np.inf), 0.0)
    paths: list[tuple[int, ...]] = [()] * len(grid)
    for _ in range(_MOST_CLASSES):
        through = cost + rest
        best = through.argmin(axis=1)
        better = through.min(axis=1) < rest
        paths = [
            (int(grid[i]), *paths[best[i]]) if better[i] else paths[i] for i in range(len(grid))
        ]
        rest = np.minimum(rest, through.min(axis=1))
    return grid + rest, paths
