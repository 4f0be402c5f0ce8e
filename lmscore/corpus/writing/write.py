"""Records written in the kind of file that they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Self

from lmscore.corpus.reading import ReadOptions, Record, format_of
from lmscore.corpus.writing.lines import Array, Lines, lines_of
from lmscore.corpus.writing.tables import Table
from lmscore.errors import InputError
from lmscore.names import InputFormat

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class RecordWriter:
    """Writes records to one file, in the kind of the file that the first one was read from.

    It is a context manager, which writes the end of the file.

    Lines and elements of JSON arrays are the bytes that were read, rows of Parquet and Arrow the
    values. Fields may be added; where the input has a field of that name, `lmscore_` comes before
    it. `begin` is for each record of the input before it is known whether it is written, or for one
    of them at the end (`finish`): so a file without records still names its columns.
    """

    def __init__(
        self,
        write: Callable[[bytes], object],
        options: ReadOptions,
        added: Mapping[str, type] = _NOTHING,
        *,
        begun: bool = False,
    ) -> None:
        """Make a writer; nothing is written before the first record.

        Args:
            write: writes bytes.
            options: how the records were read.
            added: the types of the added fields by name: float, bool or str.
            begun: whether there are records in the output already, as there may be of lines.
        """
        self._write = write
        self._options = options
        self._added = added
        self._begun = begun
        self._path: str | None = None
        self._kind: InputFormat | None = None
        self._target: Lines | Array | Table | None = None

    def begin(self, record: Record) -> None:
        """Note a record of the input, which may be written next.

        Raises:
            InputError: it is of another kind than the records before it, or has other columns.
            OptionError: records of this kind have no room for added fields.
        """
        if record.file != self._path:
            self._check_kind(record)
            self._path = record.file
        target = self._target or self._open()
        target.begin(record)

    def write(self, record: Record, values: Mapping[str, Any] = _NOTHING) -> None:
        """Write a record with the values of the added fields; errors as of `begin`."""
        self.begin(record)
        if self._target is not None:
            self._target.write(record, values)

    def finish(self, first: Record | None) -> None:
        """Make a file to which nothing was written one without records, of the kind of `first`."""
        if self._target is None and first is not None:
            self.begin(first)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        """Write the end of the file, unless an error has ended it."""
        if self._target is None:
            return
        if kind is None:
            self._target.close()
        else:
            self._target.abandon()

    def _check_kind(self, record: Record) -> None:
        kind = format_of(record.file, self._options.input_format)
        if self._kind not in (None, kind):
            raise InputError(
                f"{record.where}: is {kind}, and the files before it are {self._kind}: one output "
                "holds records of one kind"
            )
        self._kind = kind

    def _open(self) -> Lines | Array | Table:
        kind = self._kind or "text"
        if kind in ("parquet", "arrow"):
            self._target = Table(self._write, self._added, is_parquet=kind == "parquet")
        elif kind == "json":
            self._target = Array(self._write)
        else:
            self._target = lines_of(
                kind,
                self._write,
                list(self._added),
                delimiter=self._options.delimiter,
                begun=self._begun,
            )
        return self._target
