"""A record: one text, with whatever else its file says about it."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from lmscore.errors import InputError, LmscoreError, OptionError
from lmscore.names import InputFormat, Split, Utf8Errors

_SHOWN = 60  # characters
_OURS = "lmscore_"  # before the name of an added field that the input has as well


class TableRow(NamedTuple):
    """A row of a Parquet or Arrow file."""

    batch: Any  # a pyarrow.RecordBatch
    number: int  # in the batch, from 0


@dataclass(frozen=True, slots=True)
class Record:
    """One text, and the other fields of its record."""

    text: str
    id: str | None = None
    prefix: str | None = None  # the text before, where the input has a column or key for it
    fields: Mapping[str, Any] | None = None  # by name, the text among them
    raw: bytes = b""  # as it was read, in UTF-8, with its line end
    where: str = ""  # file and line, for errors
    file: str = ""
    heading: bytes = b""  # the line with the names of the columns, as it was read
    row: TableRow | None = None
    error: LmscoreError | None = None  # why this is no record; `text` is empty then

    @property
    def size(self) -> int:
        """Its bytes in the file, with the line end; of a table, those of its text."""
        return len(self.raw) or len(self.text.encode()) + 1

    @property
    def default_split(self) -> Split:
        """How its text is split unless told: where it is no line of a file, into its lines."""
        return "none" if self.fields is None else "lines"

    def as_fields(self) -> dict[str, Any]:
        """Its fields; where the file does not name any, the id, the prefix and the text."""
        if self.fields is not None:
            return dict(self.fields)
        text = self.text if self.error is None else None
        named = {"id": self.id, "prefix": self.prefix, "text": text}
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How files are read as records.

    Attributes:
        input_format: what the files are. Default: by the ending of each name (.csv, .tsv, .jsonl,
            .ndjson, .json, .parquet, .arrow, .feather), Parquet and Arrow by content, else text.
        field: the column or key of the text, by default "text". A dot reaches into an object of
            JSON: "doc.text". In TSV it says that the first line names the columns.
        id_field: the column or key of the id.
        prefix_field: the column or key of the text before, for scoring after a prefix.
        columns: the names of the columns of a CSV or TSV file without a first line of names.
        delimiter: the character between the columns of CSV.
        encoding: of files without a byte-order mark, as Python names it. Default: UTF-8.
        errors: "replace" puts U+FFFD in the place of bytes that are no text.
    """

    input_format: InputFormat | None = None
    field: str | None = None
    id_field: str | None = None
    prefix_field: str | None = None
    columns: tuple[str, ...] = ()
    delimiter: str = ","
    encoding: str | None = None
    errors: Utf8Errors = "strict"

    def __post_init__(self) -> None:
        """Raise OptionError for an impossible value."""
        if len(set(self.columns)) < len(self.columns):
            raise OptionError(f"columns are {list(self.columns)}: two have the same name")
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n':
            raise OptionError(f"delimiter is {self.delimiter!r}, expected one character")

    @property
    def text_field(self) -> str:
        """The column or key of the text."""
        return "text" if self.field is None else self.field


def delimiter_named(name: str) -> str:
    r"""The character between columns that an option names: `tab` and `\t` are a tab."""
    return "\t" if name in ("tab", "\\t") else name


def free_name(name: str, given: Container[str]) -> str:
    """The name of a field that is added to those `given`: none of these."""
    while name in given:
        name = _OURS + name
    return name


def shown_text(text: str) -> str:
    """A text as error messages quote it; a long one is cut."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def record_of(fields: Mapping[str, Any], options: ReadOptions, where: str, **others: Any) -> Record:
    """The record of some named fields; one with an error if a field that it needs is no text.

    Args:
        fields: what the file says, by name.
        options: which of them are the text, the id and the prefix.
        where: the file and the line, for errors.
        others: further fields of the record.
    """
    prefix = given = None
    try:
        if options.id_field is not None:
            given = id_of(fields, options.id_field, where)
        text = text_field(fields, options.text_field, where, option="field")
        if options.prefix_field is not None:
            prefix = text_field(fields, options.prefix_field, where, option="prefix_field")
    except InputError as error:
        return Record("", id=given, fields=fields, where=where, error=error, **others)
    return Record(text, id=given, prefix=prefix, fields=fields, where=where, **others)


def text_field(fields: Mapping[str, Any], field: str, where: str, *, option: str = "field") -> str:
    """The text in a field, which a dot may reach inside of an object.

    Args:
        fields: the fields of a record by name.
        field: the name.
        where: the file and the line, for the message.
        option: the option that names the field, for the message.

    Raises:
        InputError: there is no such field, or its value is no text.
    """
    text = _value(fields, field, where, option)
    if not isinstance(text, str):
        raise InputError(f"{where}: field {field!r} is {_kind(text)}, expected a string")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{where}: field {field!r} holds half a surrogate pair") from error
    return text


def id_of(fields: Mapping[str, Any], field: str, where: str) -> str:
    """The id in a field, a string or a number; raises InputError if there is none."""
    found = _value(fields, field, where, "id_field")
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        raise InputError(f"{where}: field {field!r} is {_kind(found)}, expected a string or number")
    return str(found)


def _value(fields: Mapping[str, Any], field: str, where: str, option: str) -> Any:
    if field in fields:
        return fields[field]
    found: Any = fields
    for part in field.split("."):
        if not isinstance(found, Mapping) or part not in found:
            raise InputError(
                f"{where}: no field {field!r}, only {_names(fields)}; name another with `{option}`"
            )
        found = found[part]
    return found


def _names(fields: Mapping[str, Any]) -> str:
    names = ", ".join(map(repr, list(fields)[:8]))
    return names + (", ..." if len(fields) > 8 else "") if names else "an empty object"


def _kind(value: object) -> str:
    return "null" if value is None else type(value).__name__
