"""A chart as inline SVG: lines, steps, bars and points over one or two axes.

Colours are of the page's style, light or dark, and every line has a dash pattern of its own, so a
chart can be read without colour.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree.ElementTree import Element

from lmscore.pages.elements import Child, element

Point = tuple[float, float]

_WIDTH, _HEIGHT = 640, 300  # units of the picture, which scales
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 16, 12, 40  # margins
_MOST = 400  # points of a line
_TICKS = 6
_DASHES = ("", "7 3", "2 3", "9 3 2 3", "12 4", "4 2 1 2")


@dataclass(frozen=True)
class Axis:
    """What stands along a side of the picture."""

    title: str
    is_log: bool = False
    low: float | None = None  # by default that of the points
    high: float | None = None


@dataclass(frozen=True)
class Series:
    """Points that belong together, in the order of x."""

    name: str
    points: Sequence[Point]
    kind: Literal["line", "steps", "bars", "points"] = "line"


@dataclass(frozen=True)
class Rule:
    """A line across the picture with a label."""

    at: float
    label: str
    is_vertical: bool = True


def chart(
    caption: str, series: Iterable[Series], *, x: Axis, y: Axis, rules: Sequence[Rule] = ()
) -> Element:
    """A figure with a caption; points that are no finite numbers are left out.

    Bars reach from each point to the x of the next one, the last of which has no bar; steps keep
    the value of a point up to the next one.
    """
    kept = [Series(one.name, _drawable(one.points, x, y), one.kind) for one in series]
    points = [point for one in kept for point in one.points]
    if not points:
        return element("figure", element("figcaption", f"{caption}: nothing to draw"))
    across = _Scale.of(x, [a for a, _ in points], _LEFT, _WIDTH - _RIGHT)
    up = _Scale.of(y, [b for _, b in points], _HEIGHT - _BOTTOM, _TOP)
    parts = [*_grid(across, up, x, y)]
    for number, one in enumerate(kept):
        parts += _drawn(one, number, across, up)
    for number, rule in enumerate(rules):
        parts += _rule(rule, number, across, up)
    picture = element(
        "svg", parts, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", aria_label=caption
    )
    legend = [_key(one, number) for number, one in enumerate(kept) if one.name and len(kept) > 1]
    return element("figure", element("figcaption", caption), picture, *legend)


@dataclass(frozen=True)
class _Scale:
    """Values along an axis, and where they lie in the picture."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool

    @classmethod
    def of(cls, axis: Axis, values: Sequence[float], start: float, end: float) -> _Scale:
        low = min(values) if axis.low is None else axis.low
        high = max(values) if axis.high is None else axis.high
        if not low < high:
            low, high = (low / 2, 2 * high) if axis.is_log else (low - 0.5, high + 0.5)
        return cls(low, high, start, end, axis.is_log)

    def place(self, value: float) -> float:
        """Where a value lies; what is outside lies on the edge."""
        low, high, at = self.low, self.high, min(max(value, self.low), self.high)
        if self.is_log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return self.start + (self.end - self.start) * (at - low) / (high - low)

    def ticks(self) -> list[float]:
        """Round values within the scale."""
        if self.is_log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            steps = (1, 2, 5) if last - first < _TICKS // 2 else (1,)
            stride = max(1, (last - first) // _TICKS)
            found = [m * 10.0**e for e in range(first, last + 1, stride) for m in steps]
            return [value for value in found if self.low <= value <= self.high]
        step = _round_step((self.high - self.low) / _TICKS)
        first = math.ceil(self.low / step)
        return [n * step for n in range(first, math.floor(self.high / step + 1e-9) + 1)]


def _round_step(step: float) -> float:
    unit = 10.0 ** math.floor(math.log10(step))
    return next(unit * m for m in (1, 2, 5, 10) if unit * m >= step)


def _drawable(points: Sequence[Point], x: Axis, y: Axis) -> list[Point]:
    found = [
        (a, b)
        for a, b in points
        if math.isfinite(a)
        and math.isfinite(b)
        and (a > 0 or not x.is_log)
        and (b > 0 or not y.is_log)
    ]
    stride = -(-len(found) // _MOST)
    return found if stride <= 1 else [*found[:-1:stride], found[-1]]


def _grid(across: _Scale, up: _Scale, x: Axis, y: Axis) -> Iterable[Element]:
    bottom, middle = _HEIGHT - _BOTTOM, (_TOP + _HEIGHT - _BOTTOM) / 2
    for value in across.ticks():
        at = across.place(value)
        yield _line(at, bottom, at, bottom + 4, "axis")
        yield _text(at, bottom + 17, f"{value:.6g}", "middle")
    for value in up.ticks():
        at = up.place(value)
        yield _line(_LEFT, at, _WIDTH - _RIGHT, at, "grid")
        yield _text(_LEFT - 6, at + 4, f"{value:.6g}", "end")
    yield _line(_LEFT, bottom, _WIDTH - _RIGHT, bottom, "axis")
    yield _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 6, x.title, "middle")
    yield element(
        "text",
        y.title,
        x="14",
        y=_number(middle),
        text_anchor="middle",
        transform=f"rotate(-90 14 {_number(middle)})",
    )


def _drawn(series: Series, number: int, across: _Scale, up: _Scale) -> Iterable[Element]:
    places = [(across.place(a), up.place(b)) for a, b in series.points]
    style = f"s{number % len(_DASHES)}"
    if series.kind == "bars":
        bottom = _HEIGHT - _BOTTOM
        for (left, top), (right, _) in itertools.pairwise(places):
            yield element(
                "rect",
                x=_number(left),
                y=_number(top),
                width=_number(max(0.5, right - left - 0.5)),
                height=_number(max(0, bottom - top)),
                class_=f"bar {style}",
            )
    elif series.kind == "points" or len(places) == 1:
        for left, top in places:
            yield element("circle", cx=_number(left), cy=_number(top), r="3.5", class_=style)
    else:
        if series.kind == "steps":
            corners = [
                corner
                for (_, before), (left, top) in itertools.pairwise(places)
                for corner in ((left, before), (left, top))
            ]
            places = [places[0], *corners]
        path = " ".join(f"{_number(left)},{_number(top)}" for left, top in places)
        yield element(
            "polyline", points=path, class_=f"line {style}", stroke_dasharray=_dash(number)
        )


def _rule(rule: Rule, number: int, across: _Scale, up: _Scale) -> Iterable[Element]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    if rule.is_vertical:
        at = across.place(rule.at)
        anchor = "end" if at > _WIDTH / 2 else "start"
        yield _line(at, _TOP, at, bottom, "rule")
        yield _text(
            at + (-5 if anchor == "end" else 5), _TOP + 12 + 15 * number, rule.label, anchor
        )
    else:
        at = up.place(rule.at)
        yield _line(_LEFT, at, right, at, "rule")
        yield _text(right - 4, at - 5, rule.label, "end")


def _key(series: Series, number: int) -> Element:
    """The legend of a series."""
    style = f"s{number % len(_DASHES)}"
    sample: Child
    if series.kind == "bars":
        sample = element("rect", x="2", y="1", width="26", height="8", class_=f"bar {style}")
    elif series.kind == "points":
        sample = element("circle", cx="15", cy="5", r="3.5", class_=style)
    else:
        sample = element(
            "polyline", points="0,5 30,5", class_=f"line {style}", stroke_dasharray=_dash(number)
        )
    picture = element("svg", sample, viewBox="0 0 30 10", width="30", height="10")
    return element("span", picture, f" {series.name}", class_="key")


def _dash(number: int) -> str:
    return _DASHES[number % len(_DASHES)] or "none"


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> Element:
    ends = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
    return element("line", class_=style, **{name: _number(value) for name, value in ends.items()})


def _text(x: float, y: float, text: str, anchor: str) -> Element:
    return element("text", text, x=_number(x), y=_number(y), text_anchor=anchor)


def _number(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")
