"""HTK's Standard Lattice Format."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from lmscore.errors import InputError
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.lattices import (
    LatticeOptions,
    Scales,
    Scores,
    all_paths,
    render_lattices,
    rescore_lattice,
)
from tests.runtime.rescoring.lattices.conftest import ReadText
from tests.runtime.rescoring.lattices.drawn import make_lattice

ON_LINKS = """\
# made by hand
VERSION=1.1
UTTERANCE="utt 1"  new=field
lmscale=10 wdpenalty=-0.5
prscale=2
N=4   L=4
# nodes
I=0 t=0.00
I=1 t=0.25
I=2 t=0.5
I=3 t=1e0
J=0 S=0 E=1 W=!ENTER a=-10 l=0 r=-0.5
J=1 S=1 E=2 W="the" v=1 a=-20.5 l=-2
J=2 START=1 END=2 WORD=\\"cat\\303\\240 acoustic=-30 language=-1.5 x1=7
J=3 S=2 E=3 W=!NULL
"""
ON_NODES = """\
VERSION=1.0
N=4 L=4
I=0 W=!NULL
I=1 W=the  v=1
I=2 W=cat v=2
I=3 W=</s>
J=0 S=0 E=1 a=-1 l=-0.1
J=1 S=0 E=2 a=-2 l=-0.2
J=2 S=1 E=3 a=0 l=-0.3
J=3 S=2 E=3 a=0 l=-0.4
"""
EXACT = LatticeOptions(order=None, beam=None, max_tokens=None)


def as_probability(score: re.Match[str]) -> str:
    return f"{score[1]}={math.exp(float(score[2]))}"


def slf(lattice: object) -> str:
    return "".join(render_lattices([lattice], "htk-slf"))  # type: ignore[list-item]


def test_words_on_links(read_text: ReadText) -> None:
    (lattice,) = read_text(ON_LINKS)
    assert [(a.start, a.end, a.word, a.scores) for a in lattice.arcs] == [
        (0, 1, "", Scores(-10, 0, -1)),
        (1, 2, "the", Scores(-20.5, -2)),
        (1, 2, '"catà', Scores(-30, -1.5)),
        (2, 3, "", Scores()),
    ]
    assert lattice.scales == Scales(lm=10, word_penalty=-0.5)
    assert (lattice.id, lattice.start, dict(lattice.finals)) == ("utt 1", 0, {3: Scores()})


def test_words_on_nodes(read_text: ReadText) -> None:
    (lattice,) = read_text(ON_NODES, name="a.b.lat")
    assert [(a.word, a.scores.lm) for a in lattice.arcs] == [
        ("the", -0.1),
        ("cat", -0.2),
        ("</s>", -0.3),
        ("</s>", -0.4),
    ]
    assert lattice.id == "a.b"
    totals = {path.text: path.total for path in all_paths(lattice)}
    assert totals == pytest.approx({"cat": -2.6, "the": -1.4})


COMMENTED = """\
# lmscale=7 N=1
VERSION=1.0 # acscale=7
N=2 L=2 # sizes: L=0
I=0 # S=1
I=1
J=0 S=0 E=1 W=a#b a=-1 l=-2 # the first, l=-3
J=1 S=0 E=1 W="c # d" a=-1 x1=7 n=-9
"""


def test_comments_after_fields(read_text: ReadText, lm: LanguageModel) -> None:
    (lattice,) = read_text(COMMENTED)
    assert [(a.word, a.scores) for a in lattice.arcs] == [
        ("a#b", Scores(-1, -2)),
        ("c # d", Scores(-1)),
    ]
    assert lattice.scales == Scales()
    assert slf(lattice) == COMMENTED
    options = LatticeOptions(lm_weight=0, lm_scale=2, acoustic_scale=3)
    (again,) = read_text(slf(rescore_lattice(lm, lattice, options).lattice))
    assert {p.text: p.scores.lm for p in all_paths(again)} == {"a#b": -2, "c # d": 0}
    assert again.scales == Scales(lm=2, acoustic=3)


@pytest.mark.parametrize(
    ("field", "word"),
    [
        ("W='New York'", "New York"),
        ("W='it\\'s so'", "it's so"),
        ("W='tis", "'tis"),
        ("W='n'", "'n'"),  # as SRILM writes it
        ("W=\\'n\\'", "'n'"),  # as HTK writes it
        ("W='tis d='x'", "'tis"),
        ("WORD=o'", "o'"),
    ],
)
def test_apostrophes(read_text: ReadText, field: str, word: str) -> None:
    (lattice,) = read_text(f"N=2 L=1\nI=0\nI=1\nJ=0 S=0 E=1 {field} a=-1\n")
    assert [(arc.word, arc.scores) for arc in lattice.arcs] == [(word, Scores(-1))]


@pytest.mark.parametrize(
    ("utterance", "expected"),
    [
        ("/data/foo/utt1.mfc", "utt1"),
        ("'../with blanks/utt1.plp'", "utt1"),
        ("utt1.wav", "utt1"),
        ("utt1.2", "utt1.2"),
        ("'utt1'", "utt1"),
        ("/", "lat"),  # the file
    ],
)
def test_an_utterance_that_is_a_path(read_text: ReadText, utterance: str, expected: str) -> None:
    text = f"UTTERANCE={utterance}\nN=2 L=1\nI=0\nI=1\nJ=0 S=0 E=1 W=a\n"
    (lattice,) = read_text(text)
    assert lattice.id == expected
    assert slf(lattice) == text


def test_nodes_without_lines(read_text: ReadText) -> None:
    """HTK leaves them out where they have neither times nor words."""
    text = "N=3 L=3\nJ=0 S=0 E=1 W=a\nJ=1 S=0 E=1 W=b\nJ=2 S=1 E=2 W=c\n"
    (lattice,) = read_text(text)
    assert sorted(path.text for path in all_paths(lattice)) == ["a c", "b c"]
    assert slf(lattice) == text


def test_the_same_word_on_a_link_and_on_its_end(read_text: ReadText) -> None:
    (lattice,) = read_text("N=2 L=1\nI=0\nI=1 W=a\nJ=0 S=0 E=1 W=a\n")
    assert [arc.word for arc in lattice.arcs] == ["a"]


@pytest.mark.parametrize(
    ("base", "a", "l", "expected"),
    [
        ("base=10", "-2", "-1", Scores(-2 * math.log(10), -math.log(10))),
        ("base=1.0003", "-100", "-inf", Scores(-100 * math.log(1.0003), -math.inf)),
        ("base=0", "0.5", "0.25", Scores(math.log(0.5), math.log(0.25))),
        ("", "-2", "-1", Scores(-2, -1)),
        ("base=1.0", "-2", "-1", Scores(-2, -1)),  # as HTK reads it
    ],
)
def test_bases(read_text: ReadText, base: str, a: str, l: str, expected: Scores) -> None:  # noqa: E741
    rows = f"J=0 S=0 E=1 W=a a={a} l={l}\nJ=1 S=0 E=1 W=b\n"
    if base == "base=0":
        rows = rows.replace("W=b", "W=b a=1 l=1")
    (lattice,) = read_text(f"{base} wdpenalty=2\nN=2 L=2\nI=0\nI=1\n{rows}")
    assert lattice.arcs[0].scores == expected
    unit = {"base=10": math.log(10), "base=1.0003": math.log(1.0003)}.get(base, 1)
    assert lattice.scales.word_penalty == pytest.approx(2 * unit)


@pytest.mark.parametrize("text", [ON_LINKS, ON_NODES, "\ufeff" + ON_NODES, "N=0 L=0\n"])
def test_what_was_read_is_written_as_it_was(read_text: ReadText, text: str) -> None:
    (lattice,) = read_text(text)
    assert slf(lattice) == text


@pytest.mark.parametrize("base", ["base=10\n", "base=0\n", ""])
@pytest.mark.parametrize("text", [ON_LINKS, ON_NODES])
def test_a_rescored_lattice_has_the_totals_that_were_found(
    read_text: ReadText, lm: LanguageModel, text: str, base: str
) -> None:
    if base == "base=0\n":
        text = re.sub(r"\b(a|l|r|acoustic|language)=(\S+)", as_probability, text)
    (lattice,) = read_text(base + text)
    rescored = rescore_lattice(lm, lattice, EXACT)
    (again,) = read_text(slf(rescored.lattice))
    totals = sorted((p.words, p.total) for p in all_paths(again))
    expected = sorted((p.words, p.total) for p in all_paths(rescored.lattice))
    assert [words for words, _ in totals] == [words for words, _ in expected]
    assert [t for _, t in totals] == pytest.approx([t for _, t in expected], abs=1e-6)


def test_a_rescored_lattice_by_hand(read_text: ReadText, lm: LanguageModel) -> None:
    (lattice,) = read_text(ON_LINKS)
    options = LatticeOptions(lm_weight=0.0, old_lm_weight=0.5, lm_scale=20, order=1)
    assert (
        slf(rescore_lattice(lm, lattice, options).lattice)
        == """\
# made by hand
VERSION=1.1
UTTERANCE="utt 1"  new=field
lmscale=20 wdpenalty=-0.5
prscale=2
# nodes
N=4 L=4
I=0 t=0.00
I=1 t=0.25
I=2 t=0.5
I=3 t=1e0
J=0 S=0 E=1 W=!ENTER a=-10 l=0 r=-0.5
J=1 S=1 E=2 W="the" v=1 a=-20.5 l=-1
J=2 START=1 END=2 WORD=\\"cat\\303\\240 acoustic=-30 language=-0.75 x1=7
J=3 S=2 E=3 W=!NULL l=0
"""
    )


def test_histories_that_are_told_apart_end_in_one_node(
    read_text: ReadText, lm: LanguageModel
) -> None:
    (lattice,) = read_text(ON_LINKS)
    lines = slf(rescore_lattice(lm, lattice, EXACT).lattice).splitlines()
    assert "N=7 L=7" in lines
    assert [line.split("l=")[0] for line in lines[-2:]] == [
        "J=5 S=4 E=6 W=!NULL a=0 ",
        "J=6 S=5 E=6 W=!NULL a=0 ",
    ]


def test_lattices_of_another_origin(read_text: ReadText) -> None:
    rows = [(0, 1, 'a "b', -2.0, -1.0), (1, 2, "", 0.0, 0.0), (0, 1, "</s>", -1.0, 0.0)]
    lattice = make_lattice(rows, {2: -0.5}, scales=Scales(lm=3, word_penalty=-1))
    assert (
        slf(lattice)
        == """\
VERSION=1.0
UTTERANCE=utt
lmscale=3
wdpenalty=-1
N=4 L=4
I=0
I=1
I=2
I=3
J=0 S=0 E=1 W="a \\"b" a=-2 l=-1
J=1 S=1 E=2 W=!NULL a=0 l=0
J=2 S=0 E=1 W=</s> a=-1 l=0
J=3 S=2 E=3 W=!NULL a=0 l=-0.5
"""
    )
    (again,) = read_text(slf(lattice))
    assert [p.total for p in all_paths(again)] == [p.total for p in all_paths(lattice)]


def test_nodes_that_no_path_goes_through(read_text: ReadText) -> None:
    rows = [(1, 0, "a", 0.0, 0.0), (0, 2, "b", 0.0, 0.0), (0, 3, "c", 0.0, 0.0)]
    lattice = make_lattice(rows, {2: 0})
    assert "start=0\nend=2\nN=4 L=3\n" in slf(lattice)
    (again,) = read_text(slf(lattice))
    assert [path.text for path in all_paths(again)] == ["b"]


@pytest.mark.parametrize(
    ("header", "lines", "message"),
    [
        ("N=1", ["I=0"], ": no field L= with the number of links"),
        ("VERSION=1.0", ["L=1"], ": no field N= with the number of nodes"),
        ("N=x L=0", [], ", line 1, field 'N': 'x' is no number of a node, arc or word"),
        (
            "N=900000000 L=0",
            [],
            ", line 1, field 'N': 900000000 nodes, but there are 0; is the file complete?",
        ),
        (
            "N=2 L=0",
            ["I=0"],
            ", line 1, field 'N': 2 nodes, but there are 1; is the file complete?",
        ),
        ("N=1 L=0", ["I=1"], ", line 2: number 1 of 1 nodes; they are counted from 0"),
        ("N=1 L=0", ["I=0", "I=0"], ", line 3, field 'I': number 0 comes a second time"),
        ("N=1 L=0", ["what"], ", line 2: expected fields name=value, got 'what'"),
        ("N=1 L=0", ["what=0"], ", line 2: expected a node (I=) or a link (J=), got 'what=0'"),
        ("N=1 L=0", ["I=0 t=1 time=2"], ", line 2, field 'time': stands here twice"),
        ("N=1 L=0", ['I=0 W="a'], ", line 2, field 'W': '\"a' has no closing quotation mark"),
        ("N=1 L=0", ["I=0 W=\\377"], ", line 2, field 'W': the escapes in '\\\\377' are no UTF-8"),
        ("N=1 L=0 base=-2", ["I=0"], ", line 1, field 'base': -2.0 is no base of logarithms"),
        ("N=1 L=0 lmscale=x", ["I=0"], ", line 1, field 'lmscale': 'x' is no finite number"),
        ("N=1 L=0 end=1", ["I=0"], ", line 1, field 'end': there is no node 1"),
        ("N=1 L=0 dir=b", ["I=0"], ", line 1, field 'dir': only forward lattices can be rescored"),
        (
            "N=1 L=0",
            ["."],
            ", line 2: a lattice with sub-lattices cannot be rescored; expand it first",
        ),
        (
            "N=1 L=0",
            ["I=0 L=sub"],
            ", line 2, field 'L': a lattice with sub-lattices cannot be rescored; expand it first",
        ),
        (
            "SUBLAT=sub",
            ["N=0 L=0"],
            ", line 1, field 'S': a lattice with sub-lattices cannot be rescored; expand it first",
        ),
        (
            "N=2 L=0",
            ["I=0", "I=1"],
            (
                ", line 1: the lattice has several nodes that no link leads to, 0 and 1; "
                "name its start in the header (start=)"
            ),
        ),
        (
            "N=1 L=0",
            ["I=0 W=the"],
            ", line 2, field 'W': the word 'the' stands on the start, where no link leads to it",
        ),
        (
            "N=2 L=1 start=0 end=0",
            ["I=0", "I=1", "J=0 S=0 E=0 W=a"],
            ", line 4: this arc is part of a cycle; lattice 'lat' must be acyclic",
        ),
        (
            "N=3 L=2 start=0 end=2",
            ["I=0", "I=1", "I=2", "J=0 S=0 E=1", "J=1 S=1 E=1"],
            ", line 6: this arc is part of a cycle; lattice 'lat' must be acyclic",
        ),
        (
            "N=2 L=0 start=0 end=1",
            ["I=0", "I=1"],
            (
                ", line 1: lattice 'lat': no path of probability above 0 leads from its start "
                "to a final node"
            ),
        ),
    ],
)
def test_errors(
    read_text: ReadText, tmp_path: Path, header: str, lines: list[str], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_text("\n".join([header, *lines, ""]), "htk-slf")
    assert str(caught.value) == f"{tmp_path / 'lat'}{message}"


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("J=0 S=0", "a link needs S= and E=, the nodes it goes from and to"),
        ("J=0 S=0 E=2", "field 'E': there is no node 2"),
        (
            "J=0 S=0 E=1 W=b",
            "field 'W': a word on the link and another one on its end, node 1; expected one",
        ),
        ("J=0 S=0 E=1 a=x", "field 'a': 'x' is no finite number"),
        ("J=0 S=0 E=1 l=nan", "field 'l': 'nan' is no finite number"),
    ],
)
def test_errors_of_links(read_text: ReadText, link: str, message: str) -> None:
    with pytest.raises(InputError, match=r"lat, line 4[,:] " + message):
        read_text(f"N=2 L=1\nI=0\nI=1 W=a\n{link}\n")


def test_a_probability_below_0(read_text: ReadText) -> None:
    with pytest.raises(InputError, match=r"field 'a': -1 is no probability, but the lattice has"):
        read_text("base=0 N=2 L=1\nI=0\nI=1\nJ=0 S=0 E=1 W=a a=-1\n")
