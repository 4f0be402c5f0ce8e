"""Reading HTK's Standard Lattice Format (SLF); after the HTK Book, chapter 16.

A word is on a link, or on the node at its end. Scores are logarithms in the file's base, which is e
by default; base 0 means probabilities. The scales in the header (`lmscale`, `wdpenalty`, `acscale`,
`prscale`) are not applied to the scores of the file. Of `p`, the posterior probability of a link,
use is made where links have nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lmscore.errors import InputError
from lmscore.runtime.rescoring.formats import Document, Line, checked_score
from lmscore.runtime.rescoring.lattices.checks import checked, parse_count, parse_node, parse_number
from lmscore.runtime.rescoring.lattices.file_ids import file_id, file_name, utterance_id
from lmscore.runtime.rescoring.lattices.format import Symbols
from lmscore.runtime.rescoring.lattices.lattice import (
    END,
    MARKS,
    Arc,
    Lattice,
    Scales,
    Scores,
    label_of,
)
from lmscore.runtime.rescoring.lattices.slf_posteriors import with_posteriors
from lmscore.runtime.rescoring.lattices.slf_text import Fields, parse_fields

NAME = "htk-slf"

_ENDS = frozenset({"</s>", "!SENT_END"})
_NO_SUBLATTICES = "a lattice with sub-lattices cannot be rescored; expand it first"


@dataclass(frozen=True, slots=True)
class SlfSource:
    """The parts of a file that are kept for writing its lattice back."""

    file_name: str  # "" for standard input
    header: tuple[Line, ...]  # the lines up to the sizes, with comments
    unit: float  # how many nats 1 is in the file's base; 0: the file has probabilities
    scales: Scales  # the scales in the header


@dataclass(slots=True)
class _Parts:
    """A lattice while it is read."""

    document: Document
    header: list[Line] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    setting_lines: dict[str, int] = field(default_factory=dict)
    nodes: dict[int, tuple[Fields, int]] = field(default_factory=dict)  # with line numbers
    links: dict[int, tuple[Fields, int]] = field(default_factory=dict)

    def number(self, name: str, default: float) -> float:
        """The value of a setting in the header, which is a number."""
        if name not in self.settings:
            return default
        return parse_number(self.settings[name], self.where(name))

    def where(self, name: str) -> str:
        """The place of a setting, for error messages."""
        return self.document.where(self.setting_lines[name], f"field {name!r}")


def read(document: Document, symbols: Symbols = None) -> Iterator[Lattice]:
    """Read the only lattice of a file.

    Raises:
        InputFileError: the file is damaged.
        InputError: a line is malformed, or the lattice cannot be used.
    """
    del symbols  # words are spelt
    lines = list(document.lines())
    parts = _Parts(document)
    for line in lines:
        if not line.text.strip() or line.text.lstrip().startswith("#"):
            if not parts.nodes and not parts.links:
                parts.header.append(line)
        else:
            _read_line(parts, line)
    text = document.start + "".join(line.text + line.end for line in lines)
    yield _lattice(parts, text)


def _read_line(parts: _Parts, line: Line) -> None:
    where = parts.document.where(line.number)
    if line.text.strip() == ".":
        raise InputError(f"{where}: {_NO_SUBLATTICES}")
    fields = parse_fields(line.text, where)
    is_sized = {"N", "L"} <= parts.settings.keys()
    for key, found in (("I", parts.nodes), ("J", parts.links)):
        if key in fields.values and is_sized:
            number = parse_count(fields.values[key], f"{where}, field {key!r}")
            if key == "I" and "L" in fields.values:
                raise InputError(f"{where}, field 'L': {_NO_SUBLATTICES}")
            if number in found:
                raise InputError(f"{where}, field {key!r}: number {number} comes a second time")
            found[number] = fields, line.number
            return
    if is_sized:
        raise InputError(f"{where}: expected a node (I=) or a link (J=), got {line.text.strip()!r}")
    parts.header.append(line)
    parts.settings.update(fields.values)
    parts.setting_lines.update(dict.fromkeys(fields.values, line.number))


def _lattice(parts: _Parts, text: str) -> Lattice:
    document = parts.document
    _check_header(parts)
    num_nodes = _num_nodes(parts)
    _check_size(parts, "L", parts.links, "links")
    unit = _unit(parts)
    scales = Scales(
        acoustic=parts.number("acscale", 1.0),
        lm=parts.number("lmscale", 1.0),
        word_penalty=parts.number("wdpenalty", 0.0) * (unit or 1.0),
    )
    unnamed = Fields("", {}), 1  # of nodes without lines, which have neither times nor words
    nodes = [parts.nodes.get(number, unnamed)[0] for number in range(num_nodes)]
    other_scale = parts.number("prscale", 1.0)
    links = [parts.links[number] for number in sorted(parts.links)]
    scored = [_arc(document, *link, nodes, unit, other_scale) for link in links]
    rows = [
        ({**nodes[arc.end].values, **fields.values}, line)
        for arc, (fields, line) in zip(scored, links, strict=True)
    ]
    arcs = with_posteriors(document, scored, rows)
    header_line = parts.header[0].number if parts.header else 1
    lattice = Lattice(
        utterance_id(parts.settings.get("U", "")) or file_id(document),
        tuple(nodes),
        _start(parts, nodes, arcs, header_line),
        arcs,
        dict.fromkeys(_finals(parts, num_nodes, arcs), Scores()),
        scales,
        text,
        SlfSource(file_name(document), tuple(parts.header), unit, scales),
    )
    return checked(lattice, document, header_line, [line for _, line in links])


def _check_header(parts: _Parts) -> None:
    if "S" in parts.settings:
        raise InputError(f"{parts.where('S')}: {_NO_SUBLATTICES}")
    if parts.settings.get("dir", "f").lower() not in ("f", "forward"):
        raise InputError(f"{parts.where('dir')}: only forward lattices can be rescored")
    for key, what in (("N", "nodes"), ("L", "links")):
        if key not in parts.settings:
            raise InputError(f"{parts.document.name}: no field {key}= with the number of {what}")


def _check_size(parts: _Parts, key: str, found: Mapping[int, tuple[Fields, int]], what: str) -> int:
    size = parse_count(parts.settings[key], parts.where(key))
    for number, (_, line) in found.items():
        if number >= size:
            raise InputError(
                f"{parts.document.where(line)}: number {number} of {size} {what}; "
                "they are counted from 0"
            )
    if len(found) < size:
        raise InputError(
            f"{parts.where(key)}: {size} {what}, but there are {len(found)}; is the file complete?"
        )
    return size


def _num_nodes(parts: _Parts) -> int:
    """The number of nodes: each has a line, or, as HTK writes them without times, none has."""
    size = parse_count(parts.settings["N"], parts.where("N"))
    if not parts.nodes and size <= 2 * len(parts.links):  # each is an end of a link
        return size
    return _check_size(parts, "N", parts.nodes, "nodes")


def _unit(parts: _Parts) -> float:
    """The nats of a unit of the scores; 0 for probabilities. HTK's base 1 is natural, too."""
    base = parts.number("base", math.e)
    if base in (0, 1):
        return float(base)
    if base < 0:
        raise InputError(f"{parts.where('base')}: {base} is no base of logarithms")
    return math.log(base)


def _arc(
    document: Document, fields: Fields, line: int, nodes: list[Fields], unit: float, scale: float
) -> Arc:
    where = document.where(line)
    start = _end_of_link(fields, "S", len(nodes), where)
    end = _end_of_link(fields, "E", len(nodes), where)
    on_node = nodes[end].values
    words = [values["W"] for values in (fields.values, on_node) if "W" in values]
    spoken = [word for word in map(_word, words) if word]
    if len(set(spoken)) > 1:
        raise InputError(
            f"{where}, field 'W': a word on the link and another one on its end, node {end}; "
            "expected one of them"
        )
    values = {**on_node, **fields.values}
    acoustic, lm, other = (_score(values, name, unit, where) for name in ("a", "l", "r"))
    scores = Scores(acoustic, lm, scale * other)
    return Arc(start, end, spoken[0] if spoken else "", scores, fields)


def _end_of_link(fields: Fields, name: str, num_nodes: int, where: str) -> int:
    if name not in fields.values:
        raise InputError(f"{where}: a link needs S= and E=, the nodes it goes from and to")
    return parse_node(fields.values[name], num_nodes, f"{where}, field {name!r}")


def _word(word: str) -> str:
    """The spoken word, or one of `MARKS`; names that begin with ! are silences, for example."""
    if word in _ENDS:
        return END
    return "" if len(word) > 1 and word[0] in "!#" else label_of(word)


def _score(values: Mapping[str, str], name: str, unit: float, where: str) -> float:
    if name not in values:
        return 0.0
    where = f"{where}, field {name!r}"
    text = values[name]
    if text.lower() in ("-inf", "-infinity"):
        return -math.inf
    value = parse_number(text, where)
    if unit:
        return checked_score(value, where, unit=unit)
    if value < 0:
        raise InputError(f"{where}: {text} is no probability, but the lattice has base=0")
    return math.log(value) if value else -math.inf


def _start(parts: _Parts, nodes: list[Fields], arcs: tuple[Arc, ...], line: int) -> int:
    entered = {arc.end for arc in arcs}
    if "start" in parts.settings:
        starts = [parse_node(parts.settings["start"], len(nodes), parts.where("start"))]
    else:
        starts = [node for node in range(len(nodes)) if node not in entered]
    where = f"{parts.document.where(line)}: the lattice"
    if len(starts) > 1:
        raise InputError(
            f"{where} has several nodes that no link leads to, {starts[0]} and {starts[1]}; "
            "name its start in the header (start=)"
        )
    if not starts:
        return 0  # an empty lattice, or one with a cycle
    word = nodes[starts[0]].values.get("W", "")
    if _word(word) not in MARKS and starts[0] not in entered:
        raise InputError(
            f"{parts.document.where(parts.nodes[starts[0]][1])}, field 'W': the word {word!r} "
            "stands on the start, where no link leads to it"
        )
    return starts[0]


def _finals(parts: _Parts, num_nodes: int, arcs: tuple[Arc, ...]) -> list[int]:
    if "end" in parts.settings:
        return [parse_node(parts.settings["end"], num_nodes, parts.where("end"))]
    left = {arc.start for arc in arcs}
    return [node for node in range(num_nodes) if node not in left]
