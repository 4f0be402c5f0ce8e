"""The Bayes risk of texts is that of enumeration, and so is the text with the least."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.runtime.rescoring.posteriors import WordGraph, expected_edits, least_risk
from tests.runtime.rescoring.posteriors.drawn import Text, graphs, texts


def edits(one: Text, other: Text) -> int:
    row = list(range(len(other) + 1))
    for place, word in enumerate(one, 1):
        before, row = row, [place]
        for column, there in enumerate(other, 1):
            pair = before[column - 1] + (word != there)
            row.append(min(pair, before[column] + 1, row[-1] + 1))
    return row[-1]


def risk(text: Text, graph: WordGraph) -> float:
    return sum(probability * edits(text, said) for said, probability in texts(graph).items())


@given(graphs(), st.lists(st.sampled_from("abd"), max_size=7).map(tuple))
def test_the_risk_of_any_text(graph: WordGraph, text: Text) -> None:
    assert expected_edits(graph, text) == pytest.approx(risk(text, graph), abs=1e-9)


@given(graphs())
def test_the_text_with_the_least_risk(graph: WordGraph) -> None:
    said = list(texts(graph))
    risks, place = least_risk(graph, said)
    assert risks == pytest.approx([risk(text, graph) for text in said], abs=1e-9)
    assert risks[place] == min(risks)
    assert risks.index(min(risks)) == place


def test_known_answers() -> None:
    """No text but the least likely one has a word of each other text."""
    said = [("a", "x"), ("y", "b"), ("a", "b")]
    graph = WordGraph.of_texts(said, [math.log(p) for p in (0.4, 0.35, 0.25)])
    risks, place = least_risk(graph, said)
    assert risks == pytest.approx([0.35 * 2 + 0.25, 0.4 * 2 + 0.25, 0.4 + 0.35])
    assert place == 2
    assert least_risk(graph, [("a", "x"), ("a", "x")])[1] == 0


def test_long_texts_stay_quick() -> None:
    """Every word of 200 has a rival; the rows of a node are few, though the paths are not."""
    arcs = [(node, node + 1, word, 0.0) for node in range(200) for word in ("a", "b")]
    graph = WordGraph.of_arcs(201, arcs)
    assert expected_edits(graph, ["c"] * 200) == pytest.approx(200)
    assert expected_edits(graph, [str(number) for number in range(200)]) == pytest.approx(200)
