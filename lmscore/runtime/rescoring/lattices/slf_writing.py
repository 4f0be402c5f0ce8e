"""Writing HTK's Standard Lattice Format (SLF); lattices that were read keep all their fields."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace

from lmscore.runtime.rescoring.formats import Line
from lmscore.runtime.rescoring.lattices.format import LatticeFormat, Symbols
from lmscore.runtime.rescoring.lattices.lattice import Arc, Lattice, Scales, Scores
from lmscore.runtime.rescoring.lattices.slf import NAME, SlfSource, read
from lmscore.runtime.rescoring.lattices.slf_text import Fields, field_names, quoted, replace_fields


def file_name(lattice: Lattice) -> str:
    """The name of a lattice's file in a directory: the one it was read from, or one by its id."""
    if isinstance(lattice.source, SlfSource) and lattice.source.file_name:
        return lattice.source.file_name
    return re.sub(r'[\\/:*?"<>|\s\0]', "_", lattice.id) + ".lat"


def render(lattice: Lattice, symbols: Symbols = None) -> str:
    """The text of a file with a lattice; an unchanged one from an SLF file is copied."""
    del symbols  # words are spelt
    if lattice.text is not None and isinstance(lattice.source, SlfSource):
        return lattice.text
    lattice = _with_one_end(lattice)
    source = lattice.source if isinstance(lattice.source, SlfSource) else _new_source(lattice)
    lines = [f"N={len(lattice.nodes)} L={len(lattice.arcs)}"]
    for number, node in enumerate(lattice.nodes):
        is_read = isinstance(node, Fields)
        lines.append(node.replaced({"I": str(number)}) if is_read else f"I={number}")
    lines += (_render_link(lattice, i, arc, source.unit) for i, arc in enumerate(lattice.arcs))
    header = [*_render_header(lattice, source), *_named_ends(lattice)]
    return "".join(f"{line}\n" for line in (*header, *lines))


def _with_one_end(lattice: Lattice) -> Lattice:
    """The same lattice with one final node, which has no scores and which no link leaves."""
    left = {arc.start for arc in lattice.arcs}
    finals = list(lattice.finals.items())
    if not finals or (len(finals) == 1 and finals[0][0] not in left and not _counts(lattice)):
        return lattice
    end = len(lattice.nodes)
    ways = tuple(Arc(node, end, "", scores) for node, scores in finals)
    return replace(
        lattice,
        nodes=(*lattice.nodes, None),
        arcs=lattice.arcs + ways,
        finals={end: Scores()},
        text=None,
    )


def _counts(lattice: Lattice) -> bool:
    """Whether a final node has scores."""
    return any(
        scores.acoustic or scores.other or lattice.scales.lm_score(scores)
        for scores in lattice.finals.values()
    )


def _new_source(lattice: Lattice) -> SlfSource:
    """A new header, for a lattice of another format."""
    header = f"VERSION=1.0\nUTTERANCE={quoted(lattice.id)}"
    lines = tuple(Line(text, "\n", number) for number, text in enumerate(header.split("\n"), 1))
    return SlfSource("", lines, 1.0, Scales())


def _render_header(lattice: Lattice, source: SlfSource) -> Iterator[str]:
    """The old header without sizes, start and end, and with the present scales."""
    unit, now, then = source.unit or 1.0, lattice.scales, source.scales
    pairs = {
        "acscale": (now.acoustic, then.acoustic),
        "lmscale": (now.lm, then.lm),
        "wdpenalty": (now.word_penalty / unit, then.word_penalty / unit),
    }
    changed = {name: _number(new) for name, (new, old) in pairs.items() if new != old}
    values: dict[str, str | None] = {**dict.fromkeys(("N", "L", "start", "end")), **changed}
    lines = [(line.text, replace_fields(line.text, values)) for line in source.header]
    yield from (new.rstrip() for old, new in lines if new.strip() or not old.strip())
    there = {name for line in source.header for name in field_names(line.text)}
    yield from (f"{name}={value}" for name, value in changed.items() if name not in there)


def _named_ends(lattice: Lattice) -> Iterator[str]:
    """Fields for the start and the end of a lattice, unless its links show them."""
    entered, left = {arc.end for arc in lattice.arcs}, {arc.start for arc in lattice.arcs}
    nodes = set(range(len(lattice.nodes)))
    if nodes - entered > {lattice.start} or lattice.start in entered:
        yield f"start={lattice.start}"
    if nodes - left != set(lattice.finals):
        yield from (f"end={node}" for node in lattice.finals)


def _render_link(lattice: Lattice, number: int, arc: Arc, unit: float) -> str:
    numbers = {"J": str(number), "S": str(arc.start), "E": str(arc.end)}
    lm = _in_base(lattice.scales.lm_score(arc.scores), unit)
    if isinstance(arc.source, Fields):
        changed = {**numbers, "l": lm}
        if "p" in arc.source.values and "a" not in arc.source.values and arc.scores.acoustic:
            changed["a"] = _in_base(arc.scores.acoustic, unit)  # beside l, p is read no more
        return arc.source.replaced(changed)
    word = {"": "!NULL"}.get(arc.word, quoted(arc.word))
    fields = {**numbers, "W": word, "a": _in_base(arc.scores.acoustic, unit), "l": lm}
    if arc.scores.other:
        fields["r"] = _in_base(arc.scores.other, unit)
    return " ".join(f"{name}={value}" for name, value in fields.items())


def _in_base(score: float, unit: float) -> str:
    return _number(score / unit if unit else math.exp(score))


def _number(value: float) -> str:
    return f"{value + 0.0:.10g}"


_SIZE = re.compile(r"^[^#\n]*\b(N|NODES|L|LINKS)=\d", re.MULTILINE)

SLF = LatticeFormat(
    name=NAME,
    recognises=lambda head: _SIZE.search(head) is not None,
    read=read,
    render=render,
)
