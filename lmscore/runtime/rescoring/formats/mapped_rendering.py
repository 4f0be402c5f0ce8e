"""A JSON value whose lists have a new order, fewer hypotheses or new scores; the rest as it was.

New scores of hypotheses that are objects become members, of arrays last elements. Those of plain
texts become an array beside the texts, laid out as these.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lmscore.errors import OptionError
from lmscore.runtime.rescoring.formats.field_paths import Place
from lmscore.runtime.rescoring.formats.json_text import Node, with_numbers
from lmscore.runtime.rescoring.lists import Hypothesis, NBestList


@dataclass(frozen=True)
class Found:
    """A list in a JSON value."""

    array: Node | None  # of the hypotheses; None where there is none
    places: tuple[Place, ...]  # the values around it, the outermost first
    parallel: dict[str, Node]  # arrays beside it with a score for each hypothesis

    @property
    def items(self) -> tuple[Node, ...]:
        """The hypotheses as they stand in the array."""
        return () if self.array is None else self.array.items or ()


_Edit = tuple[int, int, str]  # from, to, and the text that comes there


def rendered_record(record: Node, found: Sequence[Found], lists: Sequence[NBestList]) -> str:
    """The text of a JSON value with these lists; raises OptionError."""
    edits: list[_Edit] = []
    pairs = list(zip(found, lists, strict=True))
    for each, nbest in pairs:
        edits += _list_edits(each, nbest)
    edits += _new_arrays(pairs)
    text, pieces, done = record.source.text, [], record.start
    for start, end, new in sorted(edits):
        pieces += [text[done:start], new]
        done = end
    return "".join([*pieces, text[done : record.end]])


def _list_edits(found: Found, nbest: NBestList) -> list[_Edit]:
    order = [hypothesis.source for hypothesis in nbest.hypotheses]
    is_same = order == list(range(len(found.items)))
    if found.array is None or (is_same and not any(h.added for h in nbest.hypotheses)):
        return []
    pieces = [_piece(found.items[h.source], h) for h in nbest.hypotheses]
    edits = [(found.array.start, found.array.end, found.array.replaced(pieces))]
    if not is_same:
        # Two features may come from one array.
        for array in {node.start: node for node in found.parallel.values()}.values():
            moved = [(array.items or ())[place].raw for place in order]
            edits.append((array.start, array.end, array.replaced(moved)))
    return edits


def _piece(item: Node, hypothesis: Hypothesis) -> str:
    """A hypothesis with its new scores, where they have their place within it."""
    new = {name: hypothesis.features[name] for name in hypothesis.added}
    if not new:
        return item.raw
    if item.is_object():
        if not item.items:
            raise OptionError("a hypothesis without any field has no place for a score")
        return with_numbers(item, new, {})
    if item.is_array():
        return item.replaced([*(each.raw for each in item.items or ()), *map(repr, new.values())])
    return item.raw


def _new_arrays(pairs: Sequence[tuple[Found, NBestList]]) -> list[_Edit]:
    """New members with the new scores of plain texts, beside the members that hold the texts."""
    plain = [
        (found, nbest)
        for found, nbest in pairs
        if found.items and not (found.items[0].is_object() or found.items[0].is_array())
    ]
    names = dict.fromkeys(n for _, nbest in plain for h in nbest.hypotheses for n in h.added)
    values = {
        found.array.start: nbest.hypotheses for found, nbest in plain if found.array is not None
    }
    holders = {}
    for found, _ in plain if names else ():
        holder = _holder(found)
        holders[holder[1].start] = holder
    return [
        (member.end, member.end, _member(around, member, name, values))
        for around, member in holders.values()
        for name in names
    ]


def _holder(found: Found) -> tuple[Node, Node]:
    """The innermost object around a list, and its member that holds the list."""
    array = found.array
    for place in reversed(found.places):
        if array is not None and place.node.is_object():
            inside = (m for m in place.node.items or () if m.start <= array.start < m.end)
            return place.node, next(inside)
    raise OptionError(
        "the texts are in no object that new scores could be written into; write the best texts "
        "(best=True), or lists of another format"
    )


def _member(
    around: Node, member: Node, name: str, hypotheses: dict[int, tuple[Hypothesis, ...]]
) -> str:
    if around.get(name):
        raise OptionError(f"the list has {name!r} for something else; choose another name")
    text, items = around.source.text, around.items or ()
    if len(items) > 1:
        comma = text[items[0].end : items[1].key_start]
    else:
        comma = "," + (text[around.start + 1 : items[0].key_start] or " ")
    colon = text[member.key_end : member.start]
    return (
        comma + json.dumps(name) + colon + _nested(member, lambda at: _scores(at, name, hypotheses))
    )


def _scores(start: int, name: str, lists: dict[int, tuple[Hypothesis, ...]]) -> list[str] | None:
    found = lists.get(start)
    return None if found is None else [repr(h.features[name]) for h in found]


def _nested(node: Node, scores: Callable[[int], list[str] | None]) -> str:
    """An array laid out as a node, with scores in the place of each list."""
    found = scores(node.start)
    if found is not None:
        return node.replaced(found)
    return node.replaced([_nested(item, scores) for item in node.items or ()])
