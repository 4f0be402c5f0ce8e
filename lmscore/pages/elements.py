"""Markup as elements: every text and every value of an attribute is escaped when it is written.

`xml.etree` writes HTML whole: it knows the elements without an end, and escapes by itself, so no
text can become markup.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element, tostring

Child = Element | str

_RAW = ("script", "style")  # whose text is written as it is
# Control characters have no place in HTML; a browser shows this in their place anyway.
_SHOWN = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127), "�")


def element(tag: str, *children: Child | Iterable[Child], **attributes: str) -> Element:
    """An element with its children, in their order.

    Args:
        tag: any but script and style, whose texts nothing escapes.
        children: elements and texts, or several of them.
        attributes: by name; `class_` is class, and `data_n` is data-n.
    """
    if tag in _RAW:
        raise ValueError(f"<{tag}> holds no escaped text")
    names = {name: name.rstrip("_").replace("_", "-") for name in attributes}
    made = Element(tag, {names[name]: _clean(value) for name, value in attributes.items()})
    for child in _flat(children):
        if isinstance(child, Element):
            made.append(child)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + _clean(child)
        else:
            made.text = (made.text or "") + _clean(child)
    return made


def markup(elements: Iterable[Element]) -> str:
    """Elements as HTML, a line each."""
    return "\n".join(tostring(one, encoding="unicode", method="html") for one in elements)


def table(rows: Iterable[Iterable[Child]], *, numbers: Iterable[int] = ()) -> Element:
    """A table whose first row is its head; `numbers` are the columns that hold numbers."""
    right = set(numbers)

    def row(cells: Iterable[Child], tag: str) -> Element:
        made = (
            element(tag, cell, class_="n") if place in right else element(tag, cell)
            for place, cell in enumerate(cells)
        )
        return element("tr", made)

    head, *body = rows
    parts = element("thead", row(head, "th")), element("tbody", (row(one, "td") for one in body))
    return element("div", element("table", parts), class_="wide")


def _flat(children: Iterable[Child | Iterable[Child]]) -> Iterable[Child]:
    for child in children:
        if isinstance(child, (str, Element)):
            yield child
        else:
            yield from child


def _clean(text: str) -> str:
    return text.translate(_SHOWN)
