"""Files of features: arrays of NumPy or tables of Parquet, written row by row in bounded memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from lmscore.cli.usage import UsageError
from lmscore.errors import needs_extra
from lmscore.files import atomic_write

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_HEADER = 128  # bytes: room for any number of rows
_MAGIC = b"\x93NUMPY\x01\x00"
_GROUP = 4096  # rows of a Parquet file that are written at once


class FeatureFile(Protocol):
    """A file to which the features of one text after another are added."""

    def add(
        self, number: int, texts: Sequence[str], features: NDArray[np.float32], key: str | None
    ) -> None:
        """Add n rows float32 [n, F] of the text with that number, from 1, and its id, if any."""
        ...


def check_feature_file(path: Path) -> None:
    """Raise an error, before the work begins, if features cannot be written to a path.

    Raises:
        UsageError: no such kind of file.
        MissingExtraError: pyarrow is not installed.
    """
    if path.suffix == ".parquet":
        with needs_extra("parquet"):
            import pyarrow.parquet  # noqa: F401
    elif path.suffix != ".npy":
        raise UsageError(f"--output {path}: features are written to .npy or .parquet")


@contextlib.contextmanager
def open_feature_file(path: Path) -> Iterator[FeatureFile]:
    """Open a file for features, which takes its name when all are written; raises OutputFileError.

    .npy has an array float32 [rows, F]. .parquet has a row for each of them: `number` of the text,
    `id` where the input has one, `index` in the text, `text` and `features`.
    """
    with atomic_write(path) as file:
        writer = _ParquetFile(file) if path.suffix == ".parquet" else _NumpyFile(file)
        yield writer
        writer.finish()


class _NumpyFile:
    """An .npy file, whose header is written last: then the number of rows is known."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._rows, self._width = file, 0, 0
        file.write(bytes(_HEADER))

    def add(
        self,
        number: int,  # noqa: ARG002  # an array has no room for it
        texts: Sequence[str],  # noqa: ARG002
        features: NDArray[np.float32],
        key: str | None,  # noqa: ARG002
    ) -> None:
        self._file.write(features.astype("<f4").tobytes())
        self._rows += len(features)
        self._width = features.shape[1]

    def finish(self) -> None:
        shape = (self._rows, self._width)
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode()
        size = _HEADER - len(_MAGIC) - 2
        self._file.seek(0)
        self._file.write(_MAGIC + size.to_bytes(2, "little") + header.ljust(size - 1) + b"\n")


class _ParquetFile:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._writer: Any = None
        self._rows: list[dict[str, Any]] = []

    def add(
        self, number: int, texts: Sequence[str], features: NDArray[np.float32], key: str | None
    ) -> None:
        for index, (text, row) in enumerate(zip(texts, features, strict=True), 1):
            self._rows.append(
                {"number": number, "id": key, "index": index, "text": text, "features": row}
            )
        if len(self._rows) >= _GROUP:
            self._flush()

    def finish(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        import pyarrow
        import pyarrow.parquet

        kinds = [
            ("number", pyarrow.int64()),
            ("id", pyarrow.string()),
            ("index", pyarrow.int64()),
            ("text", pyarrow.string()),
            ("features", pyarrow.list_(pyarrow.float32())),
        ]
        table = pyarrow.Table.from_pylist(self._rows, schema=pyarrow.schema(kinds))
        if self._writer is None:
            self._writer = pyarrow.parquet.ParquetWriter(self._file, table.schema)
        self._writer.write_table(table)
        self._rows = []
