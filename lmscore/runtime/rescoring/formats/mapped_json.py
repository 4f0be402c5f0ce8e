"""Any JSON with n-best lists: a document, several, or one a line; a mapping says what is where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from lmscore.errors import InputError
from lmscore.runtime.rescoring.formats.document import Document, ListSource, stem_of
from lmscore.runtime.rescoring.formats.field_mapping import FILE_NAME, FieldMapping
from lmscore.runtime.rescoring.formats.field_paths import (
    FieldPath,
    Place,
    is_empty,
    lists_at,
    values_at,
)
from lmscore.runtime.rescoring.formats.format import Format, Head, ReadOptions, Surety
from lmscore.runtime.rescoring.formats.json_text import (
    JsonText,
    Node,
    identifier,
    number,
    open_node,
    optional_string,
    string,
)
from lmscore.runtime.rescoring.formats.mapped_rendering import Found, rendered_record
from lmscore.runtime.rescoring.formats.numbers import checked_score, to_float
from lmscore.runtime.rescoring.lists import Hypothesis, NBestList

NAME = "json"
_SUFFIXES = (".json", ".jsonl", ".txt")


@dataclass(slots=True)
class _Record:
    """A JSON value at the top of a file; its lists come one after another, and are written once."""

    node: Node
    found: tuple[Found, ...]
    written: list[NBestList] = field(default_factory=list)


def mapped_format(mapping: FieldMapping) -> Format:
    """The format of the files that a mapping describes."""

    def read(document: Document, options: ReadOptions) -> Iterator[NBestList]:  # noqa: ARG001
        return _read(document, mapping)

    return Format(
        NAME,
        _never,
        read,
        _render,
        counts_lists=mapping.key is None,
        score=next(iter(mapping.scores), "score"),
    )


def _never(head: Head) -> Surety:  # noqa: ARG001
    return Surety.NO


def _read(document: Document, mapping: FieldMapping) -> Iterator[NBestList]:
    source = JsonText(document.name, document.text())
    place = source.skip(0)
    done = index = 0
    line, counted = 1, 0  # lines are counted on from the record before
    while place < len(source.text):
        node = open_node(source, place, mapping.depth)
        found = tuple(
            Found(array, places, _parallel(array, places, mapping))
            for array, places in lists_at(node, mapping.lists.steps)
            if array is not None or _is_listed(places, mapping)
        )
        record = _Record(node, found)
        line += source.text.count("\n", counted, node.start)
        counted = node.start
        for number_in_record, each in enumerate(found):
            key = _key(document, each, mapping, index, line)
            before = source.text[done : node.start] if not number_in_record else ""
            size = len((before + node.raw).encode()) if not number_in_record else 0
            content = (record, number_in_record)
            yield replace(
                _list(key, each, mapping),
                source=ListSource(document, index, line, size, before, content),
            )
            index += 1
            done = node.end
        place = source.skip(node.end)
    document.finish(index, source.text[done:])


def _is_listed(places: Sequence[Place], mapping: FieldMapping) -> bool:
    """Whether what has no array is a list: not if the elements that would have ids are missing."""
    if not isinstance(mapping.key, FieldPath):
        return True
    if not places or not is_empty(places[-1].node):
        return True
    return _around(places, mapping.key) is not None


def _key(document: Document, found: Found, mapping: FieldMapping, index: int, line: int) -> str:
    if mapping.key == FILE_NAME:
        return stem_of(document.name, _SUFFIXES)
    if not isinstance(mapping.key, FieldPath):
        return str(document.first_index + index)
    node = _around(found.places, mapping.key)
    if node is None:
        raise InputError(
            f"{document.where(line)}: the list number {index + 1} has no id={mapping.key.text}"
        )
    return identifier(node, mapping.key.text)


def _around(places: Sequence[Place], path: FieldPath) -> Node | None:
    """The value at a path from the innermost value around a list that has it."""
    found = (place.at(path.steps) for place in reversed(places))
    return next((node for node in found if node is not None), None)


def _list(key: str, found: Found, mapping: FieldMapping) -> NBestList:
    reference = None
    if mapping.reference is not None:
        node = _around(found.places, mapping.reference)
        reference = optional_string(node, mapping.reference.text)
    hypotheses = tuple(
        Hypothesis(
            _text(item, mapping.text, key),
            {
                name: score
                for name, path in mapping.scores.items()
                if (score := _score(found, place, name, path)) is not None
            },
            source=place,
        )
        for place, item in enumerate(found.items)
    )
    return NBestList(key, hypotheses, reference)


def _text(item: Node, path: FieldPath, key: str) -> str:
    nodes = list(values_at(item, path.steps))
    if not nodes:
        raise item.error(f"list {key!r}", f"a hypothesis without text={path.text}")
    return " ".join(string(node, path.text).strip() for node in nodes)


def _score(found: Found, place: int, name: str, path: FieldPath) -> float | None:
    """The score of a hypothesis, None where it has none."""
    node = next(values_at(found.items[place], path.steps), None)
    if node is None and name in found.parallel:
        node = (found.parallel[name].items or ())[place]
    if node is None or node.raw == "null":
        return None
    if isinstance(node.value, str):  # as some services write numbers
        value = to_float(node.value)
        if value is None:
            raise node.error(path.text, f"{node.value!r} is no number")
        return checked_score(value, f"{node.source.name}, {path.text}")
    return number(node, path.text)


def _parallel(
    array: Node | None, places: Sequence[Place], mapping: FieldMapping
) -> dict[str, Node]:
    """The arrays beside a list that have a score for each of its hypotheses, by feature.

    Raises:
        InputError: there is such an array, and it has another length.
    """
    if array is None:
        return {}
    if not array.is_array():
        raise array.error(mapping.lists.text, f"expected an array, not {array.raw[:40]!r}")
    items = array.items or ()
    arrays: dict[str, Node] = {}
    for name, path in mapping.scores.items():
        if any(next(values_at(item, path.steps), None) for item in items):
            continue
        node = _around(places, path)
        if node is None or not node.is_array():
            continue
        if len(node.items or ()) != len(items):
            raise node.error(
                path.text, f"{len(node.items or ())} scores of {len(items)} hypotheses"
            )
        arrays[name] = node
    return arrays


def common_features(lists: Iterable[NBestList], mapping: FieldMapping) -> list[NBestList]:
    """The lists with those scores only that every hypothesis has.

    Raises:
        InputError: no list has any hypothesis, so the mapping leads nowhere.
    """
    found = list(lists)
    hypotheses = [each for nbest in found for each in nbest.hypotheses]
    if found and not hypotheses:
        raise InputError(
            f"{found[0].source.document.name}: list={mapping.lists.text} leads to no hypotheses, "
            "there or in any other file"
        )
    known = {name for name in mapping.scores if all(name in h.features for h in hypotheses)}
    if len(known) == len(mapping.scores):
        return found
    return [
        replace(nbest, hypotheses=tuple(_only(each, known) for each in nbest.hypotheses))
        for nbest in found
    ]


def _only(hypothesis: Hypothesis, names: set[str]) -> Hypothesis:
    features = {name: score for name, score in hypothesis.features.items() if name in names}
    return replace(hypothesis, features=features)


def _render(nbest: NBestList) -> str:
    """The record of a list once its last list is here, and nothing before."""
    record, place = nbest.source.content
    if not place:
        record.written.clear()
    record.written.append(nbest)
    if place + 1 < len(record.found):
        return ""
    return rendered_record(record.node, record.found, record.written)
