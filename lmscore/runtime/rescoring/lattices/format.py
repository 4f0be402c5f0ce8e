"""What a format of lattices is; the table of formats has one of these for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from lmscore.runtime.rescoring.formats import Document
from lmscore.runtime.rescoring.lattices.lattice import Lattice

Symbols = Mapping[str, str] | None


@dataclass(frozen=True)
class LatticeFormat:
    """How lattices are recognised, read and written.

    Attributes:
        name: its name for `lattice_format` and `--input-format`.
        recognises: whether a file that begins with these lines has this format.
        read: the lattices of a file, given the spellings of numbered words. Raises InputFileError
            or InputError, which names file and line.
        render: the text of a lattice, given the numbers of spelt words; an unchanged lattice of
            this format is copied. Raises OptionError for what the format cannot express.
        is_archive: whether a file holds several lattices, one after another.
        has_symbols: whether words may be numbers of a symbol table.
    """

    name: str
    recognises: Callable[[str], bool]
    read: Callable[[Document, Symbols], Iterator[Lattice]]
    render: Callable[[Lattice, Symbols], str]
    is_archive: bool = False
    has_symbols: bool = False
