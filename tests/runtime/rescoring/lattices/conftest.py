"""Lattices from text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lmscore.runtime.rescoring.lattices import Lattice, read_lattices

ReadText = Callable[..., list[Lattice]]


@pytest.fixture
def read_text(tmp_path: Path) -> ReadText:
    """Read the lattices of a file with this text, `lat`; symbols are the text of `words.txt`."""

    def read_text(
        text: str | bytes,
        lattice_format: str | None = None,
        *,
        symbols: str | None = None,
        name: str = "lat",
    ) -> list[Lattice]:
        path, table = tmp_path / name, None
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        if symbols is not None:
            table = tmp_path / "words.txt"
            table.write_text(symbols)
        return list(read_lattices(path, lattice_format, symbols=table))

    return read_text
