"""Parquet and Arrow files, a batch of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lmscore.corpus.reading.record import ReadOptions, Record, TableRow, record_of
from lmscore.errors import InputError, InputFileError, needs_extra
from lmscore.files import STANDARD_INPUT, input_name, open_input

ROWS = 1024  # of a batch


def table_records(path: str, options: ReadOptions, *, all_fields: bool) -> Iterator[Record]:
    """The records of a Parquet file.

    Args:
        path: the file; it cannot be a pipe, for its end is read first.
        options: which columns are the text, the id and the prefix.
        all_fields: read the other columns as well.

    Raises:
        InputFileError: the file cannot be read, or is damaged.
        InputError: there is no such column.
        MissingExtraError: pyarrow is not installed.
    """
    with needs_extra("parquet"):
        import pyarrow.parquet as pq
    name = input_name(path)
    if name == STANDARD_INPUT:
        raise InputFileError(
            f"{name}: Parquet is read from its end, which a pipe cannot give: name the file"
        )
    with _named_errors(name), open(path, "rb") as source, pq.ParquetFile(source) as file:
        columns = _columns(file.schema_arrow, options, name)
        # One row group after another, each column in pieces: a group may be larger than memory.
        batches = file.iter_batches(ROWS, columns=None if all_fields else columns)
        yield from _records(batches, options, name, path)


def arrow_records(path: str, options: ReadOptions, *, all_fields: bool) -> Iterator[Record]:
    """The records of an Arrow file (Feather) or stream; as `table_records`."""
    with needs_extra("parquet"):
        import pyarrow as pa
    name = input_name(path)
    with _named_errors(name), open_input(path) as source:
        if source.peek(6).startswith(b"ARROW1"):  # type: ignore[attr-defined]
            if not source.seekable():
                raise InputFileError(
                    f"{name}: an Arrow file is read from its end, which a pipe cannot give: name "
                    "the file, or write a stream"
                )
            reader = pa.ipc.open_file(source)
            numbers = range(reader.num_record_batches)
            batches = (reader.get_batch(number) for number in numbers)
        else:
            reader = pa.ipc.open_stream(source)
            batches = (batch for batch in reader)
        columns = _columns(reader.schema, options, name)
        if not all_fields:
            batches = (batch.select(columns) for batch in batches)
        yield from _records(_slices(batches), options, name, path)


def _slices(batches: Iterator[Any]) -> Iterator[Any]:
    for batch in batches:
        for start in range(0, batch.num_rows, ROWS):
            yield batch.slice(start, ROWS)


def _columns(schema: Any, options: ReadOptions, name: str) -> list[str]:
    """The columns that hold the text, the id and the prefix; raises InputError without them."""
    wanted = {
        "field": options.text_field,
        "id_field": options.id_field,
        "prefix_field": options.prefix_field,
    }
    found = []
    for option, field in wanted.items():
        if field is None:
            continue
        column = field if field in schema.names else field.split(".")[0]
        if column not in schema.names:
            names = ", ".join(map(repr, schema.names[:8]))
            raise InputError(f"{name}: no column {field!r}, only {names}; name another: `{option}`")
        found.append(column)
    return list(dict.fromkeys(found))


def _records(
    batches: Iterator[Any], options: ReadOptions, name: str, path: str
) -> Iterator[Record]:
    number = 0
    for batch in batches:
        for index, fields in enumerate(_rows(batch)):
            number += 1
            where = f"{name}, row {number}"
            row = TableRow(batch, index)
            if isinstance(fields, Exception):
                error = InputError(f"{where}: a value is not what its column says: {fields}")
                yield Record("", where=where, file=path, row=row, error=error)
            else:
                yield record_of(fields, options, where, file=path, row=row)


def _rows(batch: Any) -> Iterator[dict[str, Any] | Exception]:
    """The fields of each row, or why Python cannot hold them: invalid UTF-8, the year 50,000."""
    try:
        yield from batch.to_pylist()
    except (OverflowError, ValueError):
        for index in range(batch.num_rows):
            try:
                (fields,) = batch.slice(index, 1).to_pylist()
                yield fields
            except (OverflowError, ValueError) as error:
                yield error


@contextmanager
def _named_errors(name: str) -> Iterator[None]:
    """Turn pyarrow's errors into one that names the file."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, InputError | InputFileError):
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputFileError(f"{name}: cannot be read: {reason}") from error
