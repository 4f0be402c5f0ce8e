"""References (what was really said) from a file, brought together with their lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lmscore.errors import InputError
from lmscore.files import input_name
from lmscore.names import MissingList, Utf8Errors
from lmscore.runtime.rescoring.lists.nbest import NBestList
from lmscore.runtime.rescoring.lists.reference_files import read_references


def with_references(
    lists: Iterable[NBestList],
    path: str | Path,
    *,
    by_line: bool,
    first_id: int = 0,
    missing: MissingList = "stop",
    errors: Utf8Errors = "strict",
) -> list[NBestList]:
    """Lists with their references; what does not go together is told before anything is scored.

    An empty reference needs no list: nothing was said, and nothing was found.

    Args:
        lists: any reference of theirs is replaced.
        path: one reference a line, in one of the forms that `reference_files` describes.
        by_line: whether the ids of the lists count the lines; otherwise each line has an id.
        first_id: the id of the first line's list, if ids count lines.
        missing: what a reference without a list is: "stop" for an error, "skip" for nothing, or
            "empty" for a list without hypotheses, which has found nothing; it has no `source`.
        errors: "replace" puts U+FFFD in the place of invalid UTF-8.

    Raises:
        InputFileError: the file cannot be opened or read.
        InputError: a line is not what it should be, a list has no reference, or a reference no
            list.
    """
    name = input_name(path)
    references = read_references(path, by_line=by_line, errors=errors)
    if by_line:
        references = {str(int(key) + first_id): text for key, text in references.items()}
    known = list(lists)
    if by_line:
        _check_count(known, name, len(references), first_id)
    for nbest in known:
        if nbest.id not in references:
            raise InputError(f"{name}: no reference for the list {nbest.id!r}")
    found = {nbest.id for nbest in known}
    left = [key for key, text in references.items() if key not in found and text]
    if left and missing == "stop":
        raise InputError(
            f"{name}: no list for the reference {left[0]!r} (and {len(left) - 1} more); "
            "missing_list='skip' leaves it out, missing_list='empty' counts it as a list that "
            "found nothing"
        )
    referred = [replace(nbest, reference=references[nbest.id]) for nbest in known]
    if missing != "empty":
        return referred
    empty = [NBestList(key, (), references[key]) for key in left]
    return list(_merged(referred, empty, list(references)))


def _check_count(lists: Sequence[NBestList], name: str, count: int, first_id: int) -> None:
    """Raise InputError where the ids of lists cannot be numbers of lines, from `first_id` on."""
    if not lists:
        return
    first = lists[0].id
    numbers = [int(nbest.id) if nbest.id.isdecimal() else -1 for nbest in lists]
    if first_id not in numbers and min(numbers) > first_id:
        raise InputError(
            f"{name}: line 1 belongs to the list {str(first_id)!r}, but the first list is "
            f"{first!r}; first_id={min(numbers)} if line 1 belongs to it, or a line for every list"
        )
    last = max(numbers)
    if last >= first_id + count:
        raise InputError(
            f"{name}: {count} lines are the references of the lists {first_id} to "
            f"{first_id + count - 1}, but there is a list {str(last)!r}"
        )


def _merged(
    lists: Iterable[NBestList], empty: Iterable[NBestList], order: Sequence[str]
) -> Iterator[NBestList]:
    """The lists in their order, each after the empty ones whose references come before its own."""
    places = {key: place for place, key in enumerate(order)}
    waiting = list(empty)
    for nbest in lists:
        while waiting and places[waiting[0].id] < places[nbest.id]:
            yield waiting.pop(0)
        yield nbest
    yield from waiting


def reference_of(nbest: NBestList) -> str:
    """The reference of a list; raises InputError where it has none."""
    if nbest.reference is None:
        raise InputError(f"{nbest.name} has no reference; give a file with `references`")
    return nbest.reference
