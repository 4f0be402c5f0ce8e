"""Small word graphs drawn by hypothesis, and all their paths."""

from __future__ import annotations

import math
from collections import defaultdict

from hypothesis import strategies as st

from lmscore.runtime.rescoring.posteriors import WordGraph

Text = tuple[str, ...]

WORDS = ("a", "b", "c", "")


@st.composite
def graphs(draw: st.DrawFn) -> WordGraph:
    """Up to seven nodes with a way through all of them, words and silences on arcs."""
    last = draw(st.integers(1, 6))
    pairs = st.tuples(st.integers(0, last), st.integers(0, last)).filter(lambda p: p[0] < p[1])
    ways = draw(st.lists(pairs, max_size=8)) + [(node, node + 1) for node in range(last)]
    weights = st.integers(-600, 50).map(lambda hundredths: hundredths / 100)
    arcs = [(*way, draw(st.sampled_from(WORDS)), draw(weights)) for way in ways]
    return WordGraph.of_arcs(last + 1, arcs)


def paths(graph: WordGraph) -> list[tuple[tuple[int, ...], float]]:
    """The arcs of every path, and its probability."""
    found: list[tuple[tuple[int, ...], float]] = []
    waiting: list[tuple[int, tuple[int, ...], float]] = [(0, (), 0.0)]
    while waiting:
        node, arcs, weight = waiting.pop()
        if node == graph.num_nodes - 1:
            found.append((arcs, math.exp(weight)))
        for arc, start in enumerate(graph.starts):
            if start == node:
                waiting.append((graph.ends[arc], (*arcs, arc), weight + graph.log_weights[arc]))
    total = sum(weight for _, weight in found)
    return [(arcs, weight / total) for arcs, weight in found]


def texts(graph: WordGraph) -> dict[Text, float]:
    """The probability of every text."""
    found: dict[Text, float] = defaultdict(float)
    for arcs, probability in paths(graph):
        found[tuple(word for arc in arcs if (word := graph.words[arc]))] += probability
    return found
