"""Confusion networks hold what aligning every path with the pivot finds."""

from __future__ import annotations

import math
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.runtime.rescoring.posteriors import WordGraph, confusion_network
from tests.runtime.rescoring.posteriors.drawn import Text, graphs, texts

Found = dict[tuple[int, int, str], float]
"""By the words of the pivot before a slot, the slot's number behind them, and a word."""


def aligned(said: Text, pivot: Text) -> list[tuple[int, int, str]]:
    """The slots of the words of a text, from a whole table; the number is -1 for a pair."""
    table = [[max(i, j) for j in range(len(pivot) + 1)] for i in range(len(said) + 1)]
    for i, word in enumerate(said, 1):
        for j, other in enumerate(pivot, 1):
            pair = table[i - 1][j - 1] + (word != other)
            table[i][j] = min(pair, table[i - 1][j] + 1, table[i][j - 1] + 1)
    i, j, number, slots = len(said), len(pivot), 0, []
    while i:
        if j and table[i][j] == table[i - 1][j - 1] + (said[i - 1] != pivot[j - 1]):
            i, j, number = i - 1, j - 1, 0
            slots.append((j, -1, said[i]))
        elif table[i][j] == table[i - 1][j] + 1:
            i -= 1
            slots.append((j, number, said[i]))
            number += 1
        else:
            j, number = j - 1, 0
    return slots


def slots_of(graph: WordGraph, pivot: Text) -> Found:
    found: Found = defaultdict(float)
    for arc in confusion_network_places(graph, pivot):
        found[arc[0], arc[1], arc[2]] += arc[3]
    return found


def confusion_network_places(graph: WordGraph, pivot: Text) -> list[tuple[int, int, str, float]]:
    """The words of a confusion network by their slots, as `aligned` names them."""
    places, before, gap = [], 0, []
    for slot in [*confusion_network(graph, pivot).slots, None]:
        if slot is not None and not slot.word:
            gap.append(slot)
            continue
        for number, between in enumerate(reversed(gap)):
            rows = between.probabilities.items()
            places += [(before, number, word, share) for word, share in rows if word]
        gap = []
        if slot is not None:
            rows = slot.probabilities.items()
            places += [(before, -1, word, share) for word, share in rows if word]
            before += 1
    return places


@given(graphs(), st.lists(st.sampled_from("abd"), max_size=6).map(tuple))
def test_networks_are_what_enumeration_finds(graph: WordGraph, pivot: Text) -> None:
    expected: Found = defaultdict(float)
    for said, probability in texts(graph).items():
        for place in aligned(said, pivot):
            expected[place] += probability
    assert slots_of(graph, pivot) == pytest.approx(dict(expected), abs=1e-9)
    for slot in confusion_network(graph, pivot).slots:
        assert sum(slot.probabilities.values()) == pytest.approx(1.0)
        shares = list(slot.probabilities.values())
        assert shares == sorted(shares, reverse=True)


def test_known_answer() -> None:
    said = [("he", "passed", "the", "door"), ("he", "past", "door"), ("well", "he", "passed")]
    graph = WordGraph.of_texts(said, [math.log(p) for p in (0.5, 0.3, 0.2)])
    network = confusion_network(graph, said[0])
    assert [slot.word for slot in network.slots] == ["", *said[0]]
    expected = [
        {"": 0.8, "well": 0.2},
        {"he": 1.0},
        {"passed": 0.7, "": 0.3},
        {"the": 0.5, "past": 0.3, "": 0.2},
        {"door": 0.8, "": 0.2},
    ]
    for slot, shares in zip(network.slots, expected, strict=True):
        assert dict(slot.probabilities) == pytest.approx(shares)
    assert network.confidences == pytest.approx([1.0, 0.7, 0.5, 0.8])
    assert network.best == ["he", "passed", "the", "door"]


def test_of_nothing() -> None:
    network = confusion_network(WordGraph.of_texts([()], [0.0]), ())
    assert (network.slots, network.confidences, network.best) == ((), [], [])
