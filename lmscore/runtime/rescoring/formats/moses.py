"""Moses n-best lists: `ID ||| text ||| name= value ... ||| total`, and what else may follow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from lmscore.errors import InputError, OptionError
from lmscore.runtime.rescoring.formats.document import Document, Line, by_lines, lists_of_rows
from lmscore.runtime.rescoring.formats.format import Format, Head, ReadOptions, Surety
from lmscore.runtime.rescoring.formats.numbers import parse_score
from lmscore.runtime.rescoring.lists import Hypothesis, NBestList

_SEPARATOR = "|||"
_UNNAMED = "feature"  # values without a label before them
_TOTAL = "total"


def _read(document: Document, options: ReadOptions) -> Iterator[NBestList]:  # noqa: ARG001
    return lists_of_rows(document, map(partial(_parse, document), document.lines()))


def _parse(document: Document, line: Line) -> tuple[str, Hypothesis]:
    where = document.where(line.number)
    fields = [field.strip() for field in line.text.split(_SEPARATOR)]
    if len(fields) < 4:
        raise InputError(
            f"{where}: {len(fields)} field{'s' * (len(fields) > 1)}, expected at least 4: "
            "ID ||| text ||| features ||| total"
        )
    if not fields[0]:
        raise InputError(f"{where}: the ID (field 1) is empty")
    features = _parse_features(fields[2], f"{where}, features (field 3)")
    if _TOTAL in features:
        raise InputError(f"{where}: a feature is called {_TOTAL!r}, which is field 4; rename it")
    features[_TOTAL] = parse_score(fields[3], f"{where}, total (field 4)")
    return fields[0], Hypothesis(fields[1], features, source=line)


def _parse_features(text: str, where: str) -> dict[str, float]:
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
    """The line, new features at the end of field 3."""
    fields: list[str] = hypothesis.source.text.split(_SEPARATOR)
    for name in hypothesis.added:
        if re.search(r"[\s=|]|:$|^$", name):
            raise OptionError(f"{name!r} cannot name a feature of a Moses list: no blank, = or |")
        space = "" if fields[2][-1:].isspace() else " "
        fields[2] += f"{space}{name}= {hypothesis.features[name]!r} "
    return _SEPARATOR.join(fields)


def _recognises(head: Head) -> Surety:
    return Surety.CERTAIN if head.first.count(_SEPARATOR) >= 3 else Surety.NO


MOSES = Format("moses", _recognises, _read, by_lines(_line), counts_lists=True, score=_TOTAL)
