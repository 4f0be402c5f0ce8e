"""Checks of lattices while they are read; the messages name the file and the line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from lmscore.errors import InputError, OptionError
from lmscore.runtime.rescoring.formats import Document, to_float
from lmscore.runtime.rescoring.lattices.lattice import MARKS, Lattice, Scales

_MAX_DIGITS = 18  # Python refuses to convert very long numbers


def checked(lattice: Lattice, document: Document, line: int, arc_lines: Sequence[int]) -> Lattice:
    """Return the lattice, with its file, if it is empty, or has a path and no cycle.

    `line` is the number of its first line in the document; `arc_lines` has the line of each arc.

    Raises:
        InputError: the lattice has a cycle, or no path; names file and line.
    """
    lattice = replace(lattice, file=document.name)
    number = lattice.cyclic_arc()
    if number is not None:
        raise InputError(
            f"{document.where(arc_lines[number])}: this arc is part of a cycle; "
            f"lattice {lattice.id!r} must be acyclic"
        )
    if not lattice.nodes:
        return lattice
    where = f"{document.where(line)}: lattice {lattice.id!r}"
    if not lattice.finals:
        raise InputError(f"{where} has no final node; is the file complete?")
    if lattice.completions(Scales())[lattice.start] == -math.inf:
        raise InputError(
            f"{where}: no path of probability above 0 leads from its start to a final node"
        )
    return lattice


def check_word(lattice: Lattice, word: str, read: str) -> None:
    """Raise OptionError if a word has white space in it, or would be read as another one, `read`.

    SLF has quotation marks for such words; the other formats have nothing.
    """
    if word not in MARKS and (word.split() != [word] or read != word):
        raise OptionError(
            f"{lattice.name}: the word {word!r} would be read as something else in this format; "
            "write the lattice as htk-slf"
        )


def parse_count(text: str, where: str) -> int:
    """A node number or a count as an int; raises InputError if the text is no such number."""
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise InputError(f"{where}: {text!r} is no number of a node, arc or word")
    return int(text)


def parse_node(text: str, num_nodes: int, where: str) -> int:
    """The number of a node, from 0; raises InputError if there is no such node."""
    node = parse_count(text, where)
    if node >= num_nodes:
        raise InputError(f"{where}: there is no node {node}")
    return node


def parse_number(text: str, where: str) -> float:
    """A finite number as a float; raises InputError if the text is no such number."""
    value = to_float(text)
    if value is None or not math.isfinite(value):
        raise InputError(f"{where}: {text!r} is no finite number")
    return value
