"""Writing lattices, in the format they were read in or in another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from lmscore.errors import OptionError
from lmscore.files import names_directory, open_output, write_directory
from lmscore.runtime.rescoring.formats import read_symbols
from lmscore.runtime.rescoring.lattices import kaldi_writing, slf_writing
from lmscore.runtime.rescoring.lattices.format_table import format_named
from lmscore.runtime.rescoring.lattices.lattice import Lattice


def write_lattices(
    lattices: Iterable[Lattice],
    path: str | Path,
    lattice_format: str,
    *,
    symbols: str | Path | None = None,
) -> None:
    """Write lattices as `render_lattices` renders them.

    Args:
        path: a file for an archive or for one lattice; or, for formats with one lattice a file, a
            directory (an existing one, or a name that ends in `/`), where each lattice gets a file
            of the name it was read from. A name that ends in .gz or .xz means compression.
        lattice_format: its name in the table of formats.
        symbols: Kaldi's symbol table, to write words of other formats as numbers.

    Raises:
        OutputFileError: a file cannot be written.
        OptionError: an unknown format, or the lattices cannot be written to such a path.
    """
    if names_directory(path):
        known = format_named(lattice_format)
        if known.is_archive:
            raise OptionError(f"{Path(path)}: is a directory, but {known.name} is one file")
        named = ((slf_writing.file_name(each), [known.render(each, None)]) for each in lattices)
        write_directory(Path(path), named, "lattices")
        return
    with open_output(path) as file:
        rendered = render_lattices(lattices, lattice_format, symbols=symbols)
        file.writelines(text.encode() for text in rendered)


def render_lattices(
    lattices: Iterable[Lattice], lattice_format: str, *, symbols: str | Path | None = None
) -> Iterator[str]:
    """The texts of a file with these lattices, about one for each lattice.

    An unchanged lattice is copied byte for byte in its own format. In any other, the language model
    score is the sum of the two models' scores, weighted by its `scales`. Kaldi's files have no
    scales: those of HTK's files are multiplied into the costs, so that the acoustic scale to use
    with the costs is 1 / lmscale.

    Raises:
        OptionError: an unknown format, several lattices in one file of HTK's, or a word that is
            not in the symbol table.
    """
    known = format_named(lattice_format)
    labels = None
    if symbols is not None:
        labels = {word: label for label, word in read_symbols(symbols).items()}
    last = "\n\n"
    for number, lattice in enumerate(lattices, 1):
        if number > 1 and not known.is_archive:
            raise OptionError(
                f"a file of {known.name} holds one lattice: write into a directory, one that is "
                "there or whose name ends in /"
            )
        if known.is_archive and not kaldi_writing.is_ended(last):
            yield "\n" if last.endswith("\n") else "\n\n"
        last = known.render(lattice, labels)
        yield last
