"""Lattices written in either format are the same lattices."""

from __future__ import annotations

import tempfile
from dataclasses import replace
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
    write_lattices,
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


NO_WORDS = {
    "kaldi-lattice": ["New York", "0", "<eps>", "#1"],
    "srilm-pfsg": ["New York", "NULL"],
    "srilm-mesh": ["New York", "*DELETE*"],
    "sphinx-lattice": ["New York", "a(2)"],
}


@pytest.mark.parametrize(("name", "words"), NO_WORDS.items())
def test_words_that_a_format_has_for_something_else(name: str, words: list[str]) -> None:
    for word in words:
        lattice = make_lattice([(0, 1, word, -1.0, 0.0), (1, 2, "b", -1.0, 0.0)], {2: 0.0})
        with pytest.raises(OptionError, match="would be read as something else in this format"):
            list(render_lattices([lattice], name))


def test_a_word_with_a_space_is_quoted() -> None:
    lattice = make_lattice([(0, 1, "New York", -1.0, 0.0)], {1: 0.0})
    (path,) = all_paths(rewritten(lattice, "htk-slf"))
    assert path.words == ("New York",)


def test_two_lattices_of_one_name(tmp_path: Path) -> None:
    lattice = make_lattice([(0, 1, "a", 0.0, 0.0)], {1: 0.0})
    found = [replace(lattice, id=name) for name in ("a/b", "a_b")]
    message = "a_b.lat: would be the file of two lattices, 'a/b' and 'a_b'; write them into two"
    with pytest.raises(OptionError, match=message):
        write_lattices(found, f"{tmp_path}/out/", "htk-slf")


@pytest.mark.parametrize("name", ["../up", "/etc/passwd", "..", "a/b/c", "a\\b", "nul\0"])
def test_ids_do_not_lead_out_of_the_directory(tmp_path: Path, name: str) -> None:
    lattice = replace(make_lattice([(0, 1, "a", 0.0, 0.0)], {1: 0.0}), id=name)
    write_lattices([lattice], f"{tmp_path}/out/", "htk-slf")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.is_file() for path in (tmp_path / "out").iterdir()] == [True]


def test_numbers_have_room_for_any_word(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("<eps> 0\n0 1\n")
    lattice = make_lattice([(0, 1, "0", -1.0, 0.0)], {1: 0.0})
    text = "".join(render_lattices([lattice], "kaldi-lattice", symbols=tmp_path / "words.txt"))
    (tmp_path / "lattice").write_text(text)
    (again,) = read_lattices(tmp_path / "lattice", symbols=tmp_path / "words.txt")
    assert [path.words for path in all_paths(again)] == [("0",)]
