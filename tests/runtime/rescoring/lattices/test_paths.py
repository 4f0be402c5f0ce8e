"""The best paths are those that enumeration finds."""

from __future__ import annotations

import heapq
import math
from typing import Any

import pytest
from hypothesis import given

from lmscore.runtime.rescoring.lattices import (
    Lattice,
    LatticePath,
    Scales,
    all_paths,
    n_best,
    paths,
)
from tests.runtime.rescoring.lattices.drawn import lattices, make_lattice


def best_of_each_text(lattice: Lattice) -> dict[tuple[str, ...], float]:
    best: dict[tuple[str, ...], float] = {}
    for path in all_paths(lattice):
        best[path.words] = max(path.total, best.get(path.words, path.total))
    return best


@given(lattices())
def test_all_texts_best_first(lattice: Lattice) -> None:
    expected = best_of_each_text(lattice)
    found = n_best(lattice, 1000)
    assert {path.words: path.total for path in found} == pytest.approx(expected)
    assert len(found) == len(expected)
    totals = [path.total for path in found]
    assert totals == pytest.approx(sorted(totals, reverse=True))


@given(lattices())
def test_fewer_are_the_first_of_more(lattice: Lattice) -> None:
    assert n_best(lattice, 2) == n_best(lattice, 1000)[:2]


@given(lattices())
def test_a_path_is_what_its_arcs_are(lattice: Lattice) -> None:
    for path in n_best(lattice, 3):
        assert path in set(all_paths(lattice)) or path.arcs == ()


def test_known_answers() -> None:
    rows = [
        (0, 1, "", -1.0, 0.0),
        (1, 2, "no", -5.0, -1.0),
        (0, 2, "no", -7.0, -1.0),
        (1, 2, "know", -4.0, -3.0),
        (2, 3, "", 0.0, 0.0),
    ]
    lattice = make_lattice(rows, {3: -0.5, 1: -60})
    assert [(path.text, path.total) for path in n_best(lattice, 5)] == [
        ("no", -7.5),
        ("know", -8.5),
        ("", -61),
    ]
    scaled = n_best(lattice, 1, Scales(acoustic=10, lm=1))
    assert [(path.text, path.total) for path in scaled] == [("know", -53.5)]


def test_an_empty_lattice_has_one_path_without_words() -> None:
    empty = Lattice("utt", (), 0, (), {})
    (path,) = n_best(empty, 5)
    assert isinstance(path, LatticePath)
    assert (path.text, path.arcs, path.total) == ("", (), 0)
    assert list(all_paths(empty)) == [path]


@pytest.mark.parametrize("score", [0.0, -0.1])
def test_ties_cost_no_more_than_the_results(score: float) -> None:
    """Slots of two words each: 2 ** 300 paths of one score, as the decimals add up or not."""
    rows = [(slot, slot + 1, word, score, score / 3) for slot in range(300) for word in ("a", "b")]
    lattice = make_lattice(rows, {300: 0.0})
    found = n_best(lattice, 5)
    assert len({path.words for path in found}) == 5
    assert [path.total for path in found] == pytest.approx([300 * score * 4 / 3] * 5)
    assert n_best(lattice, 1) == found[:1]


def test_what_no_result_has_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of slots of 20 words each, results leave the best path in few."""
    rows = [
        (slot, slot + 1, f"w{n}", -n - slot / 300, 0.0) for slot in range(200) for n in range(20)
    ]
    lattice = make_lattice(rows, {200: 0.0})
    pushes: list[object] = []

    def push(heap: list[Any], item: Any) -> None:
        pushes.append(item)
        heapq.heappush(heap, item)

    monkeypatch.setattr(paths, "heappush", push)
    found = n_best(lattice, 10)
    assert [path.total - found[0].total for path in found] == pytest.approx([0.0] + [-1.0] * 9)
    assert len(pushes) < 3 * 10 * 200


@given(lattices())
def test_the_best_is_the_first(lattice: Lattice) -> None:
    assert n_best(lattice, 1) == n_best(lattice, 1000)[:1]


def test_what_is_impossible_is_no_path() -> None:
    rows = [(0, 1, "a", -math.inf, 0.0), (0, 1, "b", -1.0, 0.0)]
    assert [path.text for path in n_best(make_lattice(rows, {1: 0.0}), 5)] == ["b"]
    assert n_best(make_lattice(rows[:1], {1: 0.0}), 5) == []
    assert n_best(make_lattice(rows, {1: -math.inf}), 5) == []
