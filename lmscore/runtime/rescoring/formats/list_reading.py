"""N-best lists in: any number of files, one format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

from lmscore.errors import InputError, OptionError
from lmscore.files import expanded_paths
from lmscore.names import Utf8Errors
from lmscore.runtime.rescoring.formats.document import Document
from lmscore.runtime.rescoring.formats.format import Format, ReadOptions
from lmscore.runtime.rescoring.formats.table import FORMATS, detect
from lmscore.runtime.rescoring.lists import NBestList, with_references


def read(
    paths: str | Path | Iterable[str | Path],
    input_format: str | None = None,
    *,
    references: str | Path | None = None,
    beam_size: int | None = None,
    scores: Mapping[str, str | Path] | None = None,
    errors: Utf8Errors = "strict",
) -> tuple[Format, Iterator[NBestList]]:
    """The n-best lists of files of one format, in their order.

    The format is known on return; the lists are read while they are asked for, the line formats in
    memory for one list (and all ids: no list may come twice), the JSON ones a file at a time.

    Args:
        paths: a file or several, `-` for standard input; of a directory all its files; `@FILE`
            stands for the paths that are the lines of FILE. gzip and xz are recognised by content.
        input_format: one of `FORMATS`; None to tell from the content of the first file.
        references: a file with a reference for each list, instead of those in the lists.
        beam_size: of `nemo`: how many rows an utterance has.
        scores: of `kaldi`: score archives, in the list's order, that become features by name.
        errors: "replace" puts U+FFFD in the place of invalid UTF-8, here and in the references.

    Raises:
        OptionError: an unknown format, or an option that the format has no use for.
        InputFileError: a file cannot be opened or read.
        InputError: the format cannot be told, or a list is not what it should be; names file,
            line and field.
    """
    files = list(expanded_paths(paths))
    with ExitStack() as stack:
        opened: list[Document] = []
        while len(opened) < len(files) and not (opened and opened[-1].head):  # SRILM's may be empty
            opened.append(stack.enter_context(Document(files[len(opened)], errors=errors)))
        if not opened:
            raise OptionError("no file with n-best lists")
        list_format = _format_of(opened[-1], input_format)
        if scores and (list_format.option != "scores" or len(files) > 1):
            raise OptionError("score archives go with one file in the format 'kaldi'")
        if beam_size is not None and list_format.option != "beam_size":
            raise OptionError(f"a beam size goes with the format 'nemo', not {list_format.name!r}")
        stack.pop_all()
    rest = (Document(path, errors=errors) for path in files[len(opened) :])
    lists = _read(list_format, chain(opened, rest), ReadOptions(beam_size, scores or {}))
    if references is not None:
        lists = with_references(lists, references, by_line=list_format.counts_lists, errors=errors)
    return list_format, lists


def _format_of(document: Document, name: str | None) -> Format:
    known = ", ".join(FORMATS)
    if name is not None and name not in FORMATS:
        raise OptionError(f"no n-best format {name!r}; there are {known}")
    found = detect(document.head) if name is None else FORMATS[name]
    if found is None and not document.head:
        raise InputError(f"{document.name}: empty, there is no n-best list in it")
    if found is None:
        raise InputError(
            f"{document.name}: cannot tell the n-best format from the first lines; "
            f"name it (`input_format`): {known}; lattices are for lmscore lattice"
        )
    return found


def _read(
    list_format: Format, documents: Iterable[Document], options: ReadOptions
) -> Iterator[NBestList]:
    seen: set[str] = set()
    for document in documents:
        document.first_index = len(seen)
        with document:
            for nbest in list_format.read(document, options):
                if nbest.id in seen:
                    raise InputError(
                        f"{document.where(nbest.source.line)}: a second list {nbest.id!r}; "
                        "bring its lines together, and give every list an id of its own"
                    )
                seen.add(nbest.id)
                yield nbest
        if len(seen) == document.first_index:
            raise InputError(f"{document.name}: there is no {list_format.name} list in it")
