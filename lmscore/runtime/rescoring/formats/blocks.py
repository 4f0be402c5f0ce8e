"""Lists whose hypotheses are several lines each, amid the lines of a log.

A list is some lines of its own, and a block of lines for each hypothesis. New scores become lines
at the end of a block; blocks move as wholes. What is between lists stays where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal

from lmscore.runtime.rescoring.formats.document import Document, Line, ListSource, joined_lines
from lmscore.runtime.rescoring.lists import Hypothesis, NBestList

Role = Literal["log", "list", "hypothesis", "more"]
"""What a line is: outside of lists, of a list, the first of a hypothesis, or another of that."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a file, and what it is."""

    role: Role
    key: str  # the id of its list; "" of a log
    line: Line


@dataclass(slots=True)
class Block:
    """The lines of a list while it is read."""

    key: str
    before: list[Line]
    own: list[Line] = field(default_factory=list)
    hypotheses: list[list[Line]] = field(default_factory=list)

    @property
    def lines(self) -> Iterator[Line]:
        """The lines of the list and of its hypotheses, in the order of the file."""
        return chain(self.own, chain.from_iterable(self.hypotheses))


def lists_of_blocks(
    document: Document, rows: Iterable[Row], parse: Callable[[Block], NBestList]
) -> Iterator[NBestList]:
    """The lists of a file, from what its lines are.

    Args:
        document: the file.
        rows: its lines. The first line of a list or of a hypothesis whose list has another key
            than the line before begins a list.
        parse: a list from its lines; the source of each hypothesis is a tuple of its lines, and
            the list has no source yet.
    """
    index = 0
    waiting: list[Line] = []
    block: Block | None = None
    for row in rows:
        begins = row.role in ("list", "hypothesis")
        if row.role == "log" or (block is None and not begins):
            waiting.append(row.line)
            continue
        if block is None or (begins and row.key != block.key):
            if block is not None:
                yield _finished(document, block, parse, index)
                index += 1
            block, waiting = Block(row.key, waiting), []
        _add(block, row, waiting)
        waiting = []
    if block is not None:
        yield _finished(document, block, parse, index)
        index += 1
    document.finish(index, _text(waiting))


def _add(block: Block, row: Row, waiting: list[Line]) -> None:
    """Add a line to its list, after the lines of a log that came within the list."""
    latest = block.hypotheses[-1] if block.hypotheses else block.own
    latest += waiting
    if row.role == "hypothesis":
        block.hypotheses.append([row.line])
    else:
        latest.append(row.line)


def _finished(
    document: Document, block: Block, parse: Callable[[Block], NBestList], index: int
) -> NBestList:
    nbest = parse(block)
    before = _text(block.before)
    first = next(block.lines)
    size = len(before.encode()) + sum(line.size for line in block.lines)
    source = ListSource(document, index, first.number, size, before, tuple(block.own))
    return NBestList(nbest.id, nbest.hypotheses, nbest.reference, source)


def _text(lines: Iterable[Line]) -> str:
    return "".join(line.text + line.end for line in lines)


def rendered_blocks(
    nbest: NBestList,
    new_lines: Callable[[Hypothesis, int], Iterable[str]],
    renamed: Callable[[str, int], str] = lambda text, rank: text,  # noqa: ARG005
) -> str:
    """A list whose hypotheses are blocks of lines.

    Args:
        nbest: a list of `lists_of_blocks`.
        new_lines: the lines of the new scores of a hypothesis, and its rank from 1.
        renamed: a line of a hypothesis with its rank, where the format numbers them.
    """
    rows = [(line.text, line.end) for line in nbest.source.content]
    for rank, hypothesis in enumerate(nbest.hypotheses, 1):
        lines: Sequence[Line] = hypothesis.source
        rows += [(renamed(line.text, rank), line.end) for line in lines]
        if hypothesis.added:
            rows += [(text, lines[0].end) for text in new_lines(hypothesis, rank)]
    return joined_lines(rows)
