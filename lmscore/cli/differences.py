"""Two texts side by side: the words that only one of them has are marked."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from lmscore.pages import Child


def differing(before: str, now: str) -> tuple[Element, Element]:
    """Two texts in which the words that only one of them has are marked."""
    from lmscore.pages import element

    old, new = before.split(), now.split()
    left: list[Child] = []
    right: list[Child] = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for kind, i, j, k, m in matcher.get_opcodes():
        if i < j:
            text = " ".join(old[i:j])
            left += [text if kind == "equal" else element("del", text), " "]
        if k < m:
            text = " ".join(new[k:m])
            right += [text if kind == "equal" else element("ins", text), " "]
    return element("span", left), element("span", right)
