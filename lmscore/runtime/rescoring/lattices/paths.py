"""The paths of a lattice: the best ones, or all."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count

from lmscore.runtime.rescoring.lattices.lattice import MARKS, Arc, Lattice, Scales, Scores


@dataclass(frozen=True, slots=True)
class LatticePath:
    """A way from the start of a lattice to an end of it."""

    words: tuple[str, ...]  # as the lattice spells them
    arcs: tuple[Arc, ...]
    scores: Scores  # sums over its arcs and its end
    total: float  # by the scales it was found with

    @property
    def text(self) -> str:
        """The words with spaces between them."""
        return " ".join(self.words)


def make_path(arcs: Sequence[Arc], end: Scores, scales: Scales) -> LatticePath:
    """The path of these arcs, given what its end scores."""
    words = tuple(arc.word for arc in arcs if arc.word not in MARKS)
    scores = sum((arc.scores for arc in arcs), end)
    return LatticePath(words, tuple(arcs), scores, scales.total(scores, len(words)))


def all_paths(lattice: Lattice, scales: Scales | None = None) -> Iterator[LatticePath]:
    """Every path, whatever its score; there may be very many.

    An empty lattice has one, without words or scores, as in `n_best`.
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
    """The n best texts and the best path of each, best first; fewer where there are no more.

    Paths that differ in times, pronunciations or silences only make no duplicates: what is searched
    (A*, with the best way to an end as the estimate, which is exact) are word sequences, each with
    all the nodes that it can have led to. An empty lattice has one path, without words or scores.

    Args:
        lattice: to search.
        n: how many.
        scales: what the scores count. Default: what the lattice says.
    """
    scales = scales or lattice.scales
    if not lattice.nodes:
        return [make_path((), Scores(), scales)][:n]
    return _Search(lattice, scales).run(n)


_Chain = tuple["_Chain", Arc] | None
"""The arcs of a partial path, the last one first."""

_Reached = dict[int, tuple[float, _Chain]]
"""The nodes that a word sequence leads to, and the best way to each."""


class _Search:
    def __init__(self, lattice: Lattice, scales: Scales) -> None:
        self._lattice, self._scales = lattice, scales
        self._completions = lattice.completions(scales)
        self._rank = {node: place for place, node in enumerate(lattice.order)}

    def run(self, n: int) -> list[LatticePath]:
        order = count()  # the first found comes first among equals
        start: _Reached = {self._lattice.start: (0.0, None)}
        heap: list[tuple[float, int, _Reached | LatticePath]] = []
        self._push(heap, order, start)
        found: list[LatticePath] = []
        while heap and len(found) < n:
            _, _, item = heappop(heap)
            if isinstance(item, LatticePath):
                found.append(item)
                continue
            following = self._following(item)
            for reached in following.values():
                self._push(heap, order, reached)
            path = self._ended(item)
            if path is not None:
                heappush(heap, (-path.total, next(order), path))
        return found

    def _push(
        self,
        heap: list[tuple[float, int, _Reached | LatticePath]],
        order: Iterator[int],
        item: _Reached,
    ) -> None:
        best = max(score + self._completions[node] for node, (score, _) in item.items())
        if best > -math.inf:
            heappush(heap, (-best, next(order), item))

    def _following(self, reached: _Reached) -> dict[str, _Reached]:
        """What can be said next and where that leads; `reached` gains what needs no word."""
        following: dict[str, _Reached] = {}
        waiting = [(self._rank[node], node) for node in reached]
        waiting.sort()
        while waiting:
            _, node = heappop(waiting)
            score, chain = reached[node]
            for arc in self._lattice.leaving[node]:
                is_silent = arc.word in MARKS
                target = reached if is_silent else following.setdefault(arc.word, {})
                total = score + self._scales.total(arc.scores, arc.num_words)
                known = target.get(arc.end)
                if is_silent and known is None:
                    heappush(waiting, (self._rank[arc.end], arc.end))
                if known is None or total > known[0]:
                    target[arc.end] = total, (chain, arc)
        return following

    def _ended(self, reached: _Reached) -> LatticePath | None:
        """The best path that says no more, if it can end here."""
        ends = [
            (score + self._scales.total(self._lattice.finals[node]), node)
            for node, (score, _) in reached.items()
            if node in self._lattice.finals
        ]
        if not ends:
            return None
        _, node = max(ends)
        arcs = _arcs(reached[node][1])
        return make_path(arcs, self._lattice.finals[node], self._scales)


def _arcs(chain: _Chain) -> list[Arc]:
    arcs = []
    while chain is not None:
        chain, arc = chain
        arcs.append(arc)
    return arcs[::-1]
