"""The n-best lists of WeNet's runtime: `decoder_main --output_nbest`.

    wav utterance
    candidate score text

A new score is a line `NAME score` behind its candidate. Candidates without words are not written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from lmscore.errors import InputError, OptionError
from lmscore.runtime.rescoring.formats.blocks import Block, Row, lists_of_blocks, rendered_blocks
from lmscore.runtime.rescoring.formats.document import Document, Line
from lmscore.runtime.rescoring.formats.format import Format, Head, ReadOptions, Surety
from lmscore.runtime.rescoring.formats.numbers import parse_score
from lmscore.runtime.rescoring.lists import Hypothesis, NBestList

_LIST = re.compile(r"wav (\S+)")
_HYPOTHESIS = re.compile(r"candidate (\S+)(?: (.*))?")
_NEW = re.compile(r"(\S+) (\S+)")
_SCORE = "score"


def _read(document: Document, options: ReadOptions) -> Iterator[NBestList]:  # noqa: ARG001
    def parse(block: Block) -> NBestList:
        return _parse(document, block)

    return lists_of_blocks(document, _rows(document, document.lines()), parse)


def _rows(document: Document, lines: Iterable[Line]) -> Iterator[Row]:
    key = ""
    for line in lines:
        found = _LIST.fullmatch(line.text)
        if found:
            key = found[1]
            yield Row("list", key, line)
        elif not line.text.strip():
            yield Row("log", "", line)
        elif not key:
            raise InputError(f"{document.where(line.number)}: expected 'wav' and an id")
        else:
            yield Row("hypothesis" if line.text.startswith("candidate ") else "more", key, line)


def _parse(document: Document, block: Block) -> NBestList:
    if len(block.own) > 1:
        line = block.own[1]
        raise InputError(f"{document.where(line.number)}: expected 'candidate', a score and a text")
    return NBestList(block.key, tuple(_hypothesis(document, lines) for lines in block.hypotheses))


def _hypothesis(document: Document, lines: list[Line]) -> Hypothesis:
    first, *more = lines
    where = document.where(first.number)
    found = _HYPOTHESIS.fullmatch(first.text)
    if found is None:
        raise InputError(f"{where}: expected 'candidate', a score and a text")
    features = {_SCORE: parse_score(found[1], f"{where}, score (field 2)")}
    for line in more:
        place = document.where(line.number)
        new = _NEW.fullmatch(line.text)
        if new is None:
            raise InputError(f"{place}: expected a candidate, or the name of a score and the score")
        features[new[1]] = parse_score(new[2], f"{place}, {new[1]}")
    return Hypothesis((found[2] or "").strip(), features, source=tuple(lines))


def _render(nbest: NBestList) -> str:
    return rendered_blocks(nbest, _new_lines)


def _new_lines(hypothesis: Hypothesis, rank: int) -> Iterator[str]:  # noqa: ARG001
    for name in hypothesis.added:
        if name.split() != [name] or name in ("wav", "candidate"):
            raise OptionError(f"{name!r} cannot name a line of a WeNet list: one word, and its own")
        yield f"{name} {hypothesis.features[name]!r}"


def _recognises(head: Head) -> Surety:
    """Lists and candidates alone; an utterance of which nothing came has no candidates."""
    known = all(_LIST.fullmatch(line) or _HYPOTHESIS.fullmatch(line) for line in head.lines[:2])
    return Surety.CERTAIN if known and _LIST.fullmatch(head.first) else Surety.NO


WENET = Format("wenet", _recognises, _read, _render)
