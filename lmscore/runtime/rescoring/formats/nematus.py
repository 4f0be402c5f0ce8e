"""Nematus' n-best lists: `ID ||| text ||| cost`, lower is better.

New scores make a fourth field, with labels as in Moses' lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from lmscore.errors import InputError
from lmscore.runtime.rescoring.formats.document import Document, Line, by_lines, lists_of_rows
from lmscore.runtime.rescoring.formats.format import Format, Head, ReadOptions, Surety
from lmscore.runtime.rescoring.formats.moses import (
    SEPARATOR,
    TOTAL,
    labelled,
    parse_features,
    place_of_total,
    split,
)
from lmscore.runtime.rescoring.formats.numbers import parse_score, to_float
from lmscore.runtime.rescoring.lists import Hypothesis, NBestList

_COST = 2  # the place of the cost among the fields


def _read(document: Document, options: ReadOptions) -> Iterator[NBestList]:  # noqa: ARG001
    return lists_of_rows(document, map(partial(_parse, document), document.lines()))


def _parse(document: Document, line: Line) -> tuple[str, Hypothesis]:
    where = document.where(line.number)
    fields = split(line.text)
    if len(fields) not in (3, 4) or not fields[0]:
        raise InputError(f"{where}: expected ID ||| text ||| cost")
    features = {TOTAL: parse_score(fields[_COST], f"{where}, cost (field 3)", unit=-1.0)}
    if len(fields) > _COST + 1:
        features |= parse_features(fields[_COST + 1], f"{where}, features (field 4)")
    return fields[0], Hypothesis(fields[1], features, source=line)


def _line(hypothesis: Hypothesis) -> str:
    text = str(hypothesis.source.text)
    if not hypothesis.added:
        return text
    if text.count(SEPARATOR) == _COST:
        return text + ("" if text.endswith(" ") else " ") + f"{SEPARATOR} {labelled(hypothesis)}"
    return text.rstrip(" ") + f" {labelled(hypothesis)}"


def _recognises(head: Head) -> Surety:
    fields = split(head.first)
    is_own = len(fields) in (3, 4) and to_float(fields[_COST]) is not None
    return Surety.CERTAIN if is_own and place_of_total(fields) is None else Surety.NO


NEMATUS = Format(
    "nematus",
    _recognises,
    _read,
    by_lines(_line),
    counts_lists=True,
    score=TOTAL,
    are_costs=True,
)
