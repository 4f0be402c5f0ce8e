"""SRILM n-best lists, one file for each utterance: Decipher 1.0 and 2.0, and SRILM's own.

    NBestList1.0                        NBestList2.0
    (SCORE) w1 w2 ...                   (SCORE) w1 ( st: 0 et: 0.3 g: G a: A ) w2 ( ...

    ascore lscore nwords w1 w2 ...      log10, no header

Decipher's scores are "bytelogs": P = exp(score * 1024 / 10000.5). A list with a new language model
score is written as SRILM's rescoring tools write it: in SRILM's own form, the score as `lscore`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lmscore.errors import InputError, OptionError
from lmscore.runtime.rescoring.formats.document import (
    Document,
    Line,
    ListSource,
    joined_lines,
    rendered_lines,
    stem_of,
)
from lmscore.runtime.rescoring.formats.format import Format, Head, ReadOptions, Surety
from lmscore.runtime.rescoring.formats.numbers import parse_score, to_float
from lmscore.runtime.rescoring.lists import MARKS, Hypothesis, NBestList
from lmscore.runtime.scoring import LN10

_NUM_WORDS = "nwords"
_HEADERS = {"NBestList1.0": 1, "NBestList2.0": 2}
_BYTELOG = 1024 / 10000.5  # nats
_FIELDS_PER_TOKEN = 11  # word ( st: S et: E g: G a: A )
_BACKTRACE = re.compile(r"\( st: \S+ et: \S+ g: \S+ a: \S+ \)")
_STATE = re.compile(r"-[0-9]$")  # what the name of an HMM state ends in
_FIELD = re.compile(r"[^ \t\r]+")
_MOST = 0.5  # of the lines: what is damaged is for the reader
_SUFFIXES = (".Z", ".nbest", ".score", ".txt")


@dataclass(frozen=True, slots=True)
class SrilmLine(Line):
    """A line and what SRILM's own form says of it, as text."""

    ascore: str  # log10
    words: str  # with the marks of the sentence


def utterance_id(name: str) -> str:
    """The utterance of a file: its name without folders and without suffixes like .nbest.gz."""
    return stem_of(name, _SUFFIXES)


def _recognises(head: Head) -> Surety:
    if head.first.strip() in _HEADERS:
        return Surety.CERTAIN
    if max(head.share(_is_own), head.share(_is_decipher)) < _MOST:
        return Surety.NO
    return Surety.POSSIBLE if "\t" in head.first else Surety.LIKELY  # SRILM writes blanks


def _is_own(line: str) -> bool:
    fields = _FIELD.findall(line)
    numbers = [to_float(field) for field in fields[:2]]
    return len(fields) > 2 and None not in numbers and fields[2].isdecimal()


def _is_decipher(line: str) -> bool:
    score = next(iter(_FIELD.findall(line)), "")
    return score.startswith("(") and score.endswith(")") and to_float(score[1:-1]) is not None


def _read(document: Document, options: ReadOptions) -> Iterator[NBestList]:  # noqa: ARG001
    header, version = "", 0
    hypotheses = []
    for line in document.lines():
        found = _HEADERS.get(line.text.strip(), 0) if line.number == 1 else 0
        if found:
            header, version = line.text + line.end, found
        else:
            hypotheses.append(_parse(line, document.where(line.number), version))
    size = len(header.encode()) + sum(hypothesis.source.size for hypothesis in hypotheses)
    source = ListSource(document, 0, 1, size, content=header)
    yield NBestList(utterance_id(document.name), tuple(hypotheses), source=source)
    document.finish(1)


def _parse(line: Line, where: str, version: int) -> Hypothesis:
    fields = _FIELD.findall(line.text)
    if not fields:
        raise InputError(f"{where}: blank; a hypothesis without words has its scores at least")
    if version == 2:
        return _parse_decipher2(line, fields, where)
    if version == 1 or fields[0].startswith("("):
        return _parse_decipher1(line, fields, where)
    return _parse_own(line, fields, where)


def _parse_own(line: Line, fields: list[str], where: str) -> Hypothesis:
    if len(fields) < 3:
        raise InputError(f"{where}: {len(fields)} fields, expected ascore lscore nwords w1 w2 ...")
    features = {
        "ascore": parse_score(fields[0], f"{where}, ascore (field 1)", unit=LN10),
        "lscore": parse_score(fields[1], f"{where}, lscore (field 2)", unit=LN10),
        _NUM_WORDS: parse_score(fields[2], f"{where}, nwords (field 3)"),
    }
    words = " ".join(fields[3:])
    source = SrilmLine(line.text, line.end, line.number, fields[0], words)
    return Hypothesis(words, features, source=source)


def _parse_decipher1(line: Line, fields: list[str], where: str) -> Hypothesis:
    """Acoustic and language model scores come as one sum, which SRILM takes as the acoustic."""
    words, ascore = fields[1:], _parse_total(fields[0], where)
    features = {"ascore": ascore, _NUM_WORDS: _count(words)}
    return Hypothesis(" ".join(words), features, source=_decipher_line(line, ascore, words))


def _parse_decipher2(line: Line, fields: list[str], where: str) -> Hypothesis:
    """The words with their times; phones and states lie within a word's time and are left out."""
    if (len(fields) - 1) % _FIELDS_PER_TOKEN:
        raise InputError(
            f"{where}: {len(fields)} fields, expected (SCORE) and {_FIELDS_PER_TOKEN} for each "
            "word: w ( st: S et: E g: G a: A )"
        )
    total = _parse_total(fields[0], where)
    words: list[str] = []
    ascore = lscore = 0.0
    last_end = -1.0
    for first in range(1, len(fields), _FIELDS_PER_TOKEN):
        word, *backtrace = fields[first : first + _FIELDS_PER_TOKEN]
        place = f"{where}, {word!r} (field {first + 1})"
        if not _BACKTRACE.fullmatch(" ".join(backtrace)):
            raise InputError(f"{place}: expected ( st: S et: E g: G a: A ) after it")
        start, end = (parse_score(backtrace[i], place) for i in (2, 4))
        if start > last_end and not _STATE.search(word):
            words.append(word)
            lscore += parse_score(backtrace[6], f"{place}, g", unit=_BYTELOG)
            ascore += parse_score(backtrace[8], f"{place}, a", unit=_BYTELOG)
            last_end = end
    features = {"ascore": ascore, "lscore": lscore, _NUM_WORDS: _count(words), "total": total}
    return Hypothesis(" ".join(words), features, source=_decipher_line(line, ascore, words))


def _count(words: Sequence[str]) -> float:
    return float(sum(word not in MARKS for word in words))


def _parse_total(field: str, where: str) -> float:
    if not (field.startswith("(") and field.endswith(")")):
        raise InputError(f"{where}, score (field 1): {field!r}, expected (SCORE)")
    return parse_score(field[1:-1], f"{where}, score (field 1)", unit=_BYTELOG)


def _decipher_line(line: Line, ascore: float, words: Sequence[str]) -> SrilmLine:
    return SrilmLine(line.text, line.end, line.number, _log10(ascore), " ".join(words))


def _log10(score: float) -> str:
    return f"{score / LN10:.15g}"


def _render(nbest: NBestList) -> str:
    if any(h.added for h in nbest.hypotheses):
        return rendered_lines(nbest, _rescored)
    lines = ((h.source.text, h.source.end) for h in nbest.hypotheses)
    return str(nbest.source.content) + joined_lines(lines)


def _rescored(hypothesis: Hypothesis) -> str:
    """The hypothesis in SRILM's own form, the new feature as its language model score."""
    if len(hypothesis.added) != 1:
        raise OptionError(
            "a SRILM list has room for one language model score, "
            f"not {', '.join(hypothesis.added)}; write one list each"
        )
    lscore = _log10(hypothesis.features[hypothesis.added[0]])
    num_words = f"{hypothesis.features[_NUM_WORDS]:.15g}"
    source = hypothesis.source
    return " ".join(filter(None, [source.ascore, lscore, num_words, source.words]))


SRILM = Format(
    "srilm", _recognises, _read, _render, is_whole=True, word_count=_NUM_WORDS, score="ascore"
)
