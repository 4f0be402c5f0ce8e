"""Lattices of CMU Sphinx (Sphinx-3, PocketSphinx); after what their `write` functions print.

    # -logbase 1.0001
    Frames N
    Nodes N (...)
    NUMBER WORD START FIRST-END LAST-END ...
    Initial NODE
    Final NODE
    BestSegAscr N (...)
    Edges (...)
    FROM TO SCORE
    End

A word is on a node; the score of an edge is an acoustic log-probability in the base of the header,
that of the word at its beginning. There are no language model scores and no scales.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lmscore.errors import InputError
from lmscore.runtime.rescoring.formats import Document, Line
from lmscore.runtime.rescoring.lattices.checks import (
    check_word,
    checked,
    parse_count,
    parse_number,
)
from lmscore.runtime.rescoring.lattices.file_ids import file_id
from lmscore.runtime.rescoring.lattices.format import LatticeFormat, Symbols
from lmscore.runtime.rescoring.lattices.lattice import END, MARKS, Arc, Lattice, Scores
from lmscore.runtime.rescoring.lattices.node_words import words_on_nodes

NAME = "sphinx-lattice"

_BASE = 1.0003  # of Sphinx-3, where the header does not name another
_HEAD = re.compile(r"(#[^\n]*\n|\s*\n)*Frames \d+\s*\n(#[^\n]*\n|\s*\n)*Nodes \d+", re.ASCII)
_LOGBASE = re.compile(r"#\s*-logbase\s+(\S+)")
_PRONUNCIATION = re.compile(r"\(\d+\)$")
_FILLER = re.compile(r"<[^<>]*>|\+\+.*\+\+|\[[^\[\]]*\]")


@dataclass(frozen=True, slots=True)
class SphinxNode:
    """The parts of a node's line that are kept for writing it back."""

    word: str  # with the number of its pronunciation
    frames: tuple[str, ...]  # the rest of the line


@dataclass(frozen=True, slots=True)
class SphinxSource:
    """The parts of a file that are kept for writing its lattice back."""

    header: tuple[str, ...]  # the lines before the nodes
    unit: float  # nats: the logarithm of the base


def read(document: Document, symbols: Symbols = None) -> Iterator[Lattice]:
    """Read the lattice of a file; raises InputFileError, or InputError that names the line."""
    del symbols  # words are spelt
    parts = _Parts(document)
    text = [document.start]
    for line in document.lines():
        text.append(line.text + line.end)
        parts.add(line)
    yield parts.lattice("".join(text))


def render(lattice: Lattice, symbols: Symbols = None) -> str:
    """The text of a lattice. Scores of every kind are one, divided by the acoustic scale."""
    del symbols
    if lattice.text is not None and isinstance(lattice.source, SphinxSource):
        return lattice.text
    known = lattice.source
    source = known if isinstance(known, SphinxSource) else _new_source()
    graph = words_on_nodes(lattice)
    lines = [
        *source.header,
        f"Nodes {len(graph.nodes)} (NODEID WORD STARTFRAME FIRST-ENDFRAME LAST-ENDFRAME)",
    ]
    last = len(graph.nodes) - 1
    for number, node in enumerate(graph.nodes):
        old = lattice.nodes[node.node] if lattice.nodes else None
        if not isinstance(old, SphinxNode):
            old = SphinxNode("", ("0", "0", "0"))
        is_same = old.word and _spoken(old.word) == node.word
        if not is_same:
            check_word(lattice, node.word, _PRONUNCIATION.sub("", node.word))
        word = old.word if is_same else _spelt(node.word, number, last)
        lines.append(" ".join([str(number), word, *old.frames]))
    lines += ["#", "Initial 0", f"Final {last}", "#", "BestSegAscr 0 (NODEID ENDFRAME ASCORE)", "#"]
    lines.append("Edges (FROM-NODEID TO-NODEID ASCORE)")
    divisor = (lattice.scales.acoustic or 1.0) * source.unit
    for start, end, scores in graph.arcs:
        total = lattice.scales.total(scores, int(graph.nodes[end].word not in MARKS))
        if total > -math.inf:
            lines.append(f"{start} {end} {round(total / divisor)}")
    return "\n".join([*lines, "End", ""])


def _new_source() -> SphinxSource:
    return SphinxSource((f"# -logbase {_BASE}", "#", "Frames 0", "#"), math.log(_BASE))


def _spelt(word: str, number: int, last: int) -> str:
    """A word for a node that has none of its own: an end of the sentence, or a silence."""
    if word == END or (not word and number == last):
        return "</s>"
    return word or ("<s>" if number == 0 else "<sil>")


def _spoken(word: str) -> str:
    """The word as it is read, or one of `MARKS`; fillers are nothing."""
    if word == END:
        return END
    return "" if _FILLER.fullmatch(word) else _PRONUNCIATION.sub("", word)


class _Parts:
    """A lattice while it is read."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._header: list[str] = []
        self._unit = math.log(_BASE)
        self._section = ""
        self._size: int | None = None
        self._nodes: dict[int, SphinxNode] = {}
        self._ends: dict[str, tuple[int, int]] = {}  # Initial and Final, with their lines
        self._edges: list[tuple[int, int, float, int]] = []
        self._is_complete = False

    def add(self, line: Line) -> None:
        """Take a line in; raises InputError."""
        words = line.text.split()
        where = self._document.where(line.number)
        if not words or words[0].startswith("#"):
            self._note(line, where)
        elif words[0] in ("Frames", "Nodes", "Initial", "Final", "BestSegAscr", "Edges", "End"):
            self._begin(words, line, where)
        elif self._section == "Nodes" and len(words) > 1:
            number = parse_count(words[0], where)
            if number in self._nodes:
                raise InputError(f"{where}: node {number} comes a second time")
            self._nodes[number] = SphinxNode(words[1], tuple(words[2:]))
        elif self._section == "Edges" and len(words) == 3:
            start, end = (parse_count(word, where) for word in words[:2])
            self._edges.append((start, end, parse_number(words[2], where), line.number))
        elif self._section != "BestSegAscr":
            raise InputError(f"{where}: expected a node or an edge, got {line.text.strip()!r}")

    def _note(self, line: Line, where: str) -> None:
        found = _LOGBASE.match(line.text)
        if found:
            base = parse_number(found[1], where)
            if base <= 1:
                raise InputError(f"{where}: {found[1]} is no base of logarithms")
            self._unit = math.log(base)
        if self._size is None:
            self._header.append(line.text)

    def _begin(self, words: list[str], line: Line, where: str) -> None:
        self._section = words[0]
        if self._section == "End":
            self._is_complete = True
        if len(words) < 2 and self._section != "End":
            raise InputError(f"{where}: {words[0]!r} without a value")
        if self._section == "Frames":
            self._header.append(line.text)
        elif self._section == "Nodes":
            self._size = parse_count(words[1], where)
        elif self._section in ("Initial", "Final"):
            self._ends[self._section] = parse_count(words[1], where), line.number

    def lattice(self, text: str) -> Lattice:
        """The lattice of all lines; raises InputError."""
        name = self._document.name
        if not self._is_complete:
            raise InputError(f"{name}: no line 'End'; is the file complete?")
        if self._size is None or sorted(self._nodes) != list(range(self._size)):
            raise InputError(f"{name}: {self._size} nodes, but there are {len(self._nodes)}")
        if self._ends.keys() != {"Initial", "Final"}:
            raise InputError(f"{name}: no line 'Initial N' or no line 'Final N'")
        nodes = [self._nodes[number] for number in range(self._size)]
        spoken = [_spoken(node.word) for node in nodes]
        (start, line), (final, _) = self._ends["Initial"], self._ends["Final"]
        for node, at in self._ends.values():
            self._check(node, at)
        if spoken[start]:
            raise InputError(
                f"{self._document.where(line)}: the word {nodes[start].word!r} is on the first node"
            )
        arcs = []
        for first, last, score, at in self._edges:
            self._check(first, at)
            self._check(last, at)
            arcs.append(Arc(first, last, spoken[last], Scores(acoustic=score * self._unit)))
        lattice = Lattice(
            file_id(self._document),
            tuple(nodes),
            start,
            tuple(arcs),
            {final: Scores()},
            text=text,
            source=SphinxSource(tuple(self._header), self._unit),
        )
        return checked(lattice, self._document, line, [at for *_, at in self._edges])

    def _check(self, node: int, line: int) -> None:
        if node >= len(self._nodes):
            raise InputError(f"{self._document.where(line)}: there is no node {node}")


SPHINX = LatticeFormat(
    name=NAME,
    recognises=lambda head: _HEAD.match(head) is not None,
    read=read,
    render=render,
)
