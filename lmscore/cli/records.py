"""Records in: one text each, with an id or other fields where the input has them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from lmscore.cli.options import InputFormat
from lmscore.errors import InputError
from lmscore.files import input_name, read_lines


@dataclass(frozen=True, slots=True)
class Record:
    """One text to score, and what came with it."""

    text: str
    id: str | None = None  # of a tsv line
    fields: dict[str, Any] | None = None  # of a jsonl line, the text among them


def read_records(
    paths: Iterable[str],
    *,
    input_format: InputFormat = "text",
    field: str = "text",
    errors: str = "strict",
) -> Iterator[Record]:
    """The records of several files, one after another.

    Args:
        paths: files, `-` for standard input.
        input_format: what a line is: a text, `id<TAB>text`, or a JSON object.
        field: the key of the text in such an object.
        errors: "strict" or "replace", for invalid UTF-8.

    Raises:
        InputFileError: a file cannot be opened or read.
        InputError: a line is not what it should be, or there is none; names file, line and field.
    """
    names = []
    empty = True
    for path in paths:
        names.append(input_name(path))
        for number, line in enumerate(read_lines(path, errors=errors), 1):
            empty = False
            where = f"{names[-1]}, line {number}"
            if input_format == "jsonl":
                yield _parse_jsonl(line, field, where)
            elif input_format == "tsv":
                yield _parse_tsv(line, where)
            else:
                yield Record(line)
    if empty:
        raise InputError(f"{', '.join(names)}: empty, there is no line to score")


def _parse_tsv(line: str, where: str) -> Record:
    key, tab, text = line.partition("\t")
    if not tab:
        raise InputError(f"{where}: no tab; expected id<TAB>text, or use --input-format text")
    return Record(text, id=key)


def _parse_jsonl(line: str, field: str, where: str) -> Record:
    try:
        fields = json.loads(line, parse_constant=_reject)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise InputError(f"{where}: not JSON: {reason}") from error
    if not isinstance(fields, dict):
        raise InputError(f"{where}: expected a JSON object, got {type(fields).__name__}")
    if field not in fields:
        raise InputError(f"{where}: no field {field!r}; name the one with the text: --field NAME")
    text = fields[field]
    if not isinstance(text, str):
        raise InputError(f"{where}: field {field!r} is {type(text).__name__}, expected a string")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{where}: field {field!r} holds half a surrogate pair") from error
    return Record(text, fields=fields)


def _reject(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON value")
