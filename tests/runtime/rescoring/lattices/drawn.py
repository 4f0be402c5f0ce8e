"""Small lattices: given, or drawn by hypothesis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hypothesis import strategies as st

from lmscore.runtime.rescoring.lattices import Arc, Lattice, Scales, Scores
from lmscore.runtime.rescoring.lattices.lattice import END

Row = tuple[int, int, str, float, float]
"""Start, end, word, acoustic and language model score of an arc."""

_SCORES = st.integers(-900, 0).map(lambda hundredths: hundredths / 100)


def make_lattice(
    rows: Iterable[Row], finals: Mapping[int, float], *, scales: Scales | None = None
) -> Lattice:
    """A lattice that starts at node 0; the finals have language model scores."""
    arcs = tuple(Arc(s, e, word, Scores(acoustic, lm)) for s, e, word, acoustic, lm in rows)
    size = 1 + max([0, *finals, *(max(arc.start, arc.end) for arc in arcs)])
    ends = {node: Scores(lm=score) for node, score in finals.items()}
    return Lattice("utt", (None,) * size, 0, arcs, ends, scales or Scales())


@st.composite
def lattices(
    draw: st.DrawFn, *, words: tuple[str, ...] = ("the", "cat", "sat", "zebra", "")
) -> Lattice:
    """Up to six nodes, with a way through all of them; some end in arcs of </s>."""
    last = draw(st.integers(1, 5))
    steps = [(node, node + 1) for node in range(last)]
    pairs = st.tuples(st.integers(0, last), st.integers(0, last)).filter(lambda p: p[0] < p[1])
    ways = steps + draw(st.lists(pairs, max_size=6))
    rows = [(*way, draw(st.sampled_from(words)), draw(_SCORES), draw(_SCORES)) for way in ways]
    ends = {last} | draw(st.sets(st.integers(0, last), max_size=2))
    finals = {node: draw(_SCORES) for node in ends}
    if draw(st.booleans()):
        rows += [(node, last + 1, END, 0.0, score) for node, score in finals.items()]
        finals = {last + 1: 0.0}
    scales = Scales(
        acoustic=draw(st.sampled_from((1.0, 0.1))),
        lm=draw(st.sampled_from((1.0, 14.0))),
        word_penalty=draw(st.sampled_from((0.0, -0.5))),
    )
    return make_lattice(rows, finals, scales=scales)
