"""HyPoradise: a list of `{"input": [text, ...], "output": reference, "am_score": [...]}`.

Every array as long as `input` goes with the hypotheses; one of numbers is a feature.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from lmscore.errors import OptionError
from lmscore.runtime.rescoring.formats.document import Document
from lmscore.runtime.rescoring.formats.format import Format, Head, ReadOptions, Surety
from lmscore.runtime.rescoring.formats.json_lists import lists_of_nodes
from lmscore.runtime.rescoring.formats.json_text import (
    JsonText,
    Node,
    identifier,
    is_number,
    number,
    optional_string,
    string,
    top_elements,
)
from lmscore.runtime.rescoring.lists import Hypothesis, NBestList

_BEGINNING = re.compile(r'\s*\[\s*\{(?:.*[{,\s])?\s*"input"\s*:\s*\[', re.DOTALL)
_TEXTS = "input"
_SCORES = "am_score"
_ALONE = re.compile(r"input[1-9][0-9]*")  # the first hypotheses again, as prompts have them


def _read(document: Document, options: ReadOptions) -> Iterator[NBestList]:  # noqa: ARG001
    source = JsonText(document.name, document.text())
    lists = (
        (item, _parse(item, f"[{i}]", str(document.first_index + i)))
        for i, item in enumerate(top_elements(source, "[", 2))
    )
    return lists_of_nodes(document, source, lists)


def _parse(item: Node, path: str, ordinal: str) -> NBestList:
    texts = _texts(item, path)
    features = _features(item, texts, path)
    hypotheses = tuple(
        Hypothesis(
            string(node, f"{path}.{_TEXTS}[{i}]").strip(),
            {name: values[i] for name, values in features.items()},
            source=i,
        )
        for i, node in enumerate(texts.items or ())
    )
    key = item.get("id")
    reference = optional_string(item.get("output"), f"{path}.output")
    name = ordinal if key is None else identifier(key, f"{path}.id")
    return NBestList(name, hypotheses, reference and reference.strip())


def _texts(item: Node, path: str) -> Node:
    texts = item.get(_TEXTS) if item.is_object() else None
    if texts is None or not texts.is_array():
        raise item.error(f"{path}.{_TEXTS}", "expected an array of hypotheses")
    return texts


def _features(item: Node, texts: Node, path: str) -> dict[str, list[float]]:
    count = len(texts.items or ())
    scores = item.get(_SCORES)
    if scores is not None and len(scores.items or ()) != count:
        raise scores.error(
            f"{path}.{_SCORES}", f"{len(scores.items or ())} scores of {count} hypotheses"
        )
    return {
        array.key: [number(node, f"{path}.{array.key}[{i}]") for i, node in enumerate(array.items)]
        for array in _parallel(item, count)
        if array.items and (array is scores or all(map(is_number, array.items)))
    }


def _parallel(item: Node, count: int) -> list[Node]:
    """The arrays that have an element for each hypothesis."""
    arrays = [member for member in item.items or () if member.is_array()]
    return [array for array in arrays if len(array.items or ()) == count]


def _render(nbest: NBestList) -> str:
    item: Node = nbest.source.content
    texts = _texts(item, "")
    count = len(texts.items or ())
    order = [hypothesis.source for hypothesis in nbest.hypotheses]
    added = nbest.hypotheses[0].added if nbest.hypotheses else ()
    if order == list(range(count)) and not added:
        return item.raw
    moved = {
        array.key: array.replaced([(array.items or ())[i].raw for i in order])
        for array in _parallel(item, count)
    }
    moved |= _alone(item, [string(node, "") for node in texts.items or ()], order)
    pieces = [m.prefix + moved.get(m.key, m.raw) for m in item.items or ()]
    place = max(i for i, m in enumerate(item.items or (), 1) if m.key in (_TEXTS, _SCORES))
    pieces[place:place] = [_new_member(item, texts, nbest, name) for name in added]
    return item.replaced(pieces)


def _alone(item: Node, texts: Sequence[str], order: Sequence[int]) -> dict[str, str]:
    """The members `input1`, `input2`, ... after a new order.

    Each is one hypothesis, or the last one holds all that are left, joined by something.
    """
    members = {m.key: m for m in item.items or () if _ALONE.fullmatch(m.key)}
    new = {}
    for key, member in members.items():
        first = int(key.removeprefix("input")) - 1
        old = string(member, key)
        if order == list(range(len(texts))):
            continue
        text = _rewritten(old, texts[first:], [texts[i] for i in order][first:])
        if text is None:
            raise OptionError(
                f"the list's {key!r} does not repeat its hypotheses in a way that can be "
                "written in another order; leave it out"
            )
        new[key] = json.dumps(text, ensure_ascii=member.raw.isascii())
    return new


def _rewritten(old: str, texts: Sequence[str], ordered: Sequence[str]) -> str | None:
    """A text made of the first of some texts, or of all of them, made of others instead."""
    if not texts or not ordered:
        return None
    if old.strip() == texts[0].strip():
        return ordered[0]
    if not old.startswith(texts[0]) or len(texts) < 2:
        return None
    start = len(texts[0])
    end = old.find(texts[1], start)
    between = old[start:end]
    for last in (between, between.rstrip(), ""):
        if end >= 0 and old == between.join(texts) + last:
            return between.join(ordered) + last
    return None


def _new_member(item: Node, texts: Node, nbest: NBestList, name: str) -> str:
    if item.get(name):
        raise OptionError(f"the list has {name!r} for something else; choose another name")
    colon = item.source.text[texts.key_end : texts.start]
    values = [repr(hypothesis.features[name]) for hypothesis in nbest.hypotheses]
    return json.dumps(name) + colon + texts.replaced(values)


def _recognises(head: Head) -> Surety:
    return Surety.CERTAIN if _BEGINNING.match(head.text) else Surety.NO


HYPORADISE = Format(
    "hyporadise", _recognises, _read, _render, is_whole=True, score=(_SCORES, "score")
)
