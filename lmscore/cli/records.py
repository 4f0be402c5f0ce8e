"""Reading records: one text each, with an id or other fields where the input has them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

from lmscore.cli import options
from lmscore.errors import InputError
from lmscore.files import input_name, read_lines, read_raw_lines
from lmscore.names import Utf8Errors

_SHOWN = 60  # characters


@dataclass(frozen=True, slots=True)
class Record:
    """One text to score, and the other fields of its line."""

    text: str
    id: str | None = None  # of a tsv line
    prefix: str | None = None  # the text before, where the input has a column or key for it
    fields: dict[str, Any] | None = None  # of a jsonl line, the text among them
    raw: bytes = b""  # the line as it was read, with its end

    def as_fields(self) -> dict[str, Any]:
        """The fields of a jsonl line; of any other line the id, the prefix and the text."""
        named = {"id": self.id, "prefix": self.prefix, "text": self.text}
        return self.fields or {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class TextInput:
    """The options of verbs that read texts."""

    files: options.Files = None
    input_format: options.Reading = "text"
    field: options.Field = "text"
    errors: options.Utf8Errors = "strict"

    @property
    def paths(self) -> list[str]:
        """The files to read, by default standard input."""
        return self.files or ["-"]

    def records(
        self, *, prefix_field: str | None = None, prefix_column: bool = False
    ) -> Iterator[Record]:
        """Read the records of the files, one after another.

        Args:
            prefix_field: the key of the prefix in a JSON object, if it has one.
            prefix_column: whether a tsv line is `id<TAB>prefix<TAB>text`.

        Raises:
            InputFileError: a file cannot be opened or read.
            InputError: a line is malformed, or there is no line; names file, line and field.
        """
        for line in located_lines(self.paths, errors=self.errors):
            if self.input_format == "jsonl":
                yield _parse_jsonl(line, self.field, prefix_field)
            elif self.input_format == "tsv":
                yield _parse_tsv(line, prefix_column=prefix_column)
            else:
                yield Record(line.text, raw=line.raw)


class Line(NamedTuple):
    """A line of a file."""

    text: str  # without the line end
    raw: bytes  # with the line end
    where: str  # file and line number, for errors


def located_lines(paths: Iterable[str], *, errors: Utf8Errors = "strict") -> Iterator[Line]:
    """The lines of several files, one after another.

    Raises:
        InputFileError: a file cannot be opened or read.
        InputError: a line is no UTF-8, or there is no line; names file and line.
    """
    names = []
    empty = True
    for path in paths:
        names.append(input_name(path))
        for number, (text, raw) in enumerate(read_raw_lines(path, errors=errors), 1):
            empty = False
            yield Line(text, raw, f"{names[-1]}, line {number}")
    if empty:
        raise InputError(f"{', '.join(names)}: empty, there is no line to score")


def words_of_file(path: str, *, errors: Utf8Errors) -> set[str]:
    """The words of a file, with white space between them; raises what `read_lines` raises."""
    return {word for line in read_lines(path, errors=errors) for word in line.split()}


def shown_text(text: str) -> str:
    """A text as error messages quote it; a long one is cut."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def _parse_tsv(line: Line, *, prefix_column: bool) -> Record:
    expected = "id<TAB>prefix<TAB>text" if prefix_column else "id<TAB>text"
    columns = line.text.split("\t", expected.count("<TAB>"))
    if len(columns) == 1:
        raise InputError(f"{line.where}: no tab; expected {expected}, or use --input-format text")
    if not prefix_column:
        return Record(columns[1], id=columns[0], raw=line.raw)
    if len(columns) == 2:
        raise InputError(
            f"{line.where}: one tab; expected {expected}, or leave --prefix-column out"
        )
    return Record(columns[2], id=columns[0], prefix=columns[1], raw=line.raw)


def _parse_jsonl(line: Line, field: str, prefix_field: str | None) -> Record:
    fields = json_object(line)
    text = text_field(fields, field, line.where)
    prefix = None
    if prefix_field is not None:
        prefix = text_field(fields, prefix_field, line.where, option="--prefix-field")
    return Record(text, prefix=prefix, fields=fields, raw=line.raw)


def json_object(line: Line) -> dict[str, Any]:
    """The fields of one line of JSON Lines; raises InputError if it is no JSON object."""
    try:
        fields = json.loads(line.text, parse_constant=_reject)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise InputError(f"{line.where}: not JSON: {reason}") from error
    if not isinstance(fields, dict):
        raise InputError(f"{line.where}: expected a JSON object, got {type(fields).__name__}")
    return fields


def text_field(
    fields: Mapping[str, Any], field: str, where: str, *, option: str = "--field"
) -> str:
    """The text in a field of a JSON object.

    Args:
        where: the file and the line, for the message.
        option: the option that names the field, for the message.

    Raises:
        InputError: there is no such field, or its value is no text.
    """
    if field not in fields:
        raise InputError(f"{where}: no field {field!r}; name the one with the text: {option} NAME")
    text = fields[field]
    if not isinstance(text, str):
        raise InputError(f"{where}: field {field!r} is {type(text).__name__}, expected a string")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{where}: field {field!r} holds half a surrogate pair") from error
    return text


def json_line(document: Mapping[str, Any]) -> str:
    """A line of JSON Lines, in plain characters where UTF-8 can carry them."""
    line = json.dumps(document, ensure_ascii=False)
    try:
        line.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can stand for
        line = json.dumps(document)
    return line + "\n"


def _reject(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON value")
