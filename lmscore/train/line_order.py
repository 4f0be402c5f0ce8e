"""The lines that an epoch of sentences reads, and their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmscore.runtime.text import Ids
from lmscore.train.corpus import Corpus


@dataclass(frozen=True)
class LineOrder:
    """The lines of an epoch: all of them, or as often as the weights of their files say.

    A weight of 2.5 reads every line of a file twice, and half of the lines, drawn for the epoch,
    once more.
    """

    corpus: Corpus
    weights: Sequence[float] = ()  # of each part of the corpus; without any, each line once
    in_order: bool = False  # as in the files, and neighbours in one batch

    @property
    def tokens(self) -> int:
        """The tokens of an epoch; on average, if lines are drawn."""
        if not self.weights:
            return self.corpus.num_targets
        before = np.concatenate([[0], np.cumsum(self.corpus.targets())])
        ends = before[np.cumsum([0, *self.corpus.parts])]
        return round(float(np.diff(ends) @ np.array(self.weights)))

    def draw(self, random: np.random.Generator) -> Ids:
        """The line numbers of an epoch."""
        if not self.weights:
            lines = np.arange(self.corpus.counts.lines)
        else:
            lines = np.concatenate(self._weighted(random))
        return lines if self.in_order else random.permutation(lines)

    def _weighted(self, random: np.random.Generator) -> list[Ids]:
        found, begin = [], 0
        for count, weight in zip(self.corpus.parts, self.weights, strict=True):
            lines = np.arange(begin, begin + count)
            found += [lines] * int(weight)
            found.append(lines[random.random(count) < weight % 1])
            begin += count
        return found
