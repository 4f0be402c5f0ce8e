"""The posterior probabilities of a lattice are those that enumerating its paths finds."""

from __future__ import annotations

import math
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import InputError, OptionError
from lmscore.runtime.rescoring.lattices import (
    Lattice,
    Scales,
    all_paths,
    least_risk_path,
    word_confidences,
    word_graph,
)
from lmscore.runtime.rescoring.posteriors import expected_edits, least_risk
from tests.runtime.rescoring.lattices.drawn import lattices, make_lattice
from tests.runtime.rescoring.posteriors.drawn import texts

Text = tuple[str, ...]


def enumerated(lattice: Lattice, scale: float) -> dict[Text, float]:
    paths = list(all_paths(lattice))
    highest = max(path.total for path in paths)
    found: dict[Text, float] = defaultdict(float)
    for path in paths:
        found[path.words] += math.exp((path.total - highest) / scale)
    return {text: weight / sum(found.values()) for text, weight in found.items()}


@given(lattices(), st.sampled_from((None, 0.5, 3.0)))
def test_texts(lattice: Lattice, scale: float | None) -> None:
    expected = enumerated(lattice, lattice.scales.lm if scale is None else scale)
    assert texts(word_graph(lattice, posterior_scale=scale)) == pytest.approx(expected)


@given(lattices())
def test_the_least_risk(lattice: Lattice) -> None:
    """By hand for words that do not repeat: the risk of one text among all."""
    expected = enumerated(lattice, lattice.scales.lm)
    graph = word_graph(lattice)
    risks, place = least_risk(graph, list(expected))
    assert risks[place] == pytest.approx(min(expected_edits(graph, text) for text in expected))


def test_unspoken_words_and_unreached_nodes() -> None:
    rows = [(0, 1, "a", 0.0, 0.0), (1, 3, "[um]", 0.0, 0.0), (2, 3, "b", 9.0, 0.0)]
    lattice = make_lattice(rows, {3: 0.0})
    graph = word_graph(lattice, spoken=lambda word: "" if word == "[um]" else word.upper())
    assert texts(graph) == {("A",): 1.0}


def test_an_empty_lattice_says_nothing() -> None:
    assert texts(word_graph(Lattice("utt", (), 0, (), {}))) == {(): 1.0}


def test_decisions() -> None:
    """The likeliest text has more expected errors than one that shares words with the others."""
    shares = {("a", "x"): 0.4, ("y", "b"): 0.35, ("a", "b"): 0.25}
    rows = []
    for node, ((first, second), share) in enumerate(shares.items(), 1):
        rows += [(0, node, first, math.log(share), 0.0), (node, 4, second, 0.0, 0.0)]
    lattice = make_lattice(rows, {4: 0.0})
    path = least_risk_path(lattice)
    assert path.words == ("a", "b")
    assert word_confidences(lattice, path) == pytest.approx([0.65, 0.6])
    sharp = least_risk_path(lattice, posterior_scale=0.01)
    assert sharp.words == ("a", "x")


def test_errors() -> None:
    lattice = make_lattice([(0, 1, "a", -math.inf, 0.0)], {1: 0.0})
    with pytest.raises(InputError, match=r"^lattice 'utt': no path of a weight above 0"):
        word_graph(lattice)
    with pytest.raises(OptionError, match=r"^posterior_scale must be above 0, not 0$"):
        word_graph(make_lattice([], {0: 0.0}), Scales(), posterior_scale=0)
