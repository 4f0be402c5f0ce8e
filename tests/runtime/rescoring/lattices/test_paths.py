"""The best paths are those that enumeration finds."""

from __future__ import annotations

import pytest
from hypothesis import given

from lmscore.runtime.rescoring.lattices import Lattice, LatticePath, Scales, all_paths, n_best
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
