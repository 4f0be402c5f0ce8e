"""Reading lattices from files of any format of the table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import chain
from pathlib import Path

from lmscore.errors import InputError, OptionError
from lmscore.files import expanded_paths
from lmscore.names import Utf8Errors
from lmscore.runtime.rescoring.formats import Document, read_symbols
from lmscore.runtime.rescoring.lattices.format import LatticeFormat, Symbols
from lmscore.runtime.rescoring.lattices.format_table import detect, format_named, known_formats
from lmscore.runtime.rescoring.lattices.lattice import Lattice


def open_lattices(
    paths: str | Path | Iterable[str | Path],
    lattice_format: str | None = None,
    *,
    symbols: str | Path | None = None,
    may_be_spelt: bool = False,
    errors: Utf8Errors = "strict",
    line_buffered: bool = False,
) -> tuple[LatticeFormat, Iterator[Lattice]]:
    """Open files with lattices of one format.

    Returns:
        The format, and the lattices in their order, each read when it is asked for.

    Args:
        paths: a file or several, `-` for standard input; a directory stands for all its files, and
            `@FILE` for the paths that are the lines of FILE. gzip and xz are recognised by content.
        lattice_format: its name in the table of formats; None to detect it in the first file.
        symbols: Kaldi's symbol table (`words.txt`), if words are numbers.
        may_be_spelt: leave the table alone where the format has no numbers, as it may be given for
            writing the lattices in another one.
        errors: "replace" puts U+FFFD in the place of invalid UTF-8.
        line_buffered: read no line before it is asked for; the format is told from the first two.

    Raises:
        OptionError: an unknown format, or a symbol table for one that does not use any.
        InputFileError: a file cannot be opened or read.
        InputError: the format cannot be detected, or a lattice cannot be used; names file, line
            and field.
    """
    files = list(expanded_paths(paths))
    if not files:
        raise OptionError("no file with lattices")
    # An archive of Kaldi's is told from an id and the line after it.
    document = partial(Document, errors=errors, line_buffered=line_buffered, head_lines=2)
    with ExitStack() as stack:
        first = stack.enter_context(document(files[0]))
        found = _format_of(first, lattice_format)
        if not found.has_symbols and may_be_spelt:
            symbols = None
        if symbols is not None and not found.has_symbols:
            raise OptionError(f"{first.name}: {found.name} has no use for a symbol table")
        table = None if symbols is None else read_symbols(symbols, errors=errors)
        stack.pop_all()
    return found, _read(found, chain([first], map(document, files[1:])), table)


def read_lattices(
    path: str | Path, lattice_format: str | None = None, *, symbols: str | Path | None = None
) -> Iterator[Lattice]:
    """The lattices of one path; see `open_lattices`."""
    return open_lattices(path, lattice_format, symbols=symbols)[1]


def _check_text(document: Document) -> None:
    if "\0" in document.head:
        raise InputError(
            f"{document.name}: not a text; write archives of Kaldi's as ark,t with lattice-copy"
        )


def _format_of(document: Document, name: str | None) -> LatticeFormat:
    if name is not None:
        return format_named(name)
    _check_text(document)
    found = detect(document.head)
    if found is None and not document.head:
        raise InputError(f"{document.name}: empty, there is no lattice in it")
    if found is None:
        raise InputError(
            f"{document.name}: cannot tell the lattice format from the first lines; "
            f"name it (`input_format`): {', '.join(known_formats())}; n-best lists are for lmscore "
            "rescore"
        )
    return found


def _read(
    lattice_format: LatticeFormat, documents: Iterable[Document], symbols: Symbols
) -> Iterator[Lattice]:
    seen: set[str] = set()
    for document in documents:
        with document:
            _check_text(document)
            for lattice in lattice_format.read(document, symbols):
                if lattice.id in seen:
                    raise InputError(
                        f"{document.name}: a second lattice {lattice.id!r}; "
                        "give every lattice an id of its own"
                    )
                seen.add(lattice.id)
                yield lattice
