"""`--html` of `rescore` and `tune`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.browsing import PHONE, fits, open_page
from tests.cli.conftest import Run

HOSTILE = "<script>alert(1)</script>"


def lists(count: int = 12) -> str:
    """Lists whose second hypothesis is right; ids and texts are hostile."""
    found = []
    for number in range(count):
        right = f"the cat sat {HOSTILE} so"
        texts = [f"cat the sat {HOSTILE} <b>so", right, "sat"]
        hypotheses = [
            {"text": text, "score": -1.0 - place / 10, "<i>x": 0.5}
            for place, text in enumerate(texts)
        ]
        found.append({"id": f"{HOSTILE}{number}", "hypotheses": hypotheses, "reference": right})
    return "".join(json.dumps(one) + "\n" for one in found)


@pytest.mark.parametrize(
    "verb",
    [
        ["rescore", "--metric", "wer", "--lm-weight", "0", "--weight", "rank=-1"],
        ["tune", "--weigh", "score", "--weigh", "rank", "--folds", "2"],
    ],
)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_in_a_browser(
    browser: Any, run: Run, tmp_path: Path, verb: list[str], scheme: str
) -> None:
    pytest.importorskip("rapidfuzz")
    path = tmp_path / "page.html"
    plain = run(*verb, stdin=lists())
    result = run(*verb, "--html", path, stdin=lists())
    assert (result.status, result.out) == (0, plain.out)
    with open_page(browser, viewport=PHONE, color_scheme=scheme) as page:
        page.goto(path.as_uri())
        assert fits(page)
        assert page.locator("figure svg").count() >= 1
        assert HOSTILE in page.inner_text("body")


def test_what_changed_and_why(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    options = ["--lm-weight", "0", "--weight", "rank=-1", "--weight", "score=1", "--html", path]
    assert run("rescore", "-q", *options, stdin=lists(3)).status == 0
    page = path.read_text(encoding="utf-8")
    assert "another one in 3 of 3 lists." in page
    assert "It leads by 1.80: +2.00 by rank, -0.20 by score" in page
    assert "<figure" not in page  # without a metric there is no curve
    assert run("rescore", "-q", "--lm-weight", "0", "--html", path, stdin=lists(3)).status == 0
    assert "another one in 0 of 3 lists." in path.read_text(encoding="utf-8")


def test_differing_words_are_marked(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    hypotheses = [{"text": "a b c", "score": 0}, {"text": "a x c d", "score": 1}]
    text = json.dumps({"id": "u", "hypotheses": hypotheses})
    assert run("rescore", "-q", "--lm-weight", "0", "--html", path, stdin=text).status == 0
    page = path.read_text(encoding="utf-8")
    assert "<span>a <del>b</del> c </span>" in page
    assert "<span>a <ins>x</ins> c <ins>d</ins> </span>" in page


def test_many_lists_are_a_small_page(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    options = ["--lm-weight", "0", "--weight", "rank=-1", "--html", path]
    assert run("rescore", "-q", *options, stdin=lists(200)).status == 0
    assert path.stat().st_size < 300_000
    assert "another one in 200 of 200 lists (the first 100 are shown)" in path.read_text("utf-8")


def test_errors(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    result = run("rescore", "--explain", "u", "--html", path, stdin=lists(1))
    assert (result.status, result.out) == (2, "")
    assert "--html does not go with --explain" in result.err
    result = run("tune", "--html", tmp_path / "no" / "x.html", stdin=lists(1))
    assert result.status == 2
    assert "name a file in a folder that is there" in result.err
