"""Moses' and Marian's n-best lists: `ID ||| text ||| name= value ... ||| total`.

Further fields may follow, and Marian puts alignments and the scores of words before the features.
The total is the first field from the fourth on that is one number; the features are before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial

from lmscore.errors import InputError, OptionError
from lmscore.runtime.rescoring.formats.document import Document, Line, by_lines, lists_of_rows
from lmscore.runtime.rescoring.formats.format import Format, Head, ReadOptions, Surety
from lmscore.runtime.rescoring.formats.numbers import parse_score, to_float
from lmscore.runtime.rescoring.lists import Hypothesis, NBestList

SEPARATOR = "|||"
_UNNAMED = "feature"  # values without a label before them
TOTAL = "total"


def _read(document: Document, options: ReadOptions) -> Iterator[NBestList]:  # noqa: ARG001
    return lists_of_rows(document, map(partial(_parse, document), document.lines()))


def _parse(document: Document, line: Line) -> tuple[str, Hypothesis]:
    where = document.where(line.number)
    fields = split(line.text)
    if len(fields) < 4:
        raise InputError(
            f"{where}: {len(fields)} field{'s' * (len(fields) > 1)}, expected at least 4: "
            "ID ||| text ||| features ||| total"
        )
    if not fields[0]:
        raise InputError(f"{where}: the ID (field 1) is empty")
    place = place_of_total(fields)
    if place is None:
        raise InputError(f"{where}, total (field 4): {fields[3]!r} is no number")
    features = parse_features(fields[place - 1], f"{where}, features (field {place})")
    if TOTAL in features:
        raise InputError(
            f"{where}: a feature is called {TOTAL!r}, which is field {place + 1}; rename it"
        )
    features[TOTAL] = parse_score(fields[place], f"{where}, total (field {place + 1})")
    return fields[0], Hypothesis(fields[1], features, source=line)


def split(line: str) -> list[str]:
    """The fields of a line, without the white space around them."""
    return [field.strip() for field in line.split(SEPARATOR)]


def place_of_total(fields: Sequence[str]) -> int | None:
    """The place of the first field from the fourth on that is one number, from 0."""
    return next((i for i, f in enumerate(fields) if i > 2 and to_float(f) is not None), None)


def parse_features(text: str, where: str) -> dict[str, float]:
    """Values by name; of a name with several values `name[0]`, `name[1]` and so on."""
    values: dict[str, list[float]] = {}
    name = _UNNAMED
    for token in text.split():
        label, sign, value = token.rpartition("=")
        if not sign and token.endswith(":"):  # as old decoders write
            label, sign, value = token[:-1], ":", ""
        if sign and not label:
            raise InputError(f"{where}: {token!r} names no feature")
        if sign:
            name = label
            values.setdefault(name, [])
        if value:
            values.setdefault(name, []).append(parse_score(value, f"{where}, {name!r}"))
    return dict(_flattened(values, where))


def _flattened(values: dict[str, list[float]], where: str) -> Iterator[tuple[str, float]]:
    for name, numbers in values.items():
        if not numbers:
            raise InputError(f"{where}: {name!r} has no value")
        if len(numbers) == 1:
            yield name, numbers[0]
        else:
            yield from ((f"{name}[{i}]", number) for i, number in enumerate(numbers))


def _line(hypothesis: Hypothesis) -> str:
    """The line, new features at the end of the field before the total."""
    if not hypothesis.added:
        return str(hypothesis.source.text)
    fields: list[str] = hypothesis.source.text.split(SEPARATOR)
    place = (place_of_total(fields) or 3) - 1
    space = "" if fields[place][-1:].isspace() else " "
    fields[place] += space + labelled(hypothesis)
    return SEPARATOR.join(fields)


def labelled(hypothesis: Hypothesis) -> str:
    """The new features as `name= value `; raises OptionError for a name with blanks, = or |."""
    for name in hypothesis.added:
        if re.search(r"[\s=|]|:$|^$", name):
            raise OptionError(f"{name!r} cannot name a feature of a Moses list: no blank, = or |")
    return "".join(f"{name}= {hypothesis.features[name]!r} " for name in hypothesis.added)


def _recognises(head: Head) -> Surety:
    return Surety.CERTAIN if place_of_total(split(head.first)) is not None else Surety.NO


MOSES = Format("moses", _recognises, _read, by_lines(_line), counts_lists=True, score=TOTAL)
