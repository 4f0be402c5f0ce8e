"""SRILM's grammars and confusion networks, and the lattices of CMU Sphinx."""

from __future__ import annotations

import math
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings

from lmscore.errors import InputError
from lmscore.runtime.rescoring.lattices import (
    Lattice,
    Scales,
    all_paths,
    n_best,
    read_lattices,
    render_lattices,
)
from tests.runtime.rescoring.lattices.conftest import ReadText
from tests.runtime.rescoring.lattices.drawn import lattices, make_lattice

# `the cat` has half of the probability of `the`, `the dog` a quarter; ln 2 * 10000.5 is 6931.8.
PFSG = """\
name one
nodes 5 NULL the cat dog NULL
initial 0
final 4
transitions 5
0 1 0
1 2 -6932
1 3 -13864
2 4 0
3 4 0

"""
MESH = """\
name two words
numaligns 2
posterior 1
align 0 the 0.9 *DELETE* 0.1
align 1 cat 0.75 dog 0.25
reference 1 cat
"""
SPHINX = """\
# getcwd: /nowhere
# -logbase 1.000100e+00
#
Frames 80
#
Nodes 6 (NODEID WORD STARTFRAME FIRST-ENDFRAME LAST-ENDFRAME)
0 </s> 60 79 79 ; 0
1 cat(2) 30 50 59
2 <sil> 25 29 29
3 dog 30 55 59
4 the 10 24 29
5 <s> 0 9 9
#
Initial 5
Final 0
#
BestSegAscr 0 (NODEID ENDFRAME ASCORE)
#
Edges (FROM-NODEID TO-NODEID ASCORE)
1 0 -200000
3 0 -300000
2 1 -10000
4 2 -20000
4 3 -25000
5 4 -100000
End
"""
TEXTS = {"srilm-pfsg": PFSG, "srilm-mesh": MESH, "sphinx-lattice": SPHINX}


def scored(lattice: Lattice) -> dict[str, float]:
    """The total of the best path of each text."""
    found: dict[str, float] = {}
    for path in all_paths(lattice):
        found[path.text] = max(path.total, found.get(path.text, -math.inf))
    return found


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_comes_back_byte_for_byte(read_text: ReadText, name: str) -> None:
    (lattice,) = read_text(TEXTS[name])
    assert "".join(render_lattices([lattice], name)) == TEXTS[name]


def test_a_grammar(read_text: ReadText) -> None:
    (lattice,) = read_text(PFSG)
    assert lattice.id == "one"
    expected = {"the cat": -math.log(2), "the dog": -math.log(4)}
    assert scored(lattice) == pytest.approx(expected, abs=1e-4)


def test_several_grammars_in_a_file(read_text: ReadText) -> None:
    both = PFSG + PFSG.replace("name one", "name two").replace("cat", "cow")
    found = read_text(both)
    assert [lattice.id for lattice in found] == ["one", "two"]
    assert n_best(found[1], 1)[0].text == "the cow"
    assert "".join(render_lattices(found, "srilm-pfsg")) == both


def test_a_probability_of_zero_in_a_grammar(read_text: ReadText) -> None:
    (lattice,) = read_text(PFSG.replace("-13864", "-2147483647"))
    assert scored(lattice)["the dog"] == -math.inf


def test_a_confusion_network(read_text: ReadText) -> None:
    (lattice,) = read_text(MESH)
    expected = {"the cat": 0.675, "the dog": 0.225, "cat": 0.075, "dog": 0.025}
    assert lattice.id == "two words"
    assert scored(lattice) == pytest.approx({text: math.log(p) for text, p in expected.items()})


def test_the_confusion_network_of_a_lattice(read_text: ReadText) -> None:
    rows = [(0, 1, "the", 0.0, 0.0), (1, 2, "cat", math.log(3), 0.0), (1, 2, "dog", 0.0, 0.0)]
    text = "".join(render_lattices([make_lattice(rows, {2: 0.0})], "srilm-mesh"))
    assert text == (
        "name utt\nnumaligns 2\nposterior 1\nalign 0 the 1\nalign 1 cat 0.75 dog 0.25\n"
    )
    (back,) = read_text(text)
    assert scored(back) == pytest.approx({"the cat": math.log(0.75), "the dog": math.log(0.25)})


def test_a_lattice_of_sphinx(read_text: ReadText) -> None:
    (lattice,) = read_text(SPHINX, name="0870.lat")
    unit = math.log(1.0001)
    assert lattice.id == "0870"
    expected = {"the cat": -330000 * unit, "the dog": -425000 * unit}
    assert scored(lattice) == pytest.approx(expected)
    assert not any(path.scores.lm for path in all_paths(lattice))


def test_the_base_of_sphinx_3_where_none_is_named(read_text: ReadText) -> None:
    (lattice,) = read_text(SPHINX.replace("# -logbase 1.000100e+00\n", ""))
    assert scored(lattice)["the cat"] == pytest.approx(-330000 * math.log(1.0003))


@pytest.mark.parametrize("name", ["srilm-pfsg", "sphinx-lattice"])
@settings(max_examples=40, deadline=None)
@given(lattice=lattices())
def test_texts_and_totals_survive(name: str, lattice: Lattice) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "lat"
        path.write_text("".join(render_lattices([lattice], name)))
        (back,) = read_lattices(path, name)
    totals = {text: total / _divisor(name, lattice) for text, total in scored(lattice).items()}
    assert scored(back) == pytest.approx(totals, abs=1e-2)


def _divisor(name: str, lattice: Lattice) -> float:
    return lattice.scales.acoustic if name == "sphinx-lattice" else 1.0


@pytest.mark.parametrize("name", ["srilm-pfsg", "sphinx-lattice", "htk-slf", "kaldi-lattice"])
@pytest.mark.parametrize("source", [PFSG, MESH, SPHINX])
def test_each_as_another(read_text: ReadText, source: str, name: str) -> None:
    (lattice,) = read_text(source)
    (back,) = read_text("".join(render_lattices([lattice], name)), name)
    assert scored(back) == pytest.approx(scored(lattice), abs=1e-2)
    assert back.scales == Scales()


def test_an_empty_lattice(read_text: ReadText) -> None:
    (empty,) = read_text("utt\n\n")
    for name in TEXTS:
        (back,) = read_text("".join(render_lattices([empty], name)), name)
        assert n_best(back, 1)[0].text == ""


@pytest.mark.parametrize(
    ("text", "found", "put", "message"),
    [
        (PFSG, "nodes 5", "nodes 6", "line 2: 6 nodes, but there are 5; is the file complete?"),
        (PFSG, "transitions 5", "transitions 6", "line 5: 6 transitions, but there are 5; is the"),
        (PFSG, "0 1 0\n", "0 1\n", "line 6: expected FROM TO COST, got '0 1'"),
        (PFSG, "0 1 0\n", "0 9 0\n", "line 6: there is no node 9"),
        (PFSG, "1 2 -6932", "1 2 x", "line 7: 'x' is no finite number"),
        (PFSG, "initial 0", "initial 0 1", "line 3: expected the number of one node"),
        (PFSG, "initial 0", "initial 1", "line 1: the word 'the' is on the initial node"),
        (PFSG, "initial 0\n", "", "line 1: the grammar has no 'initial'; is the file complete?"),
        (PFSG, "initial 0\n", "initial 0\ninitial 0\n", "line 4: a second 'initial'"),
        (PFSG, "3 4 0", "3 1 0", "is part of a cycle"),
        (MESH, "numaligns 2", "numaligns 3", "3 slots, but there are 2, numbered from 0"),
        (MESH, "align 1", "align 0", "line 5: slot 0 comes a second time"),
        (MESH, "dog 0.25", "dog", "line 5: expected pairs of a word and its probability"),
        (MESH, "dog 0.25", "dog 7", "line 5: 7 is no probability"),
        (SPHINX, "End\n", "", "no line 'End'; is the file complete?"),
        (SPHINX, "Nodes 6", "Nodes 7", "7 nodes, but there are 6"),
        (SPHINX, "Initial 5\n", "", "no line 'Initial N' or no line 'Final N'"),
        (SPHINX, "Initial 5", "Initial 8", "line 14: there is no node 8"),
        (SPHINX, "Initial 5", "Initial 4", "line 14: the word 'the' is on the first node"),
        (SPHINX, "5 4 -100000", "5 9 -100000", "line 25: there is no node 9"),
        (SPHINX, "5 4 -100000", "5 4 much", "line 25: 'much' is no finite number"),
        (SPHINX, "5 4 -100000", "5 4", "line 25: expected a node or an edge, got '5 4'"),
        (SPHINX, "1 cat(2)", "0 cat(2)", "line 8: node 0 comes a second time"),
        (SPHINX, "1.000100e+00", "1", "line 2: 1 is no base of logarithms"),
    ],
)
def test_errors(read_text: ReadText, text: str, found: str, put: str, message: str) -> None:
    assert found in text
    name = next(name for name, known in TEXTS.items() if known == text)
    with pytest.raises(InputError, match=re.escape(message)):
        read_text(text.replace(found, put, 1), name)
