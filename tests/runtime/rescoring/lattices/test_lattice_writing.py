"""Lattices written in either format are the same lattices."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given

from lmscore.errors import OptionError
from lmscore.runtime.rescoring.lattices import (
    Lattice,
    Scales,
    all_paths,
    read_lattices,
    render_lattices,
)
from tests.runtime.rescoring.lattices.drawn import lattices, make_lattice


def rewritten(lattice: Lattice, lattice_format: str) -> Lattice:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lattice"
        path.write_text("".join(render_lattices([lattice], lattice_format)))
        (again,) = read_lattices(path)
    return again


def check_same(found: Lattice, scales: Scales, factor: float, expected: Lattice) -> None:
    """All paths, with totals of which one is a multiple of the other."""
    paths = sorted((path.words, factor * path.total) for path in all_paths(found, scales))
    there = sorted((path.words, path.total) for path in all_paths(expected))
    assert [words for words, _ in paths] == [words for words, _ in there]
    assert [total for _, total in paths] == pytest.approx([total for _, total in there])


@given(lattices())
def test_htk_keeps_scores_and_scales(lattice: Lattice) -> None:
    again = rewritten(lattice, "htk-slf")
    assert again.scales == lattice.scales
    check_same(again, again.scales, 1, lattice)


@given(lattices())
def test_kaldi_has_one_scale(lattice: Lattice) -> None:
    scale = lattice.scales.lm
    again = rewritten(lattice, "kaldi-lattice")
    check_same(again, Scales(acoustic=1 / scale), scale, lattice)


def test_a_scale_that_costs_cannot_be_divided_by() -> None:
    lattice = make_lattice([(0, 1, "the", 0.0, 0.0)], {1: 0}, scales=Scales(lm=0))
    with pytest.raises(OptionError, match=r"^lattice 'utt' has the language model scale 0, which"):
        list(render_lattices([lattice], "kaldi-lattice"))
