"""Confusion networks: the words that compete at each place of a text, with their probabilities.

All paths of a graph are aligned with one text, the pivot, by the fewest word edits (Hakkani-Tür and
Riccardi, "A general algorithm for word graph matrix decomposition", 2003, align with a pivot by
times). A word that a path has and the pivot lacks gets a slot of its own between two words.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lmscore.runtime.rescoring.posteriors.edits import Rows
from lmscore.runtime.rescoring.posteriors.word_graph import WordGraph

_NOTHING = 1e-12  # what remains of 1 may be this much below 0 by rounding


@dataclass(frozen=True, slots=True)
class Slot:
    """A place of a confusion network.

    Attributes:
        word: the word of the pivot; "" in a slot between its words.
        probabilities: of each word, likeliest first; "" for nothing. They add up to 1.
    """

    word: str
    probabilities: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ConfusionNetwork:
    """The slots of a text and of the words that may stand between its words."""

    slots: tuple[Slot, ...]

    @property
    def confidences(self) -> list[float]:
        """For each word of the pivot, the probability that it was said there."""
        return [slot.probabilities.get(slot.word, 0.0) for slot in self.slots if slot.word]

    @property
    def best(self) -> list[str]:
        """The likeliest word of each slot, where that is a word."""
        likeliest = (next(iter(slot.probabilities)) for slot in self.slots)
        return [word for word in likeliest if word]


_Place = tuple[int, int]
"""The words of the pivot before a place, and the number of words after the place in its gap."""


def confusion_network(graph: WordGraph, pivot: Sequence[str]) -> ConfusionNetwork:
    """The confusion network of a graph along a text; its probabilities are exact sums over paths.

    Of several alignments with the fewest edits, one is taken for each path as `Rows.position` says.
    """
    rows = Rows(pivot)
    passed = _rows_at_nodes(graph, rows)
    paired: list[dict[str, float]] = [defaultdict(float) for _ in pivot]
    inserted: dict[_Place, dict[str, float]] = {}
    # For each row at a node: where the alignment of the rest of a path begins, with probabilities.
    places: list[dict[int, dict[_Place, float]]] = [{} for _ in range(graph.num_nodes)]
    places[-1] = {row: {(len(pivot), 0): 1.0} for row in passed[-1]}
    for node in range(graph.num_nodes - 2, -1, -1):
        for row, probability in passed[node].items():
            here: dict[_Place, float] = defaultdict(float)
            for step in graph.leaving[node]:
                after = rows.after(row, step.word)[0] if step.word else row
                for place, share in places[step.end][after].items():
                    mass = share * step.probability
                    if not step.word:
                        here[place] += mass
                        continue
                    (reached, number), counted = place, probability * mass
                    before, is_pair = rows.position(row, step.word, reached)
                    if is_pair:
                        paired[before][step.word] += counted
                        here[before, 0] += mass
                        continue
                    if before < reached:  # words of the pivot that the path lacks lie between
                        number = 0
                    slot = inserted.setdefault((before, number), defaultdict(float))
                    slot[step.word] += counted
                    here[before, number + 1] += mass
            places[node][row] = here
    return _network(pivot, paired, inserted)


def _rows_at_nodes(graph: WordGraph, rows: Rows) -> list[dict[int, float]]:
    """The rows that occur at each node, with the probability of passing there with that row."""
    passed: list[dict[int, float]] = [defaultdict(float) for _ in range(graph.num_nodes)]
    passed[0][rows.start] = 1.0
    for node, steps in enumerate(graph.leaving):
        for step in steps:
            there = passed[step.end]
            for row, probability in passed[node].items():
                after = rows.after(row, step.word)[0] if step.word else row
                there[after] += probability * step.probability
    return passed


def _network(
    pivot: Sequence[str],
    paired: Sequence[Mapping[str, float]],
    inserted: Mapping[_Place, Mapping[str, float]],
) -> ConfusionNetwork:
    gaps: dict[int, list[Slot]] = defaultdict(list)
    for (before, _), found in sorted(inserted.items(), key=lambda item: -item[0][1]):
        gaps[before].append(_slot("", found))
    slots = list(gaps[0])
    for place, (word, found) in enumerate(zip(pivot, paired, strict=True), 1):
        slots += [_slot(word, found), *gaps[place]]
    return ConfusionNetwork(tuple(slots))


def _slot(word: str, found: Mapping[str, float]) -> Slot:
    nothing = 1.0 - sum(found.values())
    shares = dict(found) | ({"": nothing} if nothing > _NOTHING else {})
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    return Slot(word, dict(ranked))
