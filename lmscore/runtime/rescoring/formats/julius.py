"""The output of Julius with `-n N -output N`, amid whatever else it prints.

    sentence1: w1 w2 ...
    wseq1: ...  phseq1: ...  cmscore1: ...      each a line
    score1: -9023.5 (AM: -8723.5  LM: -300.0)   log10; the parts with `-separatescore`

The numbers are ranks, and `sentence1` begins the list of the next input. An input of which nothing
came is told as `<search failed>` or `<input rejected by short input>`, for example: it is a list
without hypotheses. A new score is a line `NAME1: score` at the end of its sentence, log10 as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from lmscore.errors import InputError, OptionError
from lmscore.runtime.rescoring.formats.blocks import Block, Row, lists_of_blocks, rendered_blocks
from lmscore.runtime.rescoring.formats.document import Document, Line
from lmscore.runtime.rescoring.formats.format import Format, Head, ReadOptions, Surety
from lmscore.runtime.rescoring.formats.numbers import parse_score, to_float
from lmscore.runtime.rescoring.lists import Hypothesis, NBestList
from lmscore.runtime.scoring import LN10

_LINE = re.compile(r"(?P<label>[A-Za-z_]+)(?P<rank>[1-9][0-9]*):(?P<rest>.*)")
_FAILED = re.compile(r"<(search failed|input (rejected|ter?minated) .*)>")
_SCORE = re.compile(r"(\S+)(?: \(AM: (\S+)  LM: (\S+)\))?")
_NAME = re.compile(r"[A-Za-z_]+")
_OWN = frozenset({"sentence", "wseq", "phseq", "cmscore", "score", "grammar"})
_SCORES = ("score", "am", "lm")


def _read(document: Document, options: ReadOptions) -> Iterator[NBestList]:  # noqa: ARG001
    def parse(block: Block) -> NBestList:
        return _parse(document, block)

    first = document.first_index - 1
    return lists_of_blocks(document, _rows(document.lines(), first), parse)


def _rows(lines: Iterable[Line], index: int) -> Iterator[Row]:
    for line in lines:
        match = _LINE.fullmatch(line.text)
        if _FAILED.fullmatch(line.text):
            index += 1
            yield Row("list", str(index), line)
            continue
        if match is None:
            yield Row("log", "", line)
            continue
        begins = match["label"] == "sentence"
        index += begins and match["rank"] == "1"
        yield Row("hypothesis" if begins else "more", str(index), line)


def _parse(document: Document, block: Block) -> NBestList:
    return NBestList(block.key, tuple(_hypothesis(document, lines) for lines in block.hypotheses))


def _hypothesis(document: Document, lines: list[Line]) -> Hypothesis:
    text = ""
    features: dict[str, float] = {}
    for line in lines:
        match = _LINE.fullmatch(line.text)
        if match is None:
            continue
        label, rest = match["label"], match["rest"].strip()
        place = f"{document.where(line.number)}, {label}"
        if label == "sentence":
            text = rest
        elif label == "score":
            features |= _scores(rest, place)
        elif label not in _OWN and to_float(rest) is not None:  # ours, or the MBR score
            features[label] = parse_score(rest, place, unit=LN10)
    return Hypothesis(text, features, source=tuple(lines))


def _scores(text: str, where: str) -> dict[str, float]:
    found = _SCORE.fullmatch(text)
    if found is None:
        raise InputError(f"{where}: expected a score, or a score (AM: score  LM: score)")
    parts = zip(_SCORES, found.groups(), strict=True)
    return {name: parse_score(part, where, unit=LN10) for name, part in parts if part is not None}


def _render(nbest: NBestList) -> str:
    return rendered_blocks(nbest, _new_lines, _renamed)


def _new_lines(hypothesis: Hypothesis, rank: int) -> Iterator[str]:
    for name in hypothesis.added:
        if not _NAME.fullmatch(name) or name in _OWN:
            raise OptionError(
                f"{name!r} cannot name a line of Julius's: letters and _ only, a name of its own"
            )
        yield f"{name}{rank}: {hypothesis.features[name] / LN10!r}"


def _renamed(text: str, rank: int) -> str:
    match = _LINE.fullmatch(text)
    return f"{match['label']}{rank}:{match['rest']}" if match else text


def _recognises(head: Head) -> Surety:
    found = any(line.startswith("sentence1:") for line in head.lines)
    return Surety.CERTAIN if found else Surety.NO


JULIUS = Format("julius", _recognises, _read, _render, counts_lists=True)
