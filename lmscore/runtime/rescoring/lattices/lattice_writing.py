"""Writing lattices, in the format they were read in or in another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lmscore.errors import OptionError
from lmscore.files import names_directory, open_output, write_directory
from lmscore.runtime.rescoring.formats import read_symbols
from lmscore.runtime.rescoring.lattices import kaldi_writing, slf_writing
from lmscore.runtime.rescoring.lattices.format import LatticeFormat
from lmscore.runtime.rescoring.lattices.format_table import format_named
from lmscore.runtime.rescoring.lattices.lattice import Lattice


@dataclass(frozen=True, slots=True)
class WrittenLattice:
    """The text of a lattice, the name of its file in a directory, and its id."""

    name: str
    text: str
    id: str = ""


class LatticeWriter:
    """Writes lattices in one format, each apart from the others; `join` brings them together."""

    def __init__(self, lattice_format: str, *, symbols: str | Path | None = None) -> None:
        """Take the format.

        Args:
            lattice_format: its name in the table of formats.
            symbols: Kaldi's symbol table, to write words of other formats as numbers.

        Raises:
            OptionError: an unknown format.
            InputFileError, InputError: the symbol table cannot be read.
        """
        self._format = format_named(lattice_format)
        self._labels = _labels(symbols)

    def written(self, lattice: Lattice) -> WrittenLattice:
        """The text of a lattice.

        An unchanged lattice is copied byte for byte in its own format. In any other, the language
        model score is the sum of all models' scores, weighted by its `scales`. Kaldi's files have
        no scales: those of HTK's files are multiplied into the costs, so that the acoustic scale to
        use with the costs is 1 / lmscale.

        Raises:
            OptionError: the format cannot express the lattice, or a word is not in the symbol
                table.
        """
        text = self._format.render(lattice, self._labels)
        return WrittenLattice(slf_writing.file_name(lattice), text, lattice.id)

    def join(self, written: Iterable[WrittenLattice]) -> Iterator[str]:
        """The texts of one file with these lattices, about one for each lattice.

        Raises:
            OptionError: several lattices in one file of a format that holds one.
        """
        return _joined(written, self._format)

    def write(self, written: Iterable[WrittenLattice], path: str | Path) -> None:
        """Write lattices to a file, or to a directory under their names.

        Raises:
            OutputFileError: a file cannot be written.
            OptionError: the lattices cannot be written to such a path, or two have the same name.
        """
        if not names_directory(path):
            with open_output(path) as file:
                file.writelines(text.encode() for text in self.join(written))
        elif self._format.is_archive:
            raise OptionError(f"{Path(path)}: is a directory, but {self._format.name} is one file")
        else:
            write_directory(Path(path), _named(written, Path(path)), "lattices")


def write_lattices(
    lattices: Iterable[Lattice],
    path: str | Path,
    lattice_format: str,
    *,
    symbols: str | Path | None = None,
) -> None:
    """Write lattices as `LatticeWriter` does.

    Args:
        path: a file for an archive or for one lattice; or, for formats with one lattice a file, a
            directory (an existing one, or a name that ends in `/`), where each lattice gets a file
            of the name it was read from. A name that ends in .gz or .xz means compression.
        lattice_format: its name in the table of formats.
        symbols: Kaldi's symbol table, to write words of other formats as numbers.

    Raises:
        OutputFileError: a file cannot be written.
        OptionError: an unknown format, or the lattices cannot be written to such a path, or two
            have the same name there.
    """
    writer = LatticeWriter(lattice_format, symbols=symbols)
    writer.write(map(writer.written, lattices), path)


def render_lattices(
    lattices: Iterable[Lattice], lattice_format: str, *, symbols: str | Path | None = None
) -> Iterator[str]:
    """The texts of a file with these lattices, about one for each; see `LatticeWriter.written`.

    Raises:
        OptionError: an unknown format, several lattices in one file of HTK's, or a word that is
            not in the symbol table.
    """
    writer = LatticeWriter(lattice_format, symbols=symbols)
    yield from writer.join(map(writer.written, lattices))


def _labels(symbols: str | Path | None) -> Mapping[str, str] | None:
    if symbols is None:
        return None
    return {word: label for label, word in read_symbols(symbols).items()}


def _named(
    written: Iterable[WrittenLattice], directory: Path
) -> Iterator[tuple[str, Iterable[str]]]:
    """The name and the text of each file; raises OptionError for two lattices of one name."""
    ids: dict[str, str] = {}
    for each in written:
        if each.name in ids:
            raise OptionError(
                f"{directory / each.name}: would be the file of two lattices, "
                f"{ids[each.name]!r} and {each.id!r}; write them into two directories"
            )
        ids[each.name] = each.id
        yield each.name, [each.text]


def _joined(written: Iterable[WrittenLattice], known: LatticeFormat) -> Iterator[str]:
    last = "\n\n"
    for number, each in enumerate(written, 1):
        if number > 1 and not known.is_archive:
            raise OptionError(
                f"a file of {known.name} holds one lattice: write into a directory, one that is "
                "there or whose name ends in /"
            )
        if known.is_archive and not kaldi_writing.is_ended(last):
            yield "\n" if last.endswith("\n") else "\n\n"
        last = each.text
        yield last
