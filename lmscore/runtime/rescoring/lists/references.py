"""References (what was really said) from a file, brought together with their lists."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from lmscore.errors import InputError
from lmscore.files import input_name, read_lines
from lmscore.names import Utf8Errors
from lmscore.runtime.rescoring.lists.nbest import NBestList


def with_references(
    lists: Iterable[NBestList], path: str | Path, *, by_line: bool, errors: Utf8Errors = "strict"
) -> Iterator[NBestList]:
    """Lists with their references: one for each list, and no reference without a list.

    Args:
        lists: any reference of theirs is replaced.
        path: one reference a line. A line that is a JSON object (a NeMo manifest) has it as its
            `text`.
        by_line: whether the line number, from 0, is the list's id; otherwise the id is the line's
            first field, or the object's `id`.
        errors: "replace" puts U+FFFD in the place of invalid UTF-8.

    Raises:
        InputFileError: the file cannot be opened or read.
        InputError: a line is not what it should be, a reference is missing or left over.
    """
    references = _read(read_lines(path, errors=errors), input_name(path), by_line=by_line)
    for nbest in lists:
        if nbest.id not in references:
            raise InputError(f"{input_name(path)}: no reference for the list {nbest.id!r}")
        yield replace(nbest, reference=references.pop(nbest.id))
    if references:
        raise InputError(
            f"{input_name(path)}: no list for the reference {next(iter(references))!r} "
            f"(and {len(references) - 1} more); leave it out to measure the lists alone"
        )


def reference_of(nbest: NBestList) -> str:
    """The reference of a list; raises InputError where it has none."""
    if nbest.reference is None:
        raise InputError(f"list {nbest.id!r} has no reference; give a file with `references`")
    return nbest.reference


def _read(lines: Iterable[str], name: str, *, by_line: bool) -> dict[str, str]:
    references: dict[str, str] = {}
    for number, line in enumerate(lines):
        where = f"{name}, line {number + 1}"
        key, text = _parse_json(line, where) if line.startswith("{") else _parse(line, by_line)
        key = str(number) if by_line else key
        if not key:
            raise InputError(f"{where}: no id; expected the list's id and the reference")
        if key in references:
            raise InputError(f"{where}: a second reference for the list {key!r}")
        references[key] = text
    return references


def _parse(line: str, by_line: bool) -> tuple[str, str]:
    key, _, text = ("", "", line) if by_line else line.replace("\t", " ", 1).partition(" ")
    return key, text.strip()


def _parse_json(line: str, where: str) -> tuple[str, str]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON: {error}") from error
    if not isinstance(fields.get("text"), str):
        raise InputError(f"{where}: no field 'text' with the reference")
    return str(fields.get("id", "")), fields["text"]
