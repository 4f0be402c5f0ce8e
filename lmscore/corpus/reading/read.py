"""Records of files, one after another, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lmscore.compression import DamagedError
from lmscore.corpus.reading.delimited import Line, bad, csv_records, tsv_records
from lmscore.corpus.reading.formats import check_plain, format_of
from lmscore.corpus.reading.json_text import Element, array_elements, as_object, json_object
from lmscore.corpus.reading.record import ReadOptions, Record, record_of
from lmscore.corpus.reading.tables import arrow_records, table_records
from lmscore.encodings import LineReader
from lmscore.errors import InputError, InputFileError
from lmscore.files import check_errors, input_name, open_input
from lmscore.names import InputFormat

_REMEDY = "name the `encoding` of the file"


def read_records(
    paths: Iterable[str], options: ReadOptions | None = None, *, all_fields: bool = True
) -> Iterator[Record]:
    """Yield the records of several files, one after another.

    A record that cannot be read is yielded with its `error`; `BadRecords` decides what happens
    then.

    Args:
        paths: the files; `-` is standard input. Each may be packed and of a kind of its own.
        options: how they are read.
        all_fields: read the columns of Parquet and Arrow that nothing names as well.

    Raises:
        InputFileError: a file cannot be opened or read.
        InputError: a file is not what it should be, or there is no record at all.
        OptionError: an option has an impossible value.
        MissingExtraError: a package for this kind of file is not installed.
    """
    options = ReadOptions() if options is None else options
    check_errors(options.errors)
    names = []
    empty = True
    for path in paths:
        names.append(input_name(path))
        for record in file_records(str(path), options, all_fields=all_fields):
            empty = False
            yield record
    if empty:
        raise InputError(f"{', '.join(names)}: empty, there is no line to score")


def file_records(path: str, options: ReadOptions, *, all_fields: bool = True) -> Iterator[Record]:
    """The records of one file; as `read_records`, and none where the file is empty."""
    try:
        yield from _records(path, options, all_fields=all_fields)
    except InputFileError as error:
        if not isinstance(error.__cause__, DamagedError):
            raise
        # What could be unpacked has been read.
        yield Record("", where=input_name(path), file=path, error=error)


def _records(path: str, options: ReadOptions, *, all_fields: bool) -> Iterator[Record]:
    kind = format_of(path, options.input_format)
    if kind == "parquet":
        yield from table_records(path, options, all_fields=all_fields)
    elif kind == "arrow":
        yield from arrow_records(path, options, all_fields=all_fields)
    elif kind == "json":
        yield from _array_records(path, options)
    elif kind == "csv":
        yield from csv_records(_lines(path, options), options)
    elif kind == "tsv":
        yield from tsv_records(_lines(path, options), options)
    elif kind == "jsonl":
        yield from _json_records(_lines(path, options), options)
    else:
        yield from _text_records(_lines(path, options), options.input_format)


def located_lines(paths: Iterable[str], options: ReadOptions | None = None) -> Iterator[Line]:
    """The lines of several files of text, one after another.

    Raises:
        InputFileError: a file cannot be opened or read.
        InputError: a line is no text in its encoding, or there is no line; names file and line.
    """
    names = []
    empty = True
    for path in paths:
        names.append(input_name(path))
        found = _lines(path, ReadOptions() if options is None else options, "convert the file")
        for line in found:
            if line.error is not None:
                raise line.error
            empty = False
            yield line
    if empty:
        raise InputError(f"{', '.join(names)}: empty, there is no line to score")


def _lines(path: str, options: ReadOptions, remedy: str = _REMEDY) -> Iterator[Line]:
    """The lines of a file, those that are no text with an error."""
    name = input_name(path)
    with open_input(path) as file:
        reader = LineReader(file, name, options.encoding, remedy=remedy)
        number = 0
        lines = iter(reader)
        for found in lines:
            number += 1
            where = f"{name}, line {number}"
            try:
                text = reader.text(found, where, options.errors)
            except InputError as error:
                yield Line("", found, where, path, error)
                continue
            raw = reader.utf8(found, text)
            if raw:  # not a byte-order mark and nothing else
                yield Line(text, raw, where, path)


def _text_records(lines: Iterable[Line], given: InputFormat | None) -> Iterator[Record]:
    first = given is None
    for line in lines:
        if line.error is not None:
            yield bad(line, line.error, line.raw)
            continue
        if first:
            check_plain(line.text, line.where)
            first = False
        yield Record(line.text, raw=line.raw, where=line.where, file=line.file)


def _json_records(lines: Iterable[Line], options: ReadOptions) -> Iterator[Record]:
    for line in lines:
        if line.error is not None:
            yield bad(line, line.error, line.raw)
            continue
        if not line.text.strip():
            continue
        try:
            fields = json_object(line.text, line.where)
        except InputError as error:
            yield bad(line, error, line.raw)
        else:
            yield record_of(fields, options, line.where, raw=line.raw, file=line.file)


def _array_records(path: str, options: ReadOptions) -> Iterator[Record]:
    name = input_name(path)
    with open_input(path) as file:
        reader = LineReader(file, name, options.encoding, remedy=_REMEDY)  # knows what is no text
        elements = array_elements(reader.file, name, reader.encoding, options.errors)
        number = 0
        try:
            for number, element in enumerate(elements, 1):
                yield _element_record(element, options, f"{name}, element {number}", path)
        except InputError as error:
            if not number:
                raise
            # Nothing behind the damage can be read.
            yield Record("", where=name, file=path, error=error)


def _element_record(element: Element, options: ReadOptions, where: str, path: str) -> Record:
    raw = element.text.encode()
    try:
        fields = as_object(element.value, where)
    except InputError as error:
        return Record("", raw=raw, where=where, file=path, error=error)
    return record_of(fields, options, where, raw=raw, file=path)
