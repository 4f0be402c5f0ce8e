"""Rows written to Parquet and Arrow files, with the columns that they were read with."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

from lmscore.corpus.reading import Record, free_name
from lmscore.errors import InputError, needs_extra
from lmscore.files import open_input

_ROWS = 1 << 16  # of a row group
_BYTES = 1 << 26


class Table:
    """Writes rows; they are kept until there are enough of them for a row group.

    Args:
        write: writes bytes.
        added: the types of the columns that are added, by name.
        is_parquet: whether it is Parquet, else Arrow.
    """

    def __init__(
        self, write: Callable[[bytes], object], added: Mapping[str, type], *, is_parquet: bool
    ) -> None:
        self._sink = _Sink(write)
        self._added = added
        self._is_parquet = is_parquet
        self._read: Any = None  # the schema of the input
        self._written: Any = None  # with the columns that are added
        self._writer: Any = None
        self._batch: Any = None  # of the rows that wait
        self._numbers: list[int] = []
        self._values: list[Mapping[str, Any]] = []
        self._group: list[Any] = []  # batches of the next row group

    def begin(self, record: Record) -> None:
        """Open the file with the columns of a row; raises InputError if they are others."""
        if record.row is None:  # what could not be read has no columns
            return
        schema = record.row.batch.schema
        if self._read is None:
            self._read = schema
            self._written = _extended(schema, self._added)
            self._writer = self._open(record.file)
        elif not schema.equals(self._read):
            raise InputError(f"{record.where}: has other columns than the records before it")

    def write(self, record: Record, values: Mapping[str, Any]) -> None:
        """Write a row; what could not be read as one is left out."""
        if record.row is None:
            return
        if record.row.batch is not self._batch:
            self._take()
            self._batch = record.row.batch
        self._numbers.append(record.row.number)
        self._values.append(values)

    def close(self) -> None:
        """Write the rows that wait, and the end of the file."""
        if self._writer is not None:
            self._take()
            self._write_group()
            self._writer.close()

    def abandon(self) -> None:
        """Write nothing more, not even the end of the file."""
        self._sink.is_abandoned = True
        if self._writer is not None:
            self._writer.close()

    def _take(self) -> None:
        """Add the rows that wait to the next row group."""
        import pyarrow as pa

        if not self._numbers:
            return
        columns = self._batch.take(pa.array(self._numbers)).columns
        types = self._written.types[len(columns) :]
        for name, kind in zip(self._added, types, strict=True):
            columns.append(pa.array([values.get(name) for values in self._values], kind))
        self._group.append(pa.RecordBatch.from_arrays(columns, schema=self._written))
        self._numbers.clear()
        self._values.clear()
        rows = sum(batch.num_rows for batch in self._group)
        if rows >= _ROWS or sum(batch.nbytes for batch in self._group) >= _BYTES:
            self._write_group()

    def _write_group(self) -> None:
        import pyarrow as pa

        if self._group:
            table = pa.Table.from_batches(self._group, self._written).combine_chunks()
            self._writer.write_table(table)
            self._group.clear()

    def _open(self, path: str) -> Any:
        with needs_extra("parquet"):
            import pyarrow as pa
            import pyarrow.parquet as pq
        if self._is_parquet:
            return pq.ParquetWriter(self._sink, self._written, compression=_codec(path))
        with open_input(path) as file:
            is_file = file.peek(6).startswith(b"ARROW1")  # type: ignore[attr-defined]
        return (pa.ipc.new_file if is_file else pa.ipc.new_stream)(self._sink, self._written)


def _extended(schema: Any, added: Mapping[str, type]) -> Any:
    import pyarrow as pa

    types = {float: pa.float64(), bool: pa.bool_(), str: pa.string()}
    for name, kind in added.items():
        schema = schema.append(pa.field(free_name(name, schema.names), types[kind]))
    return schema


def _codec(path: str) -> str:
    """The compression of the first column of a Parquet file."""
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(path)
    if not metadata.num_row_groups or not metadata.num_columns:
        return "NONE"
    found = str(metadata.row_group(0).column(0).compression)
    return "NONE" if found == "UNCOMPRESSED" else found


class _Sink(io.RawIOBase):
    """A file for pyarrow, which writes from its beginning to its end."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self.is_abandoned = False
        self._write = write
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if not self.is_abandoned:
            self._write(bytes(data))
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        return self._size
