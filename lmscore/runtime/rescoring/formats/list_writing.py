"""N-best lists out, in the format they came in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from pathlib import Path

from lmscore.errors import OptionError
from lmscore.files import STANDARD_INPUT, names_directory, open_output, write_directory
from lmscore.runtime.rescoring.formats.document import Document
from lmscore.runtime.rescoring.formats.format import Format
from lmscore.runtime.rescoring.lists import NBestList


def write(list_format: Format, lists: Iterable[NBestList], path: str | Path) -> None:
    """Write all lists that `read` gave, in that order, changed or not.

    What was not changed is written as it was read, byte for byte.

    Args:
        list_format: the one that `read` told.
        lists: hypotheses may have new features, and come in a new order or be fewer.
        path: a file, or a directory (an existing one, or a name with `/` at its end) for a file
            of the same name for every file read. What ends in .gz or .xz is compressed.

    Raises:
        OutputFileError: a file cannot be written.
        OptionError: a new feature cannot be written in this format, several files would have to
            become one that it cannot be, or a list is missing.
    """
    if names_directory(path):
        write_directory(Path(path), _files(list_format, lists), "files read")
        return
    with open_output(path) as file:
        file.writelines(text.encode() for text in render(list_format, lists))


def render(list_format: Format, lists: Iterable[NBestList]) -> Iterator[str]:
    """The text of one file with these lists, a list at a time; raises OptionError as `write`."""
    last = ""
    check_output(list_format, None)
    for index, (document, group) in enumerate(_by_document(lists)):
        if index and list_format.is_whole:
            raise OptionError(
                f"several {list_format.name} files cannot become one: write into a directory, "
                "one that is there or whose name ends in /"
            )
        if not index:
            yield document.start
        elif not last.endswith("\n"):
            yield "\n"
        for last in _rendered(list_format, document, group):
            yield last


def _by_document(lists: Iterable[NBestList]) -> Iterator[tuple[Document, Iterator[NBestList]]]:
    return groupby(lists, key=lambda nbest: nbest.source.document)


def _rendered(list_format: Format, document: Document, lists: Iterable[NBestList]) -> Iterator[str]:
    count = 0
    for count, nbest in enumerate(lists, 1):
        if nbest.source.index != count - 1:
            raise OptionError(f"{document.name}: the list before {nbest.id!r} is not written")
        yield nbest.source.before + list_format.render(nbest)
    if count != document.num_lists:
        raise OptionError(f"{document.name}: the lists after number {count} are not written")
    if document.tail:
        yield document.tail


def _files(list_format: Format, lists: Iterable[NBestList]) -> Iterator[tuple[str, Iterable[str]]]:
    """For each file that was read its name, and the text to write."""
    for document, group in _by_document(lists):
        if document.name == STANDARD_INPUT:
            raise OptionError("standard input has no name to write it under: write into a file")
        if list_format.files is not None:
            yield from ((name, [text]) for name, text in list_format.files(list(group)))
            continue
        rendered = _rendered(list_format, document, group)
        yield Path(document.name).name, chain([document.start], rendered)


def check_output(list_format: Format, path: str | Path | None) -> None:
    """Raise OptionError where lists of a format cannot be written to a path; None: one stream."""
    if list_format.files is not None and (path is None or not names_directory(path)):
        raise OptionError(
            f"{list_format.name} lists are directories, which cannot become one file: write into a "
            "directory, one that is there or whose name ends in /"
        )
