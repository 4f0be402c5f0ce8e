"""The paths of a lattice: the n best, or all."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from operator import itemgetter

from lmscore.runtime.rescoring.lattices.lattice import MARKS, Arc, Lattice, Scales, Scores


@dataclass(frozen=True, slots=True)
class LatticePath:
    """A path from the start of a lattice to an end."""

    words: tuple[str, ...]  # as the lattice spells them
    arcs: tuple[Arc, ...]
    scores: Scores  # the sums over the arcs and the end
    total: float  # by the scales of the search

    @property
    def text(self) -> str:
        """The words with spaces between them."""
        return " ".join(self.words)


def make_path(arcs: Sequence[Arc], end: Scores, scales: Scales) -> LatticePath:
    """The path of these arcs, given the scores of its end."""
    words = tuple(arc.word for arc in arcs if arc.word not in MARKS)
    scores = sum((arc.scores for arc in arcs), end)
    return LatticePath(words, tuple(arcs), scores, scales.total(scores, len(words)))


def all_paths(lattice: Lattice, scales: Scales | None = None) -> Iterator[LatticePath]:
    """All paths, whatever their scores; there may be very many.

    An empty lattice has one path, without words and scores, as in `n_best`.
    """
    scales = scales or lattice.scales
    if not lattice.nodes:
        yield make_path((), Scores(), scales)
        return
    waiting: list[tuple[int, tuple[Arc, ...]]] = [(lattice.start, ())]
    while waiting:
        node, arcs = waiting.pop()
        if node in lattice.finals:
            yield make_path(arcs, lattice.finals[node], scales)
        waiting += ((arc.end, (*arcs, arc)) for arc in reversed(lattice.leaving[node]))


def n_best(lattice: Lattice, n: int, scales: Scales | None = None) -> list[LatticePath]:
    """The n best texts, each with its best path, best first; fewer if there are no more.

    The search runs over word sequences, each with all nodes that it can lead to. So paths that
    differ only in times, pronunciations or silences are no duplicates, and the cost depends on the
    branches along the n results, however many paths have equal scores. An empty lattice has one
    path, without words and scores.

    The scales are by default those of the lattice.
    """
    scales = scales or lattice.scales
    if not lattice.nodes:
        return [make_path((), Scores(), scales)][:n]
    return _Search(lattice, scales).run(n)


_Chain = tuple["_Chain", Arc] | None
"""The arcs of a partial path, last arc first."""

_Reached = dict[int, tuple[float, _Chain]]
"""The nodes that a word sequence leads to, with the loss and the arcs of the best path to each."""


class _Search:
    """A best-first search over word sequences, by their loss against the best path of all.

    The loss of an arc is the best score from its start to an end of the lattice minus the best
    score through the arc. This is A* with the exact estimate, in a form where each arc of a best
    path loses exactly 0. Among equals the latest comes first, so the search goes straight to an
    end; in a lattice of ties it would otherwise visit every prefix.
    """

    def __init__(self, lattice: Lattice, scales: Scales) -> None:
        self._lattice, self._scales = lattice, scales
        self._completions = lattice.completions(scales)
        self._rank = {node: place for place, node in enumerate(lattice.order)}
        self._heap: list[tuple[float, int, _Reached | LatticePath]] = []
        self._order = count(step=-1)
        self._limit = math.inf  # no result has a higher loss
        self._known: list[float] = []  # the n smallest losses of texts that are known, negated
        self._ways: dict[int, list[tuple[float, Arc]]] = {}

    def run(self, n: int) -> list[LatticePath]:
        found: list[LatticePath] = []
        if n < 1 or self._completions[self._lattice.start] == -math.inf:
            return found
        self._know([0.0], n)
        self._push(0.0, {self._lattice.start: (0.0, None)})
        while self._heap and len(found) < n:
            _, _, item = heappop(self._heap)
            if isinstance(item, LatticePath):
                found.append(item)
                continue
            losses = []
            for reached in self._following(item).values():
                losses.append(min(loss for loss, _ in reached.values()))
                self._push(losses[-1], reached)
            losses += self._end(item)
            # One of the texts is the one that was known; the others are new.
            self._know(sorted(losses)[1:], n)
        return found

    def _know(self, losses: Sequence[float], n: int) -> None:
        """Lower the limit to the n-th smallest loss of all texts: each has its exact loss."""
        for loss in losses:
            heappush(self._known, -loss)
            if len(self._known) > n:
                heappop(self._known)
        if len(self._known) == n:
            self._limit = -self._known[0]

    def _push(self, loss: float, item: _Reached | LatticePath) -> None:
        heappush(self._heap, (loss, next(self._order), item))

    def _following(self, reached: _Reached) -> dict[str, _Reached]:
        """The next words and the nodes they lead to; adds nodes after epsilons to `reached`."""
        following: dict[str, _Reached] = {}
        waiting = sorted((self._rank[node], node) for node in reached)
        while waiting:
            _, node = heappop(waiting)
            before, chain = reached[node]
            for own, arc in self._leaving(node):
                loss = before + own
                if loss > self._limit:
                    break
                is_silent = arc.word in MARKS
                target = reached if is_silent else following.setdefault(arc.word, {})
                known = target.get(arc.end)
                if is_silent and known is None:
                    heappush(waiting, (self._rank[arc.end], arc.end))
                if known is None or loss < known[0]:
                    target[arc.end] = loss, (chain, arc)
        return following

    def _leaving(self, node: int) -> list[tuple[float, Arc]]:
        """The arcs from a node that results may have, with their losses, the smallest first."""
        ways = self._ways.get(node)
        if ways is None:
            best, ways = self._completions[node], []
            for arc in self._lattice.leaving[node]:
                through = self._scales.total(arc.scores, arc.num_words) + self._completions[arc.end]
                if through > -math.inf and best - through <= self._limit:
                    ways.append((best - through, arc))
            ways.sort(key=itemgetter(0))
            self._ways[node] = ways
        return ways

    def _end(self, reached: _Reached) -> list[float]:
        """Push the best path with these words only, if a path can end here; give its loss."""
        ends = [
            (loss + (self._completions[node] - self._scales.total(finals[node])), node)
            for node, (loss, _) in reached.items()
            if node in (finals := self._lattice.finals)
        ]
        loss, node = min(ends, default=(math.inf, 0))
        if loss > self._limit or loss == math.inf:
            return []
        self._push(
            loss, make_path(_arcs(reached[node][1]), self._lattice.finals[node], self._scales)
        )
        return [loss]


def _arcs(chain: _Chain) -> list[Arc]:
    arcs = []
    while chain is not None:
        chain, arc = chain
        arcs.append(arc)
    return arcs[::-1]
