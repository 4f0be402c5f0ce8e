"""SRILM's probabilistic finite-state grammars (PFSG); after pfsg-format(5) and SRILM's Prob.h.

    name NAME
    nodes N WORD ...
    initial NODE
    final NODE
    transitions T
    FROM TO COST
    ...

A word is on a node, `NULL` for nothing. A cost is an integer, 10000.5 · ln P (SRILM's "intlog",
negative). It is taken for the language model's score; there are no scales. A file may hold several.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from lmscore.errors import InputError
from lmscore.runtime.rescoring.formats import Document, Line
from lmscore.runtime.rescoring.lattices.checks import (
    check_word,
    checked,
    parse_count,
    parse_node,
    parse_number,
)
from lmscore.runtime.rescoring.lattices.format import LatticeFormat, Symbols
from lmscore.runtime.rescoring.lattices.lattice import END, MARKS, Arc, Lattice, Scores, label_of
from lmscore.runtime.rescoring.lattices.node_words import words_on_nodes

NAME = "srilm-pfsg"

_UNIT = 1 / 10000.5  # nats
_IMPOSSIBLE = -0x7FFFFFFF  # what SRILM writes for a probability of 0, at least
_NULL = "NULL"
_SPELT = {"": _NULL, END: "</s>"}
_HEAD = re.compile(r"\s*name [^\n]*\n\s*nodes \d+( |\n)")


def read(document: Document, symbols: Symbols = None) -> Iterator[Lattice]:
    """Read the grammars of a file; raises InputFileError, or InputError that names the line."""
    del symbols  # words are spelt
    lines: list[Line] = []
    for line in document.lines():
        if _key(line) == "name" and any(_key(known) == "name" for known in lines):
            yield _lattice(document, lines)
            lines = []
        lines.append(line)
    if any(line.text.strip() for line in lines):
        yield _lattice(document, lines)


def render(lattice: Lattice, symbols: Symbols = None) -> str:
    """The text of a grammar. Scales are multiplied into the costs, which have none."""
    del symbols
    if lattice.text is not None and lattice.source == NAME:
        return lattice.text
    graph = words_on_nodes(lattice)
    for node in graph.nodes:
        check_word(lattice, node.word, _label(node.word))
    words = [_SPELT.get(node.word, node.word) for node in graph.nodes]
    lines = [
        f"name {lattice.id}",
        " ".join([f"nodes {len(words)}", *words]),
        "initial 0",
        f"final {len(words) - 1}",
        f"transitions {len(graph.arcs)}",
    ]
    total = lattice.scales.total
    for start, end, scores in graph.arcs:
        count = int(_label(words[end]) not in MARKS)
        lines.append(f"{start} {end} {_cost(total(scores, count))}")
    return "\n".join([*lines, "", ""])


def _label(word: str) -> str:
    """The label of the arcs to a node."""
    return "" if word == _NULL else label_of(word)


def _key(line: Line) -> str:
    return line.text.split(None, 1)[0] if line.text.strip() else ""


def _lattice(document: Document, lines: list[Line]) -> Lattice:
    fields: dict[str, tuple[list[str], int]] = {}
    rows: list[tuple[list[str], int]] = []
    for line in lines:
        words = line.text.split()
        if not words:
            continue
        if "transitions" in fields:
            rows.append((words, line.number))
        elif words[0] in fields:
            raise InputError(f"{document.where(line.number)}: a second {words[0]!r}")
        else:
            fields[words[0]] = words[1:], line.number
    first = document.where(lines[0].number)
    for key in ("name", "nodes", "initial", "final", "transitions"):
        if key not in fields:
            raise InputError(f"{first}: the grammar has no {key!r}; is the file complete?")
    words, line_number = fields["nodes"]
    spelt = words[1:]
    _check_count(document.where(line_number), words, len(spelt), "nodes")
    words, line_number = fields["transitions"]
    _check_count(document.where(line_number), words, len(rows), "transitions")
    spoken = [_label(word) for word in spelt]
    arcs = tuple(_arc(words, document.where(number), spoken) for words, number in rows)
    start, final = (_end(document, fields[key], len(spelt)) for key in ("initial", "final"))
    if spoken[start]:
        raise InputError(f"{first}: the word {spelt[start]!r} is on the initial node")
    lattice = Lattice(
        " ".join(fields["name"][0]),
        tuple(spelt),
        start,
        arcs,
        {final: Scores()},
        text="".join(line.text + line.end for line in lines),
        source=NAME,
    )
    return checked(lattice, document, lines[0].number, [number for _, number in rows])


def _check_count(where: str, words: list[str], found: int, what: str) -> None:
    announced = parse_count(words[0] if words else "", where)
    if announced != found:
        raise InputError(
            f"{where}: {announced} {what}, but there are {found}; is the file complete?"
        )


def _arc(words: list[str], where: str, spoken: list[str]) -> Arc:
    if len(words) != 3:
        raise InputError(f"{where}: expected FROM TO COST, got {' '.join(words)!r}")
    start, end = (parse_node(word, len(spoken), where) for word in words[:2])
    cost = parse_number(words[2], where)
    lm = -math.inf if cost <= _IMPOSSIBLE else cost * _UNIT
    return Arc(start, end, spoken[end], Scores(lm=lm))


def _end(document: Document, field: tuple[list[str], int], size: int) -> int:
    words, line = field
    where = document.where(line)
    if len(words) != 1:
        raise InputError(f"{where}: expected the number of one node")
    return parse_node(words[0], size, where)


def _cost(log_prob: float) -> int:
    return _IMPOSSIBLE if log_prob == -math.inf else max(_IMPOSSIBLE, round(log_prob / _UNIT))


PFSG = LatticeFormat(
    name=NAME,
    recognises=lambda head: _HEAD.match(head) is not None,
    read=read,
    render=render,
    is_archive=True,
)
