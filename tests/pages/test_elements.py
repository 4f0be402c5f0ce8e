"""Markup: texts stay texts, whatever is in them."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.pages import Child, element, frame, markup, table

HOSTILE = """<script>alert("x" + 'y')</script><img src=x onerror=alert(1)>&amp;"""


class Seen(HTMLParser):
    """The tags, attributes and texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])))
def test_texts_and_attributes_stay_what_they_are(text: str) -> None:
    seen = Seen(markup([element("p", text, element("b", "x"), text, title=text)]))
    assert seen.tags == ["p", "b"]
    assert seen.attributes == [("title", text)]
    assert "".join(seen.texts) == f"{text}x{text}"


def test_a_table_with_numbers() -> None:
    rows: list[list[Child]] = [["a", "n"], ["x", "1"], [element("b", "<"), "2"]]
    assert markup([table(rows, numbers=[1])]) == (
        '<div class="wide"><table><thead><tr><th>a</th><th class="n">n</th></tr></thead>'
        '<tbody><tr><td>x</td><td class="n">1</td></tr><tr><td><b>&lt;</b></td>'
        '<td class="n">2</td></tr></tbody></table></div>'
    )


def test_names_of_attributes_and_control_characters() -> None:
    assert markup([element("i", "a\0\x1b", class_="x", data_n="1")]) == (
        '<i class="x" data-n="1">a\ufffd\ufffd</i>'
    )


@pytest.mark.parametrize("tag", ["script", "style"])
def test_scripts_are_no_elements(tag: str) -> None:
    with pytest.raises(ValueError, match=f"<{tag}> holds no escaped text"):
        element(tag, HOSTILE)


def test_the_frame_escapes_its_title_and_forbids_what_it_does_not_hold() -> None:
    page = frame(HOSTILE, "", scripts=["let x = 1;"])
    seen = Seen(page)
    assert seen.tags.count("script") == 1
    assert "img" not in seen.tags
    assert HOSTILE in seen.texts
    policy = dict(seen.attributes)["content"]
    assert "default-src 'none'" in page
    assert "connect-src 'none'" in page
    assert policy is not None
    assert "http" not in page.replace("http-equiv", "")
