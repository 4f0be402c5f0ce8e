"""`lmscore lattice --html`: each lattice as a drawing of its best text and of what it beat."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lmscore.cli.differences import differing
from lmscore.cli.report_files import write_page

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from lmscore.cli.rescoring.lattice_work import LatticeResult
    from lmscore.runtime.rescoring.lattices import LatticePath, RescoredLattice

_LATTICES = 60  # that a page shows, while they need less than
_BYTES = 240_000
_PATHS = 12  # whose words are drawn
_ROWS = 5  # of the table of paths
_LETTER, _WIDE = 8.2, 15.0  # units of a letter, and of one that is as wide as it is high
_GAP, _LANE, _LEAST = 26.0, 30.0, 46.0
_WORDS = 400  # of a best text that is drawn


@dataclass(frozen=True)
class Branch:
    """Other words in the place of some of the best text."""

    start: int  # places between words, from 0
    end: int
    text: str
    loss: float  # of the best path with these words, in the units of the total score


class LatticePage:
    """The first lattices of a run; nothing where no page is wanted."""

    def __init__(self, path: Path | None) -> None:
        """Begin without lattices."""
        self._path = path
        self._elements: list[Element] = []
        self._count = self._size = 0

    def watched(self, results: Iterable[LatticeResult]) -> Iterator[LatticeResult]:
        """Pass results on, and keep their sections while there is room."""
        from lmscore.pages import markup

        for result in results:
            if result.section is not None:
                self._count += 1
                if len(self._elements) < _LATTICES and self._size < _BYTES:
                    self._elements.append(result.section)
                    self._size += len(markup([result.section]).encode(errors="replace"))
            yield result

    def write(self, summary: Iterable[str]) -> None:
        """Write the page; `summary` has the lines that are said at the end."""
        if self._path is None:
            return
        from lmscore.pages import element

        shown = len(self._elements)
        some = (
            f" The first {shown} of {self._count} lattices are shown."
            if shown < self._count
            else ""
        )
        how = (
            "The line has the best text. A branch has other words in the place of those below it, "
            "and how much worse the best path with them is."
        )
        body = [element("h1", "Rescored lattices"), element("pre", "\n".join(summary))]
        body.append(element("p", how + some, class_="faint"))
        write_page(self._path, "Rescored lattices", [*body, *self._elements])


def lattice_section(before: Sequence[str], found: RescoredLattice) -> Element:
    """The section of a lattice; `before`: its best text by the old scores."""
    from lmscore.pages import element

    paths = found.n_best(_PATHS)
    parts = [element("h2", found.lattice.id), drawing(paths[0].words, branches(paths))]
    if tuple(before) != paths[0].words:
        was, now = differing(" ".join(before), paths[0].text)
        parts += [element("p", "was: ", was), element("p", "is now: ", now)]
    return element("section", [*parts, _table(paths[:_ROWS])])


def branches(paths: Sequence[LatticePath]) -> list[Branch]:
    """The words in which other paths differ from the first one, each with its smallest loss."""
    best = list(paths[0].words)
    found: dict[tuple[int, int, str], float] = {}
    for path in paths[1:]:
        matcher = difflib.SequenceMatcher(None, best, list(path.words), autojunk=False)
        for kind, start, end, first, last in matcher.get_opcodes():
            if kind != "equal":
                key = (start, end, " ".join(path.words[first:last]))
                loss = paths[0].total - path.total
                found[key] = min(loss, found.get(key, loss))
    return [Branch(*place, loss) for place, loss in found.items()]


def drawing(words: Sequence[str], others: Iterable[Branch]) -> Element:
    """A text on a line, and above it the branches, those with the smallest loss lowest."""
    from lmscore.pages import element

    words = words[:_WORDS]
    kept = [branch for branch in others if branch.end <= len(words)]
    widths = _widths(words, kept)
    places = [12.0]
    for width in widths:
        places.append(places[-1] + width)
    drawn = list(_arranged(kept, places))
    base = 20 + _LANE * (1 + max((lane for *_, lane in drawn), default=0))
    parts: list[Element] = []
    for branch, left, right, lane in drawn:
        parts += _branch(branch, left, right, base, base - _LANE * lane)
    for place, width, word in zip(places, widths, words, strict=False):
        middle = place + width / 2
        parts.append(_line([(place, base), (place + width, base)], "line s0 best"))
        parts.append(_label(middle, base - 6, word, "best"))
    parts += [
        element("circle", cx=f"{at:.0f}", cy=f"{base:.0f}", r="3.5", class_="s0") for at in places
    ]
    right = max([places[-1], *(right for _, _, right, _ in drawn)]) + 12
    size = {"width": f"{right:.0f}", "height": f"{base + 14:.0f}"}
    picture = element(
        "svg",
        parts,
        viewBox=f"0 0 {size['width']} {size['height']}",
        role="img",
        aria_label=f"the best text, and others above it: {' '.join(words)}",
        **size,
    )
    return element("div", picture, class_="wide")


def _widths(words: Sequence[str], branches: Iterable[Branch]) -> list[float]:
    """The width of each word, such that the texts of the branches above fit, too."""
    widths = [max(_LEAST, _width(word) + _GAP) for word in words]
    for branch in branches:
        missing = _width(_text(branch)) + _GAP - sum(widths[branch.start : branch.end])
        if branch.start < branch.end and missing > 0:
            widths[branch.end - 1] += missing
    return widths


def _arranged(
    others: Iterable[Branch], places: Sequence[float]
) -> Iterator[tuple[Branch, float, float, int]]:
    """Branches with their left and right ends, in lanes in which none overlaps another.

    A branch in the place of no words stands on one node, its text to the right of it.
    """
    lanes: list[list[tuple[float, float]]] = []
    for branch in sorted(others, key=lambda one: one.loss):
        left = places[branch.start]
        right = max(places[branch.end], left + _width(_text(branch)) + _GAP)
        free = (
            number
            for number, lane in enumerate(lanes)
            if all(right < start or left > end for start, end in lane)
        )
        number = next(free, len(lanes))
        if number == len(lanes):
            lanes.append([])
        lanes[number].append((left, right))
        yield branch, left, right, number + 1


def _branch(
    branch: Branch, left: float, right: float, base: float, height: float
) -> Iterator[Element]:
    if branch.start == branch.end:
        yield _line([(left, base), (left, height), (right - _GAP / 2, height)], "line s1")
    else:
        yield _line(
            [(left, base), (left + 8, height), (right - 8, height), (right, base)], "line s1"
        )
    yield _label((left + right) / 2, height - 5, _text(branch), "")


def _text(branch: Branch) -> str:
    return f"{branch.text or '(nothing)'} -{branch.loss:.1f}"


def _width(text: str) -> float:
    return sum(_WIDE if ord(letter) > 0x2E7F else _LETTER for letter in text)


def _line(points: Iterable[tuple[float, float]], style: str) -> Element:
    from lmscore.pages import element

    ends = " ".join(f"{x:.0f},{y:.0f}" for x, y in points)
    return element("polyline", points=ends, class_=style)


def _label(x: float, y: float, text: str, style: str) -> Element:
    from lmscore.pages import element

    return element("text", text, x=f"{x:.0f}", y=f"{y:.0f}", text_anchor="middle", class_=style)


def _table(paths: Sequence[LatticePath]) -> Element:
    from lmscore.pages import table

    rows = [["total", "acoustic", "old LM", "new LM", "text"]]
    for path in paths:
        scores = (path.total, path.scores.acoustic, path.scores.lm, path.scores.new_lm)
        rows.append([*(f"{value:.2f}" for value in scores), path.text])
    return table(rows, numbers=range(4))
