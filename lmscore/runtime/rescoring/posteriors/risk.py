"""The Bayes risk of a text, its expected number of word edits, and the text with the least."""

from __future__ import annotations

from collections.abc import Sequence

from lmscore.runtime.rescoring.posteriors.edits import Rows
from lmscore.runtime.rescoring.posteriors.word_graph import WordGraph


def expected_edits(graph: WordGraph, text: Sequence[str]) -> float:
    """The expected number of word edits (Levenshtein) between a text and the paths of a graph.

    It is exact: the edits of every path, weighted by the path's posterior probability.
    """
    rows = Rows(text)
    # The probability of each row at a node, and the edits in its offset times that.
    arrived: list[dict[int, tuple[float, float]]] = [{} for _ in range(graph.num_nodes)]
    arrived[0][rows.start] = (1.0, 0.0)
    for node, steps in enumerate(graph.leaving[:-1]):
        here = arrived[node]
        for step in steps:
            there = arrived[step.end]
            for row, (probability, edits) in here.items():
                after, growth = rows.after(row, step.word) if step.word else (row, 0)
                mass = probability * step.probability
                known = there.get(after, (0.0, 0.0))
                there[after] = known[0] + mass, known[1] + edits * step.probability + growth * mass
        here.clear()  # so that memory holds the rows of a few nodes
    last = arrived[-1].items()
    return sum(edits + rows.edits(row) * probability for row, (probability, edits) in last)


def least_risk(graph: WordGraph, texts: Sequence[Sequence[str]]) -> tuple[list[float], int]:
    """The risk of each text, and the place of the first text with the least one.

    Minimum Bayes risk decoding (Stolcke et al., "Explicit word error minimization in n-best list
    rescoring", 1997).

    Args:
        graph: the distribution over what was said.
        texts: at least one; equal texts are compared once.
    """
    found: dict[tuple[str, ...], float] = {}
    for text in map(tuple, texts):
        if text not in found:
            found[text] = expected_edits(graph, text)
    risks = [found[tuple(text)] for text in texts]
    return risks, risks.index(min(risks))
