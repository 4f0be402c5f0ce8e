"""Charts: where points lie, and what is left out."""

from __future__ import annotations

import math
from typing import Literal
from xml.etree.ElementTree import Element

import pytest

from lmscore.pages import Axis, Rule, Series, chart, markup

LEFT, RIGHT, TOP, BOTTOM = 62, 624, 12, 260  # of the picture


def parts(figure: Element, tag: str, style: str = "") -> list[dict[str, str]]:
    return [dict(one.attrib) for one in figure.iter(tag) if style in one.get("class", "")]


def labels(figure: Element) -> list[str]:
    return [one.text or "" for one in figure.iter("text")]


def test_a_line_from_corner_to_corner() -> None:
    points = [(0, 0), (5, 1), (10, 2)]
    figure = chart("c", [Series("", points)], x=Axis("x"), y=Axis("y"))
    (line,) = parts(figure, "polyline")
    middle = f"{(LEFT + RIGHT) / 2:.0f},{(TOP + BOTTOM) / 2:.0f}"
    assert line["points"] == f"{LEFT},{BOTTOM} {middle} {RIGHT},{TOP}"
    assert labels(figure) == [*"0 2 4 6 8 10".split(), *"0 0.5 1 1.5 2".split(), "x", "y"]


def test_a_logarithmic_axis() -> None:
    points = [(1.0, 1.0), (10.0, 2.0), (100.0, 3.0), (-1.0, 2.0)]
    figure = chart("c", [Series("", points)], x=Axis("x", is_log=True), y=Axis("y"))
    (line,) = parts(figure, "polyline")
    assert line["points"].split()[1].startswith(f"{(LEFT + RIGHT) / 2:.0f},")
    assert labels(figure)[:3] == ["1", "2", "5"]
    assert len(line["points"].split()) == 3


def test_steps_bars_and_points() -> None:
    points = [(0.0, 1.0), (1.0, 2.0), (2.0, 0.0)]

    def drawn(kind: Literal["steps", "bars", "points"]) -> Element:
        return chart("c", [Series("", points, kind)], x=Axis("x"), y=Axis("y", low=0))

    (path,) = parts(drawn("steps"), "polyline")
    corners = [tuple(map(float, place.split(","))) for place in path["points"].split()]
    assert corners == [(62, 136), (343, 136), (343, 12), (624, 12), (624, 260)]
    bars = parts(drawn("bars"), "rect")
    assert [float(bar["height"]) for bar in bars] == [124, 248]
    dots = parts(drawn("points"), "circle")
    assert [float(dot["cx"]) for dot in dots] == [62, 343, 624]


def test_what_is_no_number_is_left_out() -> None:
    points = [(0.0, math.nan), (1.0, 2.0), (math.inf, 3.0)]
    figure = chart("c", [Series("", points)], x=Axis("x"), y=Axis("y"))
    assert len(parts(figure, "circle")) == 1  # a line of one point is a point
    empty = chart("a<b", [Series("", points[:1])], x=Axis("x"), y=Axis("y"))
    assert markup([empty]) == "<figure><figcaption>a&lt;b: nothing to draw</figcaption></figure>"


def test_long_lines_keep_their_ends() -> None:
    points = [(float(n), float(n % 7)) for n in range(10_001)]
    figure = chart("c", [Series("", points)], x=Axis("x"), y=Axis("y"))
    places = parts(figure, "polyline")[0]["points"].split()
    assert len(places) <= 401
    assert [float(places[n].split(",")[0]) for n in (0, -1)] == [LEFT, RIGHT]


def test_several_lines_have_names_and_dashes_of_their_own() -> None:
    series = [Series(name, [(0, 0), (1, 1)]) for name in ("a", "<b>")]
    rules = [Rule(0.5, "here"), Rule(0.5, "there", is_vertical=False)]
    figure = chart("c", series, x=Axis("x"), y=Axis("y"), rules=rules)
    first, second = parts(figure, "polyline")[:2]
    assert first["stroke-dasharray"] != second["stroke-dasharray"]
    shown = markup([figure])
    assert " a</span>" in shown
    assert " &lt;b&gt;</span>" in shown
    assert len(parts(figure, "line", "rule")) == 2
    assert {"here", "there"} <= set(labels(figure))


@pytest.mark.parametrize("is_log", [True, False])
def test_one_value_only(is_log: bool) -> None:
    points = [(3.0, 3.0), (3.0, 3.0)]
    axis = Axis("x", is_log=is_log)
    figure = chart("c", [Series("", points)], x=axis, y=axis)
    assert "nan" not in markup([figure])
