"""Kaldi's text lattices."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from lmscore.errors import InputError, OptionError
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.lattices import (
    Lattice,
    LatticeOptions,
    Scores,
    all_paths,
    read_lattices,
    render_lattices,
    rescore_lattice,
    write_lattices,
)
from tests.runtime.rescoring.lattices.conftest import ReadText
from tests.runtime.rescoring.lattices.drawn import make_lattice

WORDS = "<eps> 0\nthe 1\ncat 2\nsat 3\n#0 4\n"
COMPACT = """\
utt-1\x20
0\t1\t1\t1.5,10,1_2_2
0\t1\t2\t2,20.25,
1\t2\t0\t0,0,
1\t2\t3
2\t0.5,1e+01,7_8
1

utt-2\x20

utt-3\x20
0\t1,2,
"""
UNCOMPACTED = """\
utt-1\x20
0\t1\t17\t1\t1.5,10
0\t1\t18\t0
1\t2\t19\t2\t0,Infinity
1\t2\t0\t3\t0,1
2\t0.5,1

"""


def texts(lattice: Lattice) -> list[str]:
    return sorted(path.text for path in all_paths(lattice))


def test_compact_lattices(read_text: ReadText) -> None:
    first, empty, last = read_text(COMPACT, symbols=WORDS)
    assert [(a.start, a.end, a.word, a.scores) for a in first.arcs] == [
        (0, 1, "the", Scores(-10, -1.5)),
        (0, 1, "cat", Scores(-20.25, -2)),
        (1, 2, "", Scores()),
        (1, 2, "sat", Scores()),
    ]
    assert first.finals == {2: Scores(-10, -0.5), 1: Scores()}
    assert (first.id, len(first.nodes), first.start) == ("utt-1", 3, 0)
    assert (empty.id, empty.nodes, texts(empty)) == ("utt-2", (), [""])
    assert (last.finals, texts(last)) == ({0: Scores(-2, -1)}, [""])


def test_uncompacted_lattices(read_text: ReadText) -> None:
    (lattice,) = read_text(UNCOMPACTED, symbols=WORDS)
    assert [(a.start, a.end, a.word, a.scores) for a in lattice.arcs] == [
        (0, 1, "the", Scores(-10, -1.5)),
        (0, 1, "", Scores()),
        (1, 2, "cat", Scores(-math.inf, 0)),
        (1, 2, "sat", Scores(-1, 0)),
    ]
    assert lattice.finals == {2: Scores(-1, -0.5)}


def test_words_may_be_spelt(read_text: ReadText) -> None:
    (lattice,) = read_text("utt \n9999999999 0 the 1,2,\n0 1 <eps> 1,2,\n1 2 </s>\n2\n")
    assert [arc.word for arc in lattice.arcs] == ["the", "", "</s>"]
    assert (lattice.start, len(lattice.nodes)) == (0, 4)


@pytest.mark.parametrize("text", [COMPACT, COMPACT + "\n \n", "\ufeff\n" + COMPACT, UNCOMPACTED])
def test_what_was_read_is_written_as_it_was(read_text: ReadText, text: str) -> None:
    assert "".join(render_lattices(read_text(text, symbols=WORDS), "kaldi-lattice")) == text


def test_line_ends_of_windows_stay(read_text: ReadText) -> None:
    text = COMPACT.replace("\n", "\r\n")
    assert "".join(render_lattices(read_text(text, symbols=WORDS), "kaldi-lattice")) == text


def test_an_archive_that_just_stops_can_be_followed(read_text: ReadText) -> None:
    for cut in ("\n", ""):
        lattices = read_text("a \n0 1 the\n1" + cut)
        text = "".join(render_lattices(lattices * 2, "kaldi-lattice"))
        assert text == f"a \n0 1 the\n1\n\na \n0 1 the\n1{cut}"


@pytest.mark.parametrize("text", [COMPACT, UNCOMPACTED])
def test_a_rescored_lattice_keeps_alignments(
    read_text: ReadText, lm: LanguageModel, text: str
) -> None:
    lattice = read_text(text, symbols=WORDS)[0]
    options = LatticeOptions(order=None, beam=None, max_tokens=None)
    rescored = rescore_lattice(lm, lattice, options)
    written = "".join(render_lattices([rescored.lattice], "kaldi-lattice"))
    (again,) = read_text(written, symbols=WORDS)
    totals = sorted((p.words, p.total) for p in all_paths(again))
    expected = sorted((p.words, p.total) for p in all_paths(rescored.lattice))
    assert [words for words, _ in totals] == [words for words, _ in expected]
    assert [t for _, t in totals] == pytest.approx([t for _, t in expected], abs=1e-6)
    kept = ("1_2_2\n", "7_8\n") if text is COMPACT else ("\t17\t1\t", "\t0\t3\t")
    assert all(part in written for part in kept)


def test_a_rescored_lattice_by_hand(read_text: ReadText, lm: LanguageModel) -> None:
    (lattice,) = read_text("utt \n5 1 the 4,10,1_2\n1 6,20,3\n\n")
    options = LatticeOptions(lm_weight=0.0, old_lm_weight=0.25)
    written = render_lattices([rescore_lattice(lm, lattice, options).lattice], "kaldi-lattice")
    assert "".join(written) == "utt \n0\t1\tthe\t1,10,1_2\n1\t1.5,20,3\n\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 1 the\n", "line 1: expected an utterance's id, got '0 1 the'"),
        ("utt \n0 1 a b c d\n", "line 2: 6 columns; an arc has 3 to 5, a final state 1 or 2"),
        ("utt \nx 1 a\n", "line 2, column 1: 'x' is no number of a node, arc or word"),
        ("utt \n0 -1 a\n", "line 2, column 2: '-1' is no number of a node, arc or word"),
        ("utt \n0 1 a 1,x,\n", "line 2, column 4, acoustic cost: 'x' is no number"),
        (
            "utt \n0 1 a BadNumber,1,\n",
            "line 2, column 4, graph cost: 'BadNumber' is no number",
        ),
        (
            "utt \n0 1 a 1,-Infinity,\n",
            (
                "line 2, column 4, acoustic cost: the score -inf cannot be used; "
                "mend it or drop the feature"
            ),
        ),
        (
            "utt \n0 1 a 1,2,3,4\n",
            "line 2, column 4: the weight '1,2,3,4' is not graph,acoustic or graph,acoustic,ids",
        ),
        ("utt \n0 1 a\n1\n1 0,0,\n", "line 4: a second final weight of state 1"),
        (
            "utt \n0 1 a 1,2,\n0 1 5 a 1,2\n1\n",
            (
                "line 3: a line of uncompacted lattices in an archive of compact ones; "
                "make them alike with Kaldi's lattice-copy"
            ),
        ),
        (
            "utt \n0 1 5 a 1,2\n1\n\nutt-2 \n0 1 a 1,2,\n1\n",
            (
                "line 6: a line of compact lattices in an archive of uncompacted ones; "
                "make them alike with Kaldi's lattice-copy"
            ),
        ),
        (
            "utt \n0 1 a\n1 2 b\n2 1 c\n2\n",
            "line 4: this arc is part of a cycle; lattice 'utt' must be acyclic",
        ),
        (
            "utt \n0 0 a\n0\n",
            "line 2: this arc is part of a cycle; lattice 'utt' must be acyclic",
        ),
        ("\nutt \n0 1 a\n", "line 2: lattice 'utt' has no final node; is the file complete?"),
        (
            "utt \n0 1 a\n2 3 b\n3\n",
            (
                "line 1: lattice 'utt': no path of probability above 0 leads from its start "
                "to a final node"
            ),
        ),
        (
            "utt \n0 1 12 1,2,\n1\n",
            (
                "line 2: the words are numbers, such as 12; give the symbol table they come from "
                "(words.txt)"
            ),
        ),
        (
            "utt \n0 1 #0 1,2,\n1\n",
            "line 2, column 3: the disambiguation symbol '#0' does not belong in a lattice",
        ),
    ],
)
def test_errors(read_text: ReadText, tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_text(text, "kaldi-lattice")
    assert str(caught.value) == f"{tmp_path / 'lat'}, {message}"


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("9", "column 3: no word has the number 9 in the symbol table"),
        ("the", "column 3: 'the' is no number of a node, arc or word"),
        ("4", "column 3: the disambiguation symbol '#0' does not belong in a lattice"),
    ],
)
def test_words_that_are_not_in_the_table(read_text: ReadText, label: str, message: str) -> None:
    with pytest.raises(InputError, match=f"lat, line 2, {message}$"):
        read_text(f"utt \n0 1 {label} 1,2,\n1\n", symbols=WORDS)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("the 1\ncat\n", "line 2: expected a word and its number, got 'cat'"),
        ("the x\n", "line 1: expected a word and its number, got 'the x'"),
        ("the 1\ncat 1\n", "line 2: a second word with the number 1"),
    ],
)
def test_tables_that_are_none(read_text: ReadText, table: str, message: str) -> None:
    with pytest.raises(InputError, match=f"words.txt, {message}$"):
        read_text(COMPACT, symbols=table)


def test_lattices_of_another_origin(tmp_path: Path) -> None:
    lattice = make_lattice([(0, 1, "the", -2.0, -1.0), (1, 2, "", 0.0, 0.0)], {2: -0.5})
    table = tmp_path / "words.txt"
    table.write_text(WORDS)
    rendered = render_lattices([lattice], "kaldi-lattice", symbols=table)
    assert "".join(rendered) == "utt \n0\t1\t1\t1,2,\n1\t2\t0\t0,0,\n2\t0.5,0,\n\n"
    assert "\tthe\t" in "".join(render_lattices([lattice], "kaldi-lattice"))
    with pytest.raises(OptionError, match=r"^lattice 'utt': the word 'dog' is not in"):
        list(
            render_lattices(
                [make_lattice([(0, 1, "dog", 0.0, 0.0)], {1: 0})], "kaldi-lattice", symbols=table
            )
        )


def test_a_packed_archive(read_text: ReadText, tmp_path: Path) -> None:
    lattices = read_text(COMPACT.replace("\t1\t1\t", "\t1\tthe\t"))
    write_lattices(lattices, tmp_path / "out.gz", "kaldi-lattice")
    assert (tmp_path / "out.gz").read_bytes().startswith(b"\x1f\x8b")
    assert list(read_lattices(tmp_path / "out.gz")) == lattices
