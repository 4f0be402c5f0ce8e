"""Reading Kaldi's lattices as text (`ark,t`), compact or not.

A lattice is a line with the utterance's id, a line for each arc and each final state, and an empty
line. The graph and acoustic costs are -ln P, unscaled. An arc of a compact lattice is
`state next word graph,acoustic,ids`, where `ids` are its transition-ids joined by `_`; otherwise it
is `state next transition-id word graph,acoustic`. A missing weight is 0 in every part. Words are
numbers of a symbol table, or already spelt (`int2sym.pl -f 3`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lmscore.errors import InputError
from lmscore.runtime.rescoring.formats import Document, Line, parse_score
from lmscore.runtime.rescoring.lattices.checks import checked, parse_count
from lmscore.runtime.rescoring.lattices.lattice import Arc, Lattice, Scores, label_of

NAME = "kaldi-lattice"

_EPSILONS = frozenset({"<eps>", "0"})


@dataclass(frozen=True, slots=True)
class KaldiArc:
    """The parts of an arc's line that are kept for writing it back."""

    label: str  # the word as the file spells it
    transition: str | None  # the transition-id; None in a compact lattice
    alignment: str = ""  # the third part of its weight


@dataclass(frozen=True, slots=True)
class KaldiSource:
    """A lattice's origin in a Kaldi archive, kept for writing it back."""

    is_compact: bool


@dataclass(slots=True)
class _Reader:
    """An archive while it is read."""

    document: Document
    symbols: Mapping[str, str] | None
    is_compact: bool | None = None  # whether its lattices are; None while that is not known


@dataclass(slots=True)
class _Parts:
    """A lattice while it is read."""

    arcs: list[Arc] = field(default_factory=list)
    arc_lines: list[int] = field(default_factory=list)
    finals: dict[int, Scores] = field(default_factory=dict)
    alignments: dict[int, str] = field(default_factory=dict)  # of finals
    nodes: dict[int, int] = field(default_factory=dict)  # our number of each state, from 0

    def node(self, state: int) -> int:
        """Our number of a state; states are numbered as they occur."""
        return self.nodes.setdefault(state, len(self.nodes))


def read(document: Document, symbols: Mapping[str, str] | None = None) -> Iterator[Lattice]:
    """Read the lattices of an archive.

    Args:
        document: the archive.
        symbols: words by their numbers; None if the archive spells the words.

    Raises:
        InputFileError: the file is damaged.
        InputError: a line is malformed, or a lattice cannot be used.
    """
    reader = _Reader(document, symbols)
    for lines in _blocks(document.lines(), at_once=document.line_buffered):
        yield _read_lattice(reader, lines)


def _blocks(lines: Iterable[Line], *, at_once: bool) -> Iterator[list[Line]]:
    """The lines of each lattice, with the blank lines before and after it.

    `at_once`: a lattice has one blank line after it, so that the next line is not waited for.
    """
    block: list[Line] = []
    has_begun, has_ended = False, False
    for line in lines:
        is_blank = not line.text.strip()
        if has_ended and not is_blank:
            yield block
            block, has_begun, has_ended = [], False, False
        block.append(line)
        has_begun = has_begun or not is_blank
        has_ended = has_begun and is_blank
        if at_once and has_ended:
            yield block
            block, has_begun, has_ended = [], False, False
    if has_begun:
        yield block


def _read_lattice(reader: _Reader, lines: list[Line]) -> Lattice:
    head, *body = (line for line in lines if line.text.strip())
    key = head.text.strip()
    if all(column.isdigit() for column in key.split()[:2]) and len(key.split()) > 1:
        raise InputError(
            f"{reader.document.where(head.number)}: expected an utterance's id, got {key!r}"
        )
    mark = reader.document.start if lines[0].number == 1 else ""
    parts = _Parts()
    for line in body:
        _read_line(reader, line, parts)
    _check_spelt(reader, parts)
    lattice = Lattice(
        key,
        tuple(parts.alignments.get(node, "") for node in range(len(parts.nodes))),
        0,
        tuple(parts.arcs),
        parts.finals,
        text=mark + "".join(line.text + line.end for line in lines),
        source=KaldiSource(reader.is_compact is not False),
    )
    return checked(lattice, reader.document, head.number, parts.arc_lines)


def _read_line(reader: _Reader, line: Line, parts: _Parts) -> None:
    where = reader.document.where(line.number)
    columns = line.text.split()
    if len(columns) > 5:
        raise InputError(
            f"{where}: {len(columns)} columns; an arc has 3 to 5, a final state 1 or 2"
        )
    _note_kind(reader, columns, where)
    state = parse_count(columns[0], f"{where}, column 1")
    node = parts.node(state)
    if len(columns) > 2:
        end = parts.node(parse_count(columns[1], f"{where}, column 2"))
        parts.arcs.append(_read_arc(reader, node, end, columns, where))
        parts.arc_lines.append(line.number)
        return
    if node in parts.finals:
        raise InputError(f"{where}: a second final weight of state {state}")
    weight = columns[1] if len(columns) == 2 else None
    parts.finals[node], parts.alignments[node] = _read_weight(weight, f"{where}, column 2")


def _read_arc(reader: _Reader, start: int, end: int, columns: list[str], where: str) -> Arc:
    if _is_compact(columns):
        transition, place = None, 3
    else:
        parse_count(columns[2], f"{where}, column 3")
        transition, place = columns[2], 4
    label = columns[place - 1]
    weight = columns[place] if len(columns) > place else None
    scores, alignment = _read_weight(weight, f"{where}, column {place + 1}")
    word = _read_word(reader, label, f"{where}, column {place}")
    return Arc(start, end, word, scores, KaldiArc(label, transition, alignment))


def _is_compact(columns: list[str]) -> bool:
    """Whether an arc with these columns is compact; with 4 columns, if the last is a weight."""
    return len(columns) == 3 or (len(columns) == 4 and "," in columns[3])


def _note_kind(reader: _Reader, columns: list[str], where: str) -> None:
    """Note whether a line is compact; raises InputError if the lines before were not alike."""
    if len(columns) == 1:
        return
    is_compact = columns[1].count(",") != 1 if len(columns) == 2 else _is_compact(columns)
    if reader.is_compact is None:
        reader.is_compact = is_compact
    if is_compact != reader.is_compact:
        found, others = ("compact", "uncompacted") if is_compact else ("uncompacted", "compact")
        raise InputError(
            f"{where}: a line of {found} lattices in an archive of {others} ones; "
            "make them alike with Kaldi's lattice-copy"
        )


def _read_weight(text: str | None, where: str) -> tuple[Scores, str]:
    """The scores and the transition-ids in a weight."""
    if text is None:
        return Scores(), ""
    parts = text.split(",")
    if len(parts) not in (2, 3):
        raise InputError(
            f"{where}: the weight {text!r} is not graph,acoustic or graph,acoustic,ids"
        )
    graph = parse_score(parts[0], f"{where}, graph cost", unit=-1)
    acoustic = parse_score(parts[1], f"{where}, acoustic cost", unit=-1)
    return Scores(acoustic, graph), "".join(parts[2:])


def _read_word(reader: _Reader, label: str, where: str) -> str:
    word = label
    if reader.symbols is not None:
        label = str(parse_count(label, where))
        if label != "0" and label not in reader.symbols:
            raise InputError(f"{where}: no word has the number {label} in the symbol table")
        word = reader.symbols.get(label, "<eps>")
    elif label in _EPSILONS:
        return ""
    if _is_disambiguation(word):
        raise InputError(
            f"{where}: the disambiguation symbol {word!r} does not belong in a lattice"
        )
    return "" if word == "<eps>" else label_of(word)


def _is_disambiguation(word: str) -> bool:
    return word.startswith("#") and word[1:].isdigit()


def is_no_word(word: str) -> bool:
    """Whether an archive that spells its words has this label for something else."""
    return word in _EPSILONS or _is_disambiguation(word)


def _check_spelt(reader: _Reader, parts: _Parts) -> None:
    """Raise InputError if all words are numbers and there is no symbol table."""
    if reader.symbols is not None:
        return
    arcs = zip(parts.arcs, parts.arc_lines, strict=True)
    words = [(arc.word, line) for arc, line in arcs if arc.word]
    if words and all(word.isdigit() for word, _ in words):
        raise InputError(
            f"{reader.document.where(words[0][1])}: the words are numbers, such as "
            f"{words[0][0]}; give the symbol table they come from (words.txt)"
        )
