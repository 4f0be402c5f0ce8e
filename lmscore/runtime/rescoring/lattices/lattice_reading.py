"""Reading lattices from files of any format: Kaldi archives and HTK's SLF files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import get_args

from lmscore.errors import InputError, OptionError
from lmscore.files import expanded_paths
from lmscore.names import LatticeFormat, Utf8Errors
from lmscore.runtime.rescoring.formats import Document, read_symbols
from lmscore.runtime.rescoring.lattices import kaldi, slf
from lmscore.runtime.rescoring.lattices.lattice import Lattice

FORMATS: tuple[LatticeFormat, ...] = get_args(LatticeFormat)

_SLF_SIZE = re.compile(r"^[^#\n]*\b(N|NODES|L|LINKS)=\d", re.MULTILINE)
_KALDI = re.compile(
    r"\s*(\S+\s*?\n[ \t\r]*\n"  # an empty lattice, or an id and an arc or a final state
    r"|\S.*\n(\d+[ \t]+\d+[ \t]+\S+([ \t]+\S+){0,2}|\d+([ \t]+\S+,\S*)?)\s*?(\n|$))"
)


def open_lattices(
    paths: str | Path | Iterable[str | Path],
    lattice_format: str | None = None,
    *,
    symbols: str | Path | None = None,
    errors: Utf8Errors = "strict",
) -> tuple[LatticeFormat, Iterator[Lattice]]:
    """Open files with lattices of one format.

    Returns:
        The format, and the lattices in their order, each read when it is asked for.

    Args:
        paths: a file or several, `-` for standard input; a directory stands for all its files, and
            `@FILE` for the paths that are the lines of FILE. gzip and xz are recognised by content.
        lattice_format: "kaldi-lattice" or "htk-slf"; None to detect it in the first file.
        symbols: Kaldi's symbol table (`words.txt`), if words are numbers.
        errors: "replace" puts U+FFFD in the place of invalid UTF-8.

    Raises:
        OptionError: an unknown format, or a symbol table for HTK's, which does not use any.
        InputFileError: a file cannot be opened or read.
        InputError: the format cannot be detected, or a lattice cannot be used; names file, line
            and field.
    """
    files = list(expanded_paths(paths))
    if not files:
        raise OptionError("no file with lattices")
    with ExitStack() as stack:
        first = stack.enter_context(Document(files[0], errors=errors))
        name = _format_of(first, lattice_format)
        if name != kaldi.NAME and symbols is not None:
            raise OptionError(f"{first.name}: a lattice of HTK's has no use for a symbol table")
        table = None if symbols is None else read_symbols(symbols, errors=errors)
        stack.pop_all()
    rest = (Document(path, errors=errors) for path in files[1:])
    return name, _read(name, chain([first], rest), table)


def read_lattices(
    path: str | Path, lattice_format: str | None = None, *, symbols: str | Path | None = None
) -> Iterator[Lattice]:
    """The lattices of one path; see `open_lattices`."""
    return open_lattices(path, lattice_format, symbols=symbols)[1]


def check_format(name: str) -> LatticeFormat:
    """The name of a format; raises OptionError if there is no such format."""
    for known in FORMATS:
        if name == known:
            return known
    raise OptionError(f"no lattice format {name!r}; there are {', '.join(FORMATS)}")


def detect(head: str) -> LatticeFormat | None:
    """The format of a file that begins with these lines; None if it is neither of the two."""
    if _SLF_SIZE.search(head):
        return "htk-slf"
    return "kaldi-lattice" if _KALDI.match(head) else None


def _check_text(document: Document) -> None:
    if "\0" in document.head:
        raise InputError(
            f"{document.name}: not a text; write archives of Kaldi's as ark,t with lattice-copy"
        )


def _format_of(document: Document, name: str | None) -> LatticeFormat:
    if name is not None:
        return check_format(name)
    _check_text(document)
    found = detect(document.head)
    if found is None and not document.head:
        raise InputError(f"{document.name}: empty, there is no lattice in it")
    if found is None:
        raise InputError(
            f"{document.name}: cannot tell the lattice format from the first lines; "
            f"name it (`input_format`): {', '.join(FORMATS)}; n-best lists are for lmscore rescore"
        )
    return found


def _read(
    name: LatticeFormat, documents: Iterable[Document], symbols: Mapping[str, str] | None
) -> Iterator[Lattice]:
    seen: set[str] = set()
    for document in documents:
        with document:
            _check_text(document)
            lattices = kaldi.read(document, symbols) if name == kaldi.NAME else slf.read(document)
            for lattice in lattices:
                if lattice.id in seen:
                    raise InputError(
                        f"{document.name}: a second lattice {lattice.id!r}; "
                        "give every lattice an id of its own"
                    )
                seen.add(lattice.id)
                yield lattice
