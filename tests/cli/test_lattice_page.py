"""`lmscore lattice --html`."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest

from lmscore.cli.rescoring.lattice_page import Branch, branches, drawing
from lmscore.runtime.rescoring.lattices import LatticePath, Scores
from tests.browsing import PHONE, fits, open_page
from tests.cli.conftest import Run

HOSTILE = "<script>alert(1)</script>"
KALDI = f"""\
{HOSTILE}\x20
0\t1\tthe\t2,10,1_1
1\t2\t{HOSTILE}\t3,20,2
1\t2\tdog\t4,18,
2\t0.5,1,

empty-1\x20

"""


def path(words: str, total: float) -> LatticePath:
    return LatticePath(tuple(words.split()), (), Scores(), total)


def test_branches_are_where_the_paths_differ() -> None:
    paths = [path("a b c", -1), path("a x c", -3), path("a x c d", -4), path("a c", -2.5)]
    assert branches(paths) == [
        Branch(1, 2, "x", 2.0),
        Branch(3, 3, "d", 3.0),
        Branch(1, 2, "", 1.5),
    ]
    assert branches([path("a", -1)]) == []


def texts(drawn: Element) -> list[tuple[str, float, float]]:
    found = drawn.iter("text")
    return [(one.text or "", float(one.get("x", "")), float(one.get("y", ""))) for one in found]


def test_no_two_texts_of_a_drawing_overlap() -> None:
    words = "a b c d".split()
    others = [
        Branch(start, end, "word " * count, count)
        for count in range(1, 4)
        for start in range(5)
        for end in range(start, 5)
    ]
    found = texts(drawing(words, others))
    assert len(found) == len(words) + len(others)
    boxes = [(x - 4 * len(text), x + 4 * len(text), y) for text, x, y in found]
    for number, (left, right, y) in enumerate(boxes):
        for other_left, other_right, other_y in boxes[:number]:
            assert abs(y - other_y) > 12 or right <= other_left or left >= other_right


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_in_a_browser(browser: Any, run: Run, tmp_path: Path, scheme: str) -> None:
    page_path = tmp_path / "page.html"
    file = tmp_path / "lat.txt"
    file.write_text(KALDI, encoding="utf-8")
    plain = run("lattice", file, "--best")
    result = run("lattice", file, "--best", "--html", page_path)
    assert (result.status, result.out) == (0, plain.out)
    with open_page(browser, viewport=PHONE, color_scheme=scheme) as page:
        page.goto(page_path.as_uri())
        assert fits(page)
        assert page.locator("svg").count() == 2
        assert "2 lattices" in page.inner_text("pre")
        assert page.inner_text("h2 >> nth=0") == HOSTILE
        assert HOSTILE in page.inner_text("table >> nth=0")
        shown = page.eval_on_selector_all("svg text", "all => all.map(one => one.textContent)")
        assert "the" in shown
        assert any(text.startswith(("dog -", f"{HOSTILE} -")) for text in shown)


def test_processes_give_the_same_page(run: Run, tmp_path: Path) -> None:
    files = [tmp_path / f"{n}.txt" for n in range(2)]
    for n, file in enumerate(files):
        file.write_text(f"u{n}\x20" + KALDI.partition("\x20")[2].partition("empty")[0])
    pages = []
    for jobs in (1, 2):
        path = tmp_path / f"{jobs}.html"
        assert run("lattice", *files, "--best", "--jobs", jobs, "--html", path).status == 0
        pages.append(path.read_text(encoding="utf-8"))
    assert pages[0] == pages[1]


def test_many_lattices_are_a_small_page(run: Run, tmp_path: Path) -> None:
    page_path = tmp_path / "page.html"
    stdin = "".join(
        KALDI.replace(f"{HOSTILE}\x20", f"u{n}\x20", 1).replace("empty", f"e{n}")
        for n in range(100)
    )
    assert run("lattice", "-q", "--best", "--html", page_path, stdin=stdin).status == 0
    assert page_path.stat().st_size < 300_000
    assert "The first 60 of 200 lattices are shown." in page_path.read_text(encoding="utf-8")
