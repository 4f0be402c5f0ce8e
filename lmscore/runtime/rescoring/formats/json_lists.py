"""The parts that the JSON formats share: lists from nodes, and hypotheses that are objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from lmscore.errors import InputError
from lmscore.runtime.rescoring.formats.document import Document, ListSource
from lmscore.runtime.rescoring.formats.json_text import (
    JsonText,
    Node,
    numbers,
    string,
    with_numbers,
)
from lmscore.runtime.rescoring.lists import Hypothesis, NBestList


def lists_of_nodes(
    document: Document, source: JsonText, lists: Iterable[tuple[Node, NBestList]]
) -> Iterator[NBestList]:
    """Lists with what the document has between them, from lists and the values that hold them."""
    done = index = 0
    line = 1
    for index, (node, nbest) in enumerate(lists, 1):
        line += source.text.count("\n", done, node.start)
        before = source.text[done : node.start]
        check_features(nbest, document.where(line))
        size = len((before + node.raw).encode())
        yield replace(nbest, source=ListSource(document, index - 1, line, size, before, node))
        line += source.text.count("\n", node.start, node.end)
        done = node.end
    document.finish(index, source.text[done:])


def check_features(nbest: NBestList, where: str) -> None:
    """Raise InputError where a hypothesis has other features than the first."""
    for rank, hypothesis in enumerate(nbest.hypotheses, 1):
        if hypothesis.features.keys() != nbest.hypotheses[0].features.keys():
            raise InputError(
                f"{where}, list {nbest.id!r}: hypothesis {rank} has the scores "
                f"{list(hypothesis.features)}, but the first has "
                f"{list(nbest.hypotheses[0].features)}"
            )


def is_unchanged(nbest: NBestList, originals: Sequence[object]) -> bool:
    """Whether the list holds what was read, in that order, and nothing new."""
    if any(h.added for h in nbest.hypotheses) or len(nbest.hypotheses) != len(originals):
        return False
    return all(h.source is o for h, o in zip(nbest.hypotheses, originals, strict=True))


def parsed_object(node: Node, path: str) -> Hypothesis:
    """A hypothesis from an object with a "text", whose numbers are features; raises InputError."""
    text = node.get("text")
    if not node.is_object() or text is None:
        raise node.error(path, 'expected an object with a "text"')
    return Hypothesis(string(text, f"{path}.text").strip(), numbers(node, path), source=node)


def rendered_object(hypothesis: Hypothesis, values: Mapping[str, str] | None = None) -> str:
    """A hypothesis that is an object of its own, with its new features."""
    node: Node = hypothesis.source
    new = {name: hypothesis.features[name] for name in hypothesis.added}
    return with_numbers(node, new, values or {}) if new or values else node.raw
