"""Posterior probabilities of arcs are those that enumeration finds."""

from __future__ import annotations

import math
import time
from collections import defaultdict

import pytest
from hypothesis import given

from lmscore.errors import InputError
from lmscore.runtime.rescoring.posteriors import WordGraph
from tests.runtime.rescoring.posteriors.drawn import graphs, paths, texts


@given(graphs())
def test_posteriors_of_arcs(graph: WordGraph) -> None:
    expected: dict[int, float] = defaultdict(float)
    for arcs, probability in paths(graph):
        for arc in arcs:
            expected[arc] += probability
    found = dict(enumerate(graph.arc_posteriors))
    assert found == pytest.approx({arc: expected[arc] for arc in found})


@given(graphs())
def test_what_leaves_a_node_adds_up_to_one(graph: WordGraph) -> None:
    for steps in graph.leaving[:-1]:
        assert sum(step.probability for step in steps) == pytest.approx(1.0)


@given(graphs())
def test_pruning_keeps_the_arcs_that_are_likely(graph: WordGraph) -> None:
    assert texts(graph.pruned(0.0)) == pytest.approx(texts(graph))
    kept = graph.pruned(0.3)
    likely = sum(posterior >= 0.3 for posterior in graph.arc_posteriors)
    assert len(kept.starts) in (likely, len(graph.starts))


def test_a_list_is_a_graph() -> None:
    said = [("a", "b"), ("a", "c"), (), ("a", "b")]
    graph = WordGraph.of_texts(said, [math.log(w) for w in (1, 2, 3, 4)])
    assert texts(graph) == pytest.approx({("a", "b"): 0.5, ("a", "c"): 0.2, (): 0.3})
    assert len(graph.words) == 3 + 4  # the beginning "a" is shared


def test_weights_of_any_size() -> None:
    graph = WordGraph.of_texts([["a"], ["b"]], [-1e6, -1e6 + math.log(3)])
    assert graph.arc_posteriors == pytest.approx([0.25, 0.75, 0.25, 0.75])


def test_no_path() -> None:
    message = "no path of a weight above 0: there are no posterior probabilities"
    with pytest.raises(InputError, match=message):
        WordGraph.of_texts([["a"]], [-math.inf])
    with pytest.raises(InputError, match=message):
        WordGraph.of_texts([], [])


def test_impossible_arcs_are_left_out() -> None:
    graph = WordGraph.of_texts([["a"], ["b"]], [-math.inf, -7.0])
    assert texts(graph) == {("a",): 0.0, ("b",): 1.0}
    assert [step.word for step in graph.leaving[0]] == ["b"]


def test_many_arcs_take_linear_time() -> None:
    """2 ** 20000 paths, whose weights are far beyond what a float holds."""
    arcs = [(node, node + 1, word, -500.0) for node in range(20000) for word in ("a", "b")]
    begin = time.process_time()
    posteriors = WordGraph.of_arcs(20001, arcs).arc_posteriors
    assert posteriors == pytest.approx([0.5] * 40000)
    assert time.process_time() - begin < 5
