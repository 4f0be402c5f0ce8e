"""Lattices out, in the format they came in or in the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from lmscore.errors import OptionError
from lmscore.files import names_directory, open_output, write_directory
from lmscore.runtime.rescoring.lattices import kaldi, kaldi_writing, slf, slf_writing
from lmscore.runtime.rescoring.lattices.lattice import Lattice
from lmscore.runtime.rescoring.lattices.lattice_reading import check_format
from lmscore.runtime.rescoring.lattices.symbols import read_labels


def write_lattices(
    lattices: Iterable[Lattice],
    path: str | Path,
    lattice_format: str,
    *,
    symbols: str | Path | None = None,
) -> None:
    """Write lattices as `render_lattices` renders them.

    Args:
        lattices: any number.
        path: a file, one archive or one lattice of HTK's; or for HTK's a directory (an existing
            one, or a name with `/` at its end), with a file of each by the name it was read from.
            What ends in .gz or .xz is compressed.
        lattice_format: "kaldi-lattice" or "htk-slf".
        symbols: Kaldi's symbol table, to write words of other formats as numbers.

    Raises:
        OutputFileError: a file cannot be written.
        OptionError: no such format, or it cannot be written like this.
    """
    if names_directory(path):
        directory = Path(path)
        if check_format(lattice_format) == kaldi.NAME:
            raise OptionError(f"{directory}: is a directory, but an archive of Kaldi's is one file")
        named = ((slf_writing.file_name(each), [slf_writing.render(each)]) for each in lattices)
        write_directory(directory, named, "lattices")
        return
    with open_output(path) as file:
        rendered = render_lattices(lattices, lattice_format, symbols=symbols)
        file.writelines(text.encode() for text in rendered)


def render_lattices(
    lattices: Iterable[Lattice], lattice_format: str, *, symbols: str | Path | None = None
) -> Iterator[str]:
    """What a file with these lattices is made of, a text for each.

    A lattice that was read is given back byte for byte, in its own format. The language model score
    of others is what their `scales` make of the two models'. Kaldi's files say nothing of scales:
    what HTK's said is worked into the costs, in such a way that the acoustic scale to use with them
    is 1 / lmscale.

    Raises:
        OptionError: no such format, several lattices in one file of HTK's, or a word that is not in
            the symbol table.
    """
    check_format(lattice_format)
    labels = None if symbols is None else read_labels(symbols)
    last = "\n\n"
    for number, lattice in enumerate(lattices, 1):
        if lattice_format == slf.NAME:
            if number > 1:
                raise OptionError(
                    "a file of HTK's holds one lattice: write into a directory, one that is there "
                    "or whose name ends in /"
                )
            yield slf_writing.render(lattice)
            continue
        if not kaldi_writing.is_ended(last):
            yield "\n" if last.endswith("\n") else "\n\n"
        last = kaldi_writing.render(lattice, labels)
        yield last
