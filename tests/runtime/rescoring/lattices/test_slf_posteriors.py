"""SLF lattices with posterior probabilities of links and no other scores."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import InputError
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.lattices import (
    LatticeOptions,
    all_paths,
    read_lattices,
    render_lattices,
    rescore_lattice,
)
from tests.runtime.rescoring.lattices.conftest import ReadText

Link = tuple[int, int, float]
"""From, to, and the weight of a link in the product of its path."""

DIAMOND = """\
N=3 L=3
I=0
I=1
I=2
J=0 S=0 E=1 W=the p=1
J=1 S=1 E=2 W=cat p=0.75
J=2 S=1 E=2 W=dog p=0.25
"""


def slf(size: int, rows: list[str]) -> str:
    nodes = "".join(f"I={node}\n" for node in range(size))
    return f"N={size} L={len(rows)}\n{nodes}" + "".join(f"{row}\n" for row in rows)


def paths_of(links: list[Link], last: int, node: int = 0) -> Iterator[list[int]]:
    if node == last:
        yield []
    for number, (start, end, _) in enumerate(links):
        if start == node:
            yield from ([number, *rest] for rest in paths_of(links, last, end))


@st.composite
def drawn_links(draw: st.DrawFn) -> tuple[int, list[Link]]:
    last = draw(st.integers(1, 5))
    pairs = st.tuples(st.integers(0, last), st.integers(0, last)).filter(lambda p: p[0] < p[1])
    ways = [(node, node + 1) for node in range(last)] + draw(st.lists(pairs, max_size=6))
    return last, [(*way, draw(st.floats(0.01, 1))) for way in ways]


@given(drawn_links())
def test_paths_are_as_probable_as_the_posteriors_say(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[int, list[Link]]
) -> None:
    last, links = drawn
    paths = list(paths_of(links, last))
    products = [math.prod(links[number][2] for number in path) for path in paths]
    shares = {
        " ".join(f"w{number}" for number in path): product / sum(products)
        for path, product in zip(paths, products, strict=True)
    }
    posteriors = [0.0] * len(links)
    for path, share in zip(paths, shares.values(), strict=True):
        for number in path:
            posteriors[number] += share
    rows = [
        f"J={number} S={start} E={end} W=w{number} p={posteriors[number]!r}"
        for number, (start, end, _) in enumerate(links)
    ]
    file = tmp_path_factory.mktemp("slf") / "a.lat"
    file.write_text(slf(last + 1, rows))
    (lattice,) = read_lattices(file)
    found = {path.text: math.exp(path.scores.acoustic) for path in all_paths(lattice)}
    assert found == pytest.approx(shares)


def test_they_are_written_back_with_the_new_scores(
    read_text: ReadText, lm: LanguageModel, tmp_path: Path
) -> None:
    (lattice,) = read_text(DIAMOND)
    assert "".join(render_lattices([lattice], "htk-slf")) == DIAMOND
    options = LatticeOptions(lm_weight=1.0, order=None)
    rescored = rescore_lattice(lm, lattice, options).lattice
    (again,) = read_text("".join(render_lattices([rescored], "htk-slf")))
    totals = {path.text: path.total for path in all_paths(again)}
    expected = {
        text: math.log(share) + lm.score(text).log_prob
        for text, share in {"the cat": 0.75, "the dog": 0.25}.items()
    }
    assert totals == pytest.approx(expected, abs=1e-3)


def test_beside_other_scores_they_are_not_read(read_text: ReadText) -> None:
    (lattice,) = read_text(DIAMOND.replace("p=1", "p=1 a=-5"))
    assert [arc.scores.acoustic for arc in lattice.arcs] == [-5, 0, 0]


def test_a_posterior_of_zero(read_text: ReadText) -> None:
    (lattice,) = read_text(DIAMOND.replace("0.75", "0").replace("0.25", "1"))
    assert [path.text for path in all_paths(lattice) if path.total > -math.inf] == ["the dog"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("p=0.25", "p=-2.5", "line 7, field 'p': -2.5 is no probability"),
        ("p=0.25", "p=x", "line 7, field 'p': 'x' is no finite number"),
        (" p=0.25", "", "line 7: a link without a score; others have posteriors, p="),
    ],
)
def test_posteriors_that_are_none(read_text: ReadText, old: str, new: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_text(DIAMOND.replace(old, new))
