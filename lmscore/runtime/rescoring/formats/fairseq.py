"""The output of fairseq-generate and fairseq-interactive, with the lines of its log.

    S-0     source                      T-0     reference
    H-0     score   tokens              D-0     score   text
    P-0     score of every token

Scores are in base 2. That of a hypothesis is divided by the number of its tokens, with </s>; the
scores of the tokens add up to the log-probability, which is what goes together with other models.
A new score is a line `NAME-0<TAB>score` behind them, base 2 as well.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from lmscore.errors import InputError, OptionError
from lmscore.runtime.rescoring.formats.blocks import (
    Block,
    Role,
    Row,
    lists_of_blocks,
    rendered_blocks,
)
from lmscore.runtime.rescoring.formats.document import Document, Line
from lmscore.runtime.rescoring.formats.format import Format, Head, ReadOptions, Surety
from lmscore.runtime.rescoring.formats.numbers import parse_score
from lmscore.runtime.rescoring.lists import Hypothesis, NBestList

_LN2 = math.log(2)
_LINE = re.compile(r"(?P<label>[A-Za-z][\w.+]*)-(?P<key>[0-9]+)(?:_[0-9]+)?\t(?P<rest>.*)")
_NAME = re.compile(r"[A-Za-z][\w.+]*")
_ROLES: dict[str, Role] = {"S": "list", "T": "list", "W": "list", "H": "hypothesis"}
_OWN = frozenset("STWHDPAIE")  # fairseq's own labels; a longer one is a new score
_SCORE, _TOTAL = "score", "total"


def _read(document: Document, options: ReadOptions) -> Iterator[NBestList]:  # noqa: ARG001
    def parse(block: Block) -> NBestList:
        return _parse(document, block)

    return lists_of_blocks(document, map(_row, document.lines()), parse)


def _row(line: Line) -> Row:
    match = _LINE.fullmatch(line.text)
    if match is None or (len(match["label"]) == 1 and match["label"] not in _OWN):
        return Row("log", "", line)
    return Row(_ROLES.get(match["label"], "more"), match["key"], line)


def _parse(document: Document, block: Block) -> NBestList:
    labelled = dict(_labelled(line) for line in block.own if _LINE.fullmatch(line.text))
    hypotheses = tuple(_hypothesis(document, lines) for lines in block.hypotheses)
    return NBestList(block.key, hypotheses, labelled.get("T"))


def _labelled(line: Line) -> tuple[str, str]:
    match = _LINE.fullmatch(line.text)
    return (match["label"], match["rest"]) if match else ("", "")


def _hypothesis(document: Document, lines: list[Line]) -> Hypothesis:
    where = document.where(lines[0].number)
    known: dict[str, str] = {}
    features: dict[str, float] = {}
    for line in lines:
        label, rest = _labelled(line)
        known.setdefault(label, rest)
        if len(label) > 1:
            place = f"{document.where(line.number)}, {label}"
            features[label] = parse_score(rest, place, unit=_LN2)
    mean, _, text = known["H"].partition("\t")
    score = parse_score(mean, f"{where}, score (field 2)", unit=_LN2)
    own = {_SCORE: score, _TOTAL: _total(known, score, text, where)}
    if "D" in known:
        text = known["D"].partition("\t")[2]
    return Hypothesis(text.strip(), own | features, source=tuple(lines))


def _total(known: dict[str, str], score: float, tokens: str, where: str) -> float:
    """The log-probability of the text and </s>, in nats: the sum of its tokens' scores."""
    if "P" not in known:
        return score * (len(tokens.split()) + 1)
    values = known["P"].split()
    if not values:
        raise InputError(f"{where}: the line P has no scores")
    return sum(parse_score(value, f"{where}, P", unit=_LN2) for value in values)


def _render(nbest: NBestList) -> str:
    def new_lines(hypothesis: Hypothesis, rank: int) -> Iterator[str]:  # noqa: ARG001
        for name in hypothesis.added:
            if not _NAME.fullmatch(name) or len(name) == 1:
                raise OptionError(
                    f"{name!r} cannot name a line of fairseq's: two letters or more, no blank or -"
                )
            yield f"{name}-{nbest.id}\t{hypothesis.features[name] / _LN2!r}"

    return rendered_blocks(nbest, new_lines)


def _recognises(head: Head) -> Surety:
    labels = {_labelled(Line(line, "", 0))[0] for line in head.lines}
    if "H" not in labels:
        return Surety.NO
    return Surety.CERTAIN if labels & {"S", "D", "P"} else Surety.LIKELY


FAIRSEQ = Format("fairseq", _recognises, _read, _render, counts_lists=True, score=_TOTAL)
