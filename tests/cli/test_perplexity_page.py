"""`--html` of `ppl` and `filter`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from lmscore.runtime.model import LanguageModel
from tests.browsing import PHONE, fits, open_page
from tests.cli.conftest import Run

HOSTILE = "<script>alert(1)</script>"
LINES = [f"the cat sat {HOSTILE} " + "so long " * n for n in range(30)]
STDIN = "\n".join(LINES) + "\n"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("verb", [["ppl"], ["filter", "--max-ppl", "40"]])
def test_pages_in_a_browser(
    browser: Any, run: Run, tmp_path: Path, verb: list[str], scheme: str
) -> None:
    path = tmp_path / "page.html"
    plain = run(*verb, stdin=STDIN)
    result = run(*verb, "--html", path, stdin=STDIN)
    assert (result.status, result.out) == (0, plain.out)
    assert path.stat().st_size < 60_000
    with open_page(browser, viewport=PHONE, color_scheme=scheme) as page:
        page.goto(path.as_uri())
        assert fits(page)
        assert page.locator("figure svg").count() >= 2
        assert HOSTILE in page.inner_text("body")
        assert page.locator(".bar").count() > 5


def test_bounds_keep_what_they_say(run: Run, tmp_path: Path, lm_int8: LanguageModel) -> None:
    path = tmp_path / "page.html"
    run("ppl", "--html", path, stdin=STDIN)
    page = path.read_text(encoding="utf-8")
    rows = re.findall(r'class="n">([\d.]+) %</td><td class="n">([\d.]+) %</td><td.*?>(.*?)<', page)
    assert len(rows) == 6
    for texts, words, bound in rows:
        kept = run("filter", "--max-ppl", bound, stdin=STDIN)
        lines = kept.out.split("\n")[:-1]
        assert f"{100 * len(lines) / 30:.1f}" == texts
        total = sum(len(line.split()) for line in LINES)
        assert f"{100 * sum(len(line.split()) for line in lines) / total:.1f}" == words


def test_the_bound_is_marked_and_the_unit_said(
    run: Run, tmp_path: Path, lm_int8: LanguageModel
) -> None:
    path = tmp_path / "page.html"
    bound = f"{lm_int8.perplexity(LINES, per='token'):.1f}"
    options = ["--max-ppl", bound, "--per", "token", "--html", path]
    assert run("filter", *options, stdin=STDIN).status == 0
    page = path.read_text(encoding="utf-8")
    assert f"--max-ppl {bound}<" in page
    assert "Perplexity per token, text by text" in page


def test_texts_without_a_perplexity(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    assert run("ppl", "--no-eos", "--html", path, stdin="\n\n").status == 0
    assert "2 texts have no finite perplexity" in path.read_text(encoding="utf-8")
    assert run("ppl", "--html", path, stdin="the cat\n").status == 0
    assert "the cat" in path.read_text(encoding="utf-8")


def test_errors(run: Run, tmp_path: Path) -> None:
    options = ["--max-ppl", "9", "--html", tmp_path / "x", "-o", tmp_path / "y", "--resume"]
    assert "--html does not go with --resume" in run("filter", *options).err
    options = ["--compat", "srilm", "--html", tmp_path / "x"]
    assert "--html does not go with --compat" in run("ppl", *options).err
