"""Writing Kaldi's lattices as text (`ark,t`); lattices that were read keep their alignments."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from lmscore.errors import OptionError
from lmscore.runtime.rescoring.lattices.checks import check_word
from lmscore.runtime.rescoring.lattices.format import LatticeFormat
from lmscore.runtime.rescoring.lattices.kaldi import (
    NAME,
    KaldiArc,
    KaldiSource,
    is_no_word,
    read,
)
from lmscore.runtime.rescoring.lattices.lattice import MARKS, Arc, Lattice, Scores


def render(lattice: Lattice, labels: Mapping[str, str] | None = None) -> str:
    """The text of a lattice in an archive; an unchanged one from an archive is copied.

    Args:
        lattice: a lattice of any format. A word that is not from a Kaldi archive is looked up.
        labels: numbers by their words; None to write such words as they are.

    Raises:
        OptionError: a word is not in `labels`, or without these cannot be written; or the language
            model scale, by which costs of another format are divided, is not above 0.
    """
    is_compact = True
    if isinstance(lattice.source, KaldiSource):
        if lattice.text is not None:
            return lattice.text
        is_compact = lattice.source.is_compact
    elif lattice.scales.lm <= 0:
        raise OptionError(
            f"{lattice.name} has the language model scale {lattice.scales.lm}, which "
            "lattices of Kaldi's cannot express"
        )
    lines = [f"{lattice.id} \n"]
    for node in _from_start(lattice):
        lines += (_render_arc(lattice, arc, is_compact, labels) for arc in lattice.leaving[node])
        if node in lattice.finals:
            alignment = lattice.nodes[node] if isinstance(lattice.nodes[node], str) else ""
            weight = _weight(lattice, lattice.finals[node], 0, alignment, is_compact)
            lines.append(f"{node}\t{weight}\n")
    return "".join([*lines, "\n"])


def is_ended(text: str) -> bool:
    """Whether the text of a lattice ends in an empty line, which must precede the next lattice."""
    return text.endswith("\n") and not text.split("\n")[-2].strip()


def _from_start(lattice: Lattice) -> list[int]:
    """The nodes, the start first, since an archive has no other mark of it."""
    others = (node for node in range(len(lattice.nodes)) if node != lattice.start)
    return [lattice.start, *others] if lattice.nodes else []


def _render_arc(
    lattice: Lattice, arc: Arc, is_compact: bool, labels: Mapping[str, str] | None
) -> str:
    source = arc.source
    if not isinstance(source, KaldiArc):
        source = KaldiArc(_label(lattice, arc.word, labels), None)
    weight = _weight(lattice, arc.scores, arc.num_words, source.alignment, is_compact)
    columns = [arc.start, arc.end, source.label, weight]
    if not is_compact:
        columns.insert(2, source.transition)
    return "\t".join(map(str, columns)) + "\n"


def _label(lattice: Lattice, word: str, labels: Mapping[str, str] | None) -> str:
    spelt = word if word not in MARKS else "<eps>"
    if labels is None:
        check_word(lattice, word, "" if is_no_word(word) else word)
        return spelt
    if spelt not in labels:
        raise OptionError(f"{lattice.name}: the word {spelt!r} is not in the symbol table")
    return labels[spelt]


def _weight(
    lattice: Lattice, scores: Scores, num_words: int, alignment: str, is_compact: bool
) -> str:
    """A weight; scales of another format, which Kaldi's files lack, are multiplied into it."""
    scales, graph, acoustic = lattice.scales, lattice.scales.lm_score(scores), scores.acoustic
    if not isinstance(lattice.source, KaldiSource):
        graph += (scores.other + scales.word_penalty * num_words) / scales.lm
        acoustic *= scales.acoustic
    parts = [_cost(graph), _cost(acoustic)]
    return ",".join([*parts, alignment] if is_compact else parts)


def _cost(log_prob: float) -> str:
    return "Infinity" if log_prob == -math.inf else f"{0.0 - log_prob:.10g}"


_HEAD = re.compile(
    r"\s*(\S+\s*?\n[ \t\r]*\n"  # an empty lattice, or an id and an arc or a final state
    r"|\S.*\n(\d+[ \t]+\d+[ \t]+\S+([ \t]+\S+){0,2}|\d+([ \t]+\S+,\S*)?)\s*?(\n|$))"
)

KALDI = LatticeFormat(
    name=NAME,
    recognises=lambda head: _HEAD.match(head) is not None,
    read=read,
    render=render,
    is_archive=True,
    has_symbols=True,
)
