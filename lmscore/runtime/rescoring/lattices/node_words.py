"""Lattices whose words are on the nodes, as SRILM's and CMU's have them."""

from __future__ import annotations

from dataclasses import dataclass

from lmscore.runtime.rescoring.lattices.lattice import Lattice, Scores


@dataclass(frozen=True, slots=True)
class WordNode:
    """A node of a lattice, or of its copy with the words on nodes."""

    node: int  # of the lattice
    word: str  # of all arcs that lead here; "" for nothing


@dataclass(frozen=True)
class NodeLattice:
    """A lattice with its words on the nodes, and one end that has no word and no scores.

    Attributes:
        nodes: the start first and the end last.
        arcs: the start and the end of each, with its scores.
    """

    nodes: tuple[WordNode, ...]
    arcs: tuple[tuple[int, int, Scores], ...]


def words_on_nodes(lattice: Lattice) -> NodeLattice:
    """The same paths, with a node for each word that leads to a node.

    An empty lattice becomes one without words.
    """
    if not lattice.nodes:
        return NodeLattice((WordNode(0, ""), WordNode(0, "")), ((0, 1, Scores()),))
    numbers: dict[WordNode, int] = {WordNode(lattice.start, ""): 0}
    for arc in lattice.arcs:
        numbers.setdefault(WordNode(arc.end, arc.word), len(numbers))
    copies: dict[int, list[int]] = {}
    for node, number in numbers.items():
        copies.setdefault(node.node, []).append(number)
    end = len(numbers)
    arcs = [
        (start, numbers[WordNode(arc.end, arc.word)], arc.scores)
        for arc in lattice.arcs
        for start in copies.get(arc.start, ())
    ]
    arcs += [
        (start, end, scores)
        for node, scores in lattice.finals.items()
        for start in copies.get(node, ())
    ]
    last = max(lattice.finals, default=lattice.start)
    return NodeLattice((*numbers, WordNode(last, "")), tuple(arcs))
