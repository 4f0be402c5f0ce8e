"""N-best lists in: any number of files, one format."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

from lmscore.errors import InputError, OptionError
from lmscore.files import expanded_paths
from lmscore.names import MissingList, ScoreKind, Utf8Errors
from lmscore.runtime.rescoring.formats.document import Document
from lmscore.runtime.rescoring.formats.espnet2 import directories_in
from lmscore.runtime.rescoring.formats.field_mapping import FieldMapping
from lmscore.runtime.rescoring.formats.format import Format, Head, ReadOptions
from lmscore.runtime.rescoring.formats.mapped_json import common_features, mapped_format
from lmscore.runtime.rescoring.formats.table import (
    detect,
    format_named,
    formats_with,
    known_formats,
)
from lmscore.runtime.rescoring.lists import NBestList, in_log_domain, with_references, without_marks


def read(
    paths: str | Path | Iterable[str | Path],
    input_format: str | None = None,
    *,
    references: str | Path | None = None,
    first_id: int = 0,
    missing_list: MissingList = "stop",
    score_kind: ScoreKind = "log-probabilities",
    beam_size: int | None = None,
    scores: Mapping[str, str | Path] | None = None,
    symbols: str | Path | None = None,
    remove: Collection[str] = (),
    max_hypotheses: int | None = None,
    mapping: str | None = None,
    errors: Utf8Errors = "strict",
    line_buffered: bool = False,
) -> tuple[Format, Iterator[NBestList]]:
    """The n-best lists of files of one format, in their order.

    The format is known on return; the lists are read while they are asked for, the line formats in
    memory for one list (and all ids: no list may come twice), the JSON ones a file at a time.

    Args:
        paths: a file or several, `-` for standard input; of a directory all its files; `@FILE`
            stands for the paths that are the lines of FILE. gzip and xz are recognised by content.
        input_format: one of `known_formats`; None to tell from the content of the first file.
        references: a file with a reference for each list, instead of those in the lists; all lists
            are read at once, so that what does not go together is told before any work.
        first_id: of formats whose ids count lists: the one that the first reference belongs to.
        missing_list: what a reference without a list is, see `with_references`.
        score_kind: what the decoder's own scores are, where they are other than the format says:
            "costs", of which the lower is better, or "probabilities", whose logarithm is taken.
        beam_size: of `nemo`: how many rows an utterance has.
        scores: of `kaldi`: score archives, in the list's order, that become features by name.
        symbols: of `kaldi`: the symbol table (`words.txt`), where words are numbers.
        remove: words that are not scored, such as pauses: a count of words leaves them out.
        max_hypotheses: how many hypotheses of a list there are at most; the others, at its end, are
            left out.
        mapping: where the parts of lists are in JSON of another kind, as `FieldMapping.parsed` has
            it; no format is named then. All lists are read at once, and a score that some
            hypothesis lacks is left out.
        errors: "replace" puts U+FFFD in the place of invalid UTF-8, here and in the references.
        line_buffered: read no line before it is asked for; the format is told from the first line.

    Raises:
        OptionError: an unknown format, one of another package that cannot be loaded, or an option
            that the format has no use for, or is out of range.
        InputFileError: a file cannot be opened or read.
        InputError: the format cannot be told, or a list is not what it should be; names file,
            line and field.
    """
    files = list(list_files(paths))
    document = partial(Document, errors=errors, line_buffered=line_buffered)
    options = ReadOptions(beam_size, scores or {}, symbols)
    words = frozenset(remove)
    fields = None if mapping is None else FieldMapping.parsed(mapping)
    if max_hypotheses is not None and max_hypotheses < 1:
        raise OptionError(f"max_hypotheses must be at least 1, not {max_hypotheses}")
    with ExitStack() as stack:
        opened: list[Document] = []
        while len(opened) < len(files) and not (opened and opened[-1].head):  # SRILM's may be empty
            opened.append(stack.enter_context(document(files[len(opened)])))
        if not opened:
            raise OptionError("no file with n-best lists")
        list_format = _format_of(opened[-1], input_format, options, fields)
        check_options(list_format, options)
        if scores and len(files) > 1:
            raise OptionError("score archives go with one file")
        stack.pop_all()
    rest = map(document, files[len(opened) :])
    lists = _read(list_format, chain(opened, rest), options)
    if fields is not None:
        lists = iter(common_features(lists, fields))
    if max_hypotheses is not None:
        lists = (replace(each, hypotheses=each.hypotheses[:max_hypotheses]) for each in lists)
    lists = (_prepared(nbest, list_format.word_count, words) for nbest in lists)
    if not (list_format.are_costs and score_kind == "costs"):  # which the reader has dealt with
        lists = in_log_domain(lists, list_format.score, score_kind)
    if references is not None:
        referred = with_references(
            lists,
            references,
            by_line=list_format.counts_lists,
            first_id=first_id,
            missing=missing_list,
            errors=errors,
        )
        return list_format, iter(referred)
    return list_format, lists


def list_files(paths: str | Path | Iterable[str | Path]) -> Iterator[str | Path]:
    """The files that paths name; of a directory of ESPnet2 the texts of the best hypotheses."""
    for path in [paths] if isinstance(paths, str | Path) else paths:
        best = directories_in(path)
        yield from best
        for inner in [] if best else expanded_paths(path):
            best = directories_in(inner)
            yield from best
            if not best:
                yield inner


def _prepared(nbest: NBestList, word_count: str | None, remove: frozenset[str]) -> NBestList:
    """The list with the texts and counts that are scored; `source` keeps what the file has."""
    hypotheses = []
    for hypothesis in nbest.hypotheses:
        text, features = without_marks(hypothesis.text), hypothesis.features
        words = text.split()
        if word_count is not None and not remove.isdisjoint(words):
            kept = sum(word not in remove for word in words)
            features = {**features, word_count: float(kept)}
        hypotheses.append(replace(hypothesis, text=text, features=features))
    return replace(nbest, hypotheses=tuple(hypotheses))


def check_options(list_format: Format, options: ReadOptions) -> None:
    """Raise OptionError where a format has no use for an option that is given."""
    for option in options.given():
        if option not in list_format.options:
            known = " or ".join(formats_with(option))
            raise OptionError(f"`{option}` is for {known}, not for {list_format.name} lists")


def _format_of(
    document: Document, name: str | None, options: ReadOptions, mapping: FieldMapping | None
) -> Format:
    if mapping is not None:
        if name is not None:
            raise OptionError(f"a mapping is for JSON of another kind, not for {name} lists")
        return mapped_format(mapping)
    if name is not None:
        return format_named(name)
    found = detect(document.head, document.name)
    if len(found) > 1:
        found = [f for f in found if f.options.issuperset(options.given())] or found
    if not found and not document.head:
        raise InputError(f"{document.name}: empty, there is no n-best list in it")
    if not found:
        json = ", or say where its parts are (`mapping`)" if Head(document.head).is_json else ""
        raise InputError(
            f"{document.name}: cannot tell the n-best format from the first lines; name it "
            f"(`input_format`): {', '.join(known_formats())}{json}; lattices are for lmscore "
            "lattice"
        )
    if len(found) > 1:
        names = " or ".join(known.name for known in found)
        raise InputError(
            f"{document.name}: from the first lines these may be {names} lists; name the format "
            "(`input_format`)"
        )
    return found[0]


def _read(
    list_format: Format,
    documents: Iterable[Document],
    options: ReadOptions,
) -> Iterator[NBestList]:
    seen: set[str] = set()
    for document in documents:
        document.first_index = len(seen)
        with document:
            for nbest in list_format.read(document, options):
                place = document.where(nbest.source.line)
                if nbest.id in seen:
                    raise InputError(
                        f"{place}: a second list {nbest.id!r}; "
                        "bring its lines together, and give every list an id of its own"
                    )
                seen.add(nbest.id)
                yield replace(nbest, place=place)
        if len(seen) == document.first_index:
            raise InputError(f"{document.name}: there is no {list_format.name} list in it")
