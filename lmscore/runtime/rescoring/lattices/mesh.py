"""Confusion networks, as SRILM writes them (word meshes); after wlat-format(5).

    name NAME
    numaligns N
    posterior P
    align SLOT WORD PROBABILITY WORD PROBABILITY ...

`*DELETE*` stands for no word. Lines with other keys (`reference`, `hyps`, `info`) are passed over.
The logarithm of a probability is taken for the acoustic score: all that the recogniser knew.
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
    parse_number,
)
from lmscore.runtime.rescoring.lattices.file_ids import file_id
from lmscore.runtime.rescoring.lattices.format import LatticeFormat, Symbols
from lmscore.runtime.rescoring.lattices.lattice import Arc, Lattice, Scores, label_of
from lmscore.runtime.rescoring.lattices.paths import n_best
from lmscore.runtime.rescoring.lattices.probabilities import best_network

NAME = "srilm-mesh"

_NOTHING = "*DELETE*"
_HEAD = re.compile(r"(\s*name [^\n]*\n)?\s*numaligns \d+\s*\n")
_DECIMALS = 8


def read(document: Document, symbols: Symbols = None) -> Iterator[Lattice]:
    """Read the confusion network of a file; raises InputError, which names the line."""
    del symbols  # words are spelt
    lines = list(document.lines())
    slots: dict[int, tuple[list[str], Line]] = {}
    size, name = None, ""
    for line in lines:
        key, *fields = line.text.split() or [""]
        where = document.where(line.number)
        if key == "name":
            name = " ".join(fields)
        elif key == "numaligns" and len(fields) == 1:
            size = parse_count(fields[0], where)
        elif key == "align" and fields:
            slot = parse_count(fields[0], where)
            if slot in slots:
                raise InputError(f"{where}: slot {slot} comes a second time")
            slots[slot] = fields[1:], line
    if size is None:
        raise InputError(f"{document.name}: no line 'numaligns N'")
    if sorted(slots) != list(range(size)):
        raise InputError(
            f"{document.name}: {size} slots, but there are {len(slots)}, numbered from 0; is the "
            "file complete?"
        )
    arcs, numbers = [], []
    for slot in range(size):
        fields, line = slots[slot]
        found = list(_words(fields, document.where(line.number)))
        arcs += [Arc(slot, slot + 1, word, Scores(acoustic=score)) for word, score in found]
        numbers += [line.number] * len(found)
    text = document.start + "".join(line.text + line.end for line in lines)
    lattice = Lattice(
        name or file_id(document),
        (None,) * (size + 1),
        0,
        tuple(arcs),
        {size: Scores()},
        text=text,
        source=NAME,
    )
    yield checked(lattice, document, 1, numbers)


def render(lattice: Lattice, symbols: Symbols = None) -> str:
    """The confusion network of a lattice along its best text, with posterior probabilities."""
    del symbols
    if lattice.text is not None and lattice.source == NAME:
        return lattice.text
    (best,) = n_best(lattice, 1)
    network = best_network(lattice, best)
    lines = [f"name {lattice.id}", f"numaligns {len(network.slots)}", "posterior 1"]
    for number, slot in enumerate(network.slots):
        for word in slot.probabilities:
            check_word(lattice, word, _label(word))
        shares = (
            f"{word or _NOTHING} {share:.{_DECIMALS}g}"
            for word, share in slot.probabilities.items()
        )
        lines.append(f"align {number} {' '.join(shares)}")
    return "\n".join([*lines, ""])


def _words(fields: list[str], where: str) -> Iterator[tuple[str, float]]:
    """The words of a slot with the logarithms of their probabilities."""
    if not fields or len(fields) % 2:
        raise InputError(f"{where}: expected pairs of a word and its probability")
    for word, text in zip(fields[::2], fields[1::2], strict=True):
        share = parse_number(text, where)
        if not 0 <= share <= 1 + 1e-3:
            raise InputError(f"{where}: {text} is no probability")
        yield _label(word), math.log(share) if share else -math.inf


def _label(word: str) -> str:
    """The label of an arc with a word."""
    return "" if word == _NOTHING else label_of(word)


MESH = LatticeFormat(
    name=NAME,
    recognises=lambda head: _HEAD.match(head) is not None,
    read=read,
    render=render,
)
