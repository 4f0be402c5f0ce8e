"""The options of verbs that read texts, and the records that they give."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass

from lmscore.cli import options, streams
from lmscore.cli.usage import UsageError, command_line
from lmscore.corpus.reading import (
    BadRecords,
    ReadOptions,
    Record,
    delimiter_named,
    format_named,
    format_of,
    read_records,
)
from lmscore.files import read_lines
from lmscore.names import InputFormat, Split, Utf8Errors


@dataclass(frozen=True, kw_only=True)
class TextInput:
    """The options of verbs that read texts."""

    files: options.Files = None
    input_format: options.Reading = None
    field: options.Field = None
    id_field: options.IdField = None
    columns: options.Columns = None
    delimiter: options.Delimiter = ","
    encoding: options.Encoding = None
    errors: options.Utf8Errors = "strict"
    split: options.Split = None
    language: options.Language = "en"
    documents: options.Documents = "files"
    on_error: options.OnError = "stop"
    max_errors: options.MaxErrors = None

    @property
    def paths(self) -> list[str]:
        """The files to read, by default standard input."""
        return self.files or ["-"]

    @property
    def kind(self) -> InputFormat:
        """The kind of the first file, as far as the command line shows it."""
        return self.input_format or format_named(self.paths[0]) or "text"

    @property
    def names_columns(self) -> bool:
        """Whether the first line of a TSV file names its columns."""
        named = self.field is not None or self.id_field is not None
        return named and self.columns is None

    def splits(self, *, apart: str = "") -> Split:
        """How texts are split: as told, else those that are fields into lines.

        Args:
            apart: an option that is of whole texts, if one was given.

        Raises:
            UsageError: it is given beside --split lines or sentences.
        """
        if apart:
            if self.split not in (None, "none"):
                raise UsageError(f"{apart} is of whole texts: leave --split out")
            return "none"
        if self.split is not None:
            return self.split
        is_text = all(format_of(path, self.input_format) == "text" for path in self.paths)
        return "none" if is_text else "lines"

    @property
    def has_ids(self) -> bool:
        """Whether each record has an id."""
        plain = self.kind == "tsv" and self.columns is None and not self.names_columns
        return plain or self.id_field is not None or "id" in column_names(self.columns)

    def reading(
        self, *, prefix_field: str | None = None, prefix_column: bool = False
    ) -> ReadOptions:
        """How the files are read.

        Args:
            prefix_field: the key of the prefix in a JSON object, if it has one.
            prefix_column: whether a tsv line is `id<TAB>prefix<TAB>text`.

        Raises:
            UsageError: an option has an impossible value.
        """
        if self.max_errors is not None and self.on_error == "stop":
            raise UsageError("--max-errors goes with --on-error skip or keep")
        if self.language != "en" and self.split != "sentences":
            raise UsageError("--language goes with --split sentences")
        columns = column_names(self.columns)
        if prefix_column:
            columns = ("id", "prefix", "text")
        # A column of that name is the id, as it is without --columns.
        id_field = self.id_field or ("id" if "id" in columns else None)
        with command_line():
            return ReadOptions(
                input_format=self.input_format,
                field=self.field,
                id_field=id_field,
                prefix_field=prefix_field,
                columns=columns,
                delimiter=delimiter_named(self.delimiter),
                encoding=self.encoding,
                errors=self.errors,
            )

    def check_apart(self, what: str) -> None:
        """Raise UsageError if documents are asked for; `what` are made of each text on its own."""
        if self.documents != "files":
            raise UsageError(f"{what} are of each text on its own: leave --documents out")

    def document_of(self) -> Callable[[Record], Hashable]:
        """A function that gives records of one document, one after another, the same key.

        Raises:
            UsageError: documents are to be told by their ids, and records have none.
        """
        if self.documents == "ids" and not self.has_ids:
            raise UsageError("--documents ids needs --id-field, or --input-format tsv")
        blank = 0

        def key(record: Record) -> Hashable:
            nonlocal blank
            found = (record.file, record.id if self.documents == "ids" else blank)
            blank += self.documents == "blank-lines" and not record.text.strip()
            return found

        return key

    def bad_records(self) -> BadRecords:
        """The rule for records that cannot be read."""
        return BadRecords(self.on_error, max_errors=self.max_errors)

    def records(
        self,
        *,
        prefix_field: str | None = None,
        prefix_column: bool = False,
        bad: BadRecords | None = None,
    ) -> Iterator[Record]:
        """Read the records of the files, one after another.

        Args:
            prefix_field: the key of the prefix in a JSON object, if it has one.
            prefix_column: whether a tsv line is `id<TAB>prefix<TAB>text`.
            bad: the rule for records that cannot be read. Default: `bad_records`.

        Raises:
            InputFileError: a file cannot be opened or read.
            InputError: a record is malformed, or there is none; names file, line and field.
        """
        how = self.reading(prefix_field=prefix_field, prefix_column=prefix_column)
        rule = self.bad_records() if bad is None else bad
        return rule.handled(read_records(self.paths, how))


def column_names(columns: str | None) -> tuple[str, ...]:
    """The names in a value of --columns, with commas between them."""
    return tuple(name.strip() for name in (columns or "").split(",") if name.strip())


def note_bad_records(count: int) -> None:
    """Say how many records could not be read, if any."""
    if count:
        streams.note(f"{count} {'record' if count == 1 else 'records'} could not be read")


def words_of_file(path: str, *, errors: Utf8Errors) -> set[str]:
    """The words of a file, with white space between them; raises what `read_lines` raises."""
    return {word for line in read_lines(path, errors=errors) for word in line.split()}
