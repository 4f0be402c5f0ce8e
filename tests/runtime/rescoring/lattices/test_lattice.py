"""The lattice as a value."""

from __future__ import annotations

import math

import pytest
from hypothesis import given

from lmscore.errors import InputError
from lmscore.runtime.rescoring.lattices import (
    Arc,
    Lattice,
    Scales,
    Scores,
    all_paths,
    n_best,
    render_lattices,
    word_graph,
)
from tests.runtime.rescoring.lattices.conftest import ReadText
from tests.runtime.rescoring.lattices.drawn import lattices, make_lattice


def test_what_the_scores_count() -> None:
    scales = Scales(acoustic=0.5, lm=2, word_penalty=-1, old_weight=0.25, new_weight=0.75)
    scores = Scores(acoustic=-10, lm=-4, other=-3, new_lm=-8)
    assert scales.lm_score(scores) == -7
    assert scales.total(scores, 2) == -5 - 14 - 3 - 2


def test_a_weight_of_zero_outweighs_a_probability_of_zero() -> None:
    assert Scales(old_weight=0).total(Scores(lm=-math.inf)) == 0
    assert Scales(lm=0).total(Scores(lm=-math.inf, acoustic=-1)) == -1
    silent = Scales(acoustic=0)
    assert silent.total(Scores(lm=-1, acoustic=-math.inf)) == -1
    arcs = (Arc(0, 1, "a", Scores(acoustic=-math.inf)), Arc(0, 1, "b", Scores(acoustic=-2)))
    lattice = Lattice("utt", (None, None), 0, arcs, {1: Scores()})
    assert word_graph(lattice, silent).arc_posteriors == pytest.approx([0.5, 0.5, 1])
    assert [path.total for path in n_best(lattice, 3, silent)] == [0, 0]


def test_levels_are_of_the_longest_ways() -> None:
    rows = [(0, 3, "a", 0.0, 0.0), (0, 1, "b", 0.0, 0.0), (1, 3, "c", 0.0, 0.0)]
    assert make_lattice([*rows, (0, 2, "d", 0.0, 0.0)], {3: 0}).levels() == [[0], [1, 2], [3]]


@given(lattices())
def test_arcs_lead_upwards(lattice: Lattice) -> None:
    level_of = {node: i for i, level in enumerate(lattice.levels()) for node in level}
    place = {node: i for i, node in enumerate(lattice.order)}
    assert level_of.keys() == set(range(len(lattice.nodes)))
    assert all(level_of[arc.start] < level_of[arc.end] for arc in lattice.arcs)
    assert all(place[arc.start] < place[arc.end] for arc in lattice.arcs)
    assert lattice.cyclic_arc() is None


@given(lattices())
def test_the_best_completion_of_the_start_is_the_best_path(lattice: Lattice) -> None:
    best = max(path.total for path in all_paths(lattice))
    assert lattice.completions(lattice.scales)[0] == pytest.approx(best)


def test_a_node_without_an_end_has_no_completion() -> None:
    rows = [(0, 1, "a", 0.0, -1.0), (0, 2, "b", 0.0, 0.0)]
    assert make_lattice(rows, {1: -2}).completions(Scales()) == [-3, -2, -math.inf]


def test_a_cycle() -> None:
    rows = [(0, 1, "a"), (1, 2, "b"), (2, 3, "c"), (3, 1, "d"), (3, 4, "e")]
    lattice = make_lattice([(*row, 0.0, 0.0) for row in rows], {4: 0})
    number = lattice.cyclic_arc()
    assert number is not None
    assert rows[number][2] in "bcd"
    with pytest.raises(InputError, match=r"^lattice 'utt' has a cycle$"):
        _ = lattice.order


MARKED = {
    "kaldi-lattice": "u\n0 1 <sos/eos> 1,1,\n1 2 the 1,1,\n2 3 <blank> 1,1,\n3 4 <eos> 1,1,\n4\n\n",
    "htk-slf": """N=5 L=4
I=0
I=1
I=2
I=3
I=4
J=0 S=0 E=1 W=<sos/eos>
J=1 S=1 E=2 W=the
J=2 S=2 E=3 W=<blank>
J=3 S=3 E=4 W=<eos>
""",
    "srilm-pfsg": """name u
nodes 6 NULL <sos/eos> the <blank> <eos> NULL
initial 0
final 5
transitions 5
0 1 0
1 2 0
2 3 0
3 4 0
4 5 0

""",
    "srilm-mesh": """numaligns 4
posterior 1
align 0 <sos/eos> 1
align 1 the 1
align 2 <blank> 1
align 3 <eos> 1
""",
}


@pytest.mark.parametrize("lattice_format", MARKED)
def test_marks_of_recognisers_are_no_words(read_text: ReadText, lattice_format: str) -> None:
    (lattice,) = read_text(MARKED[lattice_format], lattice_format)
    assert [path.text for path in all_paths(lattice)] == ["the"]
    assert "".join(render_lattices([lattice], lattice_format)) == MARKED[lattice_format]
