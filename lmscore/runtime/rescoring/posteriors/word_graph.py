"""A distribution over texts as an acyclic graph of words: of an n-best list, or of a lattice."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lmscore.errors import InputError
from lmscore.forks import lazy


@dataclass(frozen=True, slots=True)
class Step:
    """An arc of a graph as it leaves its start."""

    end: int
    word: str  # "" for nothing
    probability: float  # of this arc, given that a path is at its start


@dataclass(frozen=True)
class WordGraph:
    """Paths from the first node to the last one, each with a weight.

    The probability of a path is proportional to exp(sum of the log-weights of its arcs).

    Attributes:
        num_nodes: nodes are numbered from 0 in topological order.
        starts: the node that each arc leaves.
        ends: the node that each arc leads to, which has a higher number than its start.
        words: the word of each arc; "" for nothing.
        log_weights: in nats, any finite number or minus infinity.

    Raises:
        InputError: no path of a weight above 0 leads from the first node to the last.
    """

    num_nodes: int
    starts: Sequence[int]
    ends: Sequence[int]
    words: Sequence[str]
    log_weights: Sequence[float]

    def __post_init__(self) -> None:
        """Raise InputError if there is no path."""
        if self._backward[0] == -math.inf:
            raise InputError("no path of a weight above 0: there are no posterior probabilities")

    @classmethod
    def of_texts(cls, texts: Sequence[Sequence[str]], log_weights: Sequence[float]) -> WordGraph:
        """The graph of a list: a path for each text, a sequence of words.

        Texts that begin alike share the arcs of their beginning.
        """
        nodes: dict[tuple[int, str], int] = {}
        arcs: list[tuple[int, int, str, float]] = []
        ends = []
        for text in texts:
            node = 0
            for word in text:
                after = nodes.setdefault((node, word), len(nodes) + 1)
                if after == len(arcs) + 1:
                    arcs.append((node, after, word, 0.0))
                node = after
            ends.append(node)
        last = len(nodes) + 1
        arcs += [(node, last, "", w) for node, w in zip(ends, log_weights, strict=True)]
        return cls.of_arcs(last + 1, arcs)

    @classmethod
    def of_arcs(cls, num_nodes: int, arcs: Sequence[tuple[int, int, str, float]]) -> WordGraph:
        """The graph of some arcs: start, end, word and log-weight of each."""
        columns = zip(*arcs, strict=True) if arcs else ((), (), (), ())
        starts, ends, words, log_weights = map(list, columns)
        return cls(num_nodes, starts, ends, words, log_weights)

    @lazy
    def arc_posteriors(self) -> list[float]:
        """The probability that a path goes through each arc, by forward and backward sums."""
        backward, forward = self._backward, self._forward
        total = backward[0]
        columns = zip(self.starts, self.ends, self.log_weights, strict=True)
        return [math.exp(forward[s] + weight + backward[e] - total) for s, e, weight in columns]

    @lazy
    def leaving(self) -> list[list[Step]]:
        """The arcs that leave each node and that lead on to the last one, with probabilities.

        The probabilities of the arcs that leave a node add up to 1.
        """
        backward = self._backward
        leaving: list[list[Step]] = [[] for _ in range(self.num_nodes)]
        for start, end, word, weight in self._arcs():
            share = weight + backward[end]
            if share > -math.inf:
                leaving[start].append(Step(end, word, math.exp(share - backward[start])))
        return leaving

    def pruned(self, threshold: float) -> WordGraph:
        """The graph without arcs whose posterior probability is less than `threshold`.

        Arcs of the best path through a node are the likeliest ones there, so some path remains;
        a graph whose paths would all be cut is returned as it is.
        """
        kept = [
            arc
            for arc, posterior in zip(self._arcs(), self.arc_posteriors, strict=True)
            if posterior >= threshold
        ]
        try:
            return WordGraph.of_arcs(self.num_nodes, kept)
        except InputError:
            return self

    def _arcs(self) -> Iterator[tuple[int, int, str, float]]:
        return zip(self.starts, self.ends, self.words, self.log_weights, strict=True)

    @lazy
    def _forward(self) -> list[float]:
        """The log of the summed weights of the paths from the first node to each."""
        sums = [-math.inf] * self.num_nodes
        sums[0] = 0.0
        for arc in self._by_start:
            start = self.starts[arc]
            end, value = self.ends[arc], sums[start] + self.log_weights[arc]
            sums[end] = add_logs(sums[end], value)
        return sums

    @lazy
    def _backward(self) -> list[float]:
        """The log of the summed weights of the paths from each node to the last one."""
        sums = [-math.inf] * self.num_nodes
        sums[-1] = 0.0
        for arc in reversed(self._by_start):
            start = self.starts[arc]
            value = sums[self.ends[arc]] + self.log_weights[arc]
            sums[start] = add_logs(sums[start], value)
        return sums

    @lazy
    def _by_start(self) -> list[int]:
        """The arcs in the topological order of the nodes they leave."""
        return sorted(range(len(self.starts)), key=self.starts.__getitem__)


def add_logs(one: float, other: float) -> float:
    """log(exp(one) + exp(other)), without overflow."""
    if one < other:
        one, other = other, one
    return one if other == -math.inf else one + math.log1p(math.exp(other - one))
