"""`lmscore score --html`."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from lmscore.runtime.model import LanguageModel
from tests.browsing import PHONE, fits, open_page
from tests.cli.conftest import Run

HOSTILE = "<script>alert(1)</script>"
TEXTS = ["the cat sat", f'a "quoted" {HOSTILE} & more']


def test_the_page_has_the_words(
    browser: Any, run: Run, tmp_path: Path, lm_int8: LanguageModel
) -> None:
    path = tmp_path / "page.html"
    result = run("score", "--html", path, stdin="\n".join(TEXTS))
    assert result.status == 0
    assert result.out == run("score", stdin="\n".join(TEXTS)).out
    assert f"{path}: a page to look at" in result.err
    with open_page(browser) as page:
        page.goto(path.as_uri())
        page.check("text=numbers")
        shown = page.eval_on_selector_all("#words i", "all => all.map(i => Number(i.dataset.n))")
        scores = lm_int8.score_batch(TEXTS, words=True)
        expected = [word.surprisal for score in scores for word in score.words]
        assert shown == pytest.approx(expected, abs=0.051)
        assert HOSTILE in page.inner_text("#words")
        page.hover("#words i >> nth=1")
        measured = lm_int8.measure(TEXTS[0], alternatives=3).words[1]
        likely = page.inner_text("#panel")
        assert likely.startswith("cat: ")
        assert f"rank {measured.onset_rank}" in likely
        assert measured.onset_alternatives[0][0] in likely
        page.check("text=by rank")
        ranks = page.eval_on_selector_all("#words i", "all => all.map(i => i.dataset.n)")
        assert ranks[1] == str(measured.onset_rank)
        page.focus("#words i >> nth=1")
        page.keyboard.press("End")
        assert page.inner_text("#panel").startswith("End of the sentence")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_telephone(browser: Any, run: Run, tmp_path: Path, scheme: str) -> None:
    path = tmp_path / "page.html"
    assert run("score", "-q", "--html", path, stdin=f"{'x' * 300}\nthe cat").status == 0
    with open_page(browser, viewport=PHONE, color_scheme=scheme) as page:
        page.goto(path.as_uri())
        assert fits(page)


def test_hostile_ids_and_models(browser: Any, run: Run, tmp_path: Path, model_path: Path) -> None:
    named = tmp_path / "<img src=x onerror=alert(1)>"
    shutil.copytree(model_path, named)
    path = tmp_path / "page.html"
    lines = json.dumps({"id": HOSTILE, "text": HOSTILE}) + "\n"
    options = ["--input-format", "jsonl", "--id-field", "id", "-m", named, "--html", path]
    assert run("score", *options, stdin=lines).status == 0
    with open_page(browser) as page:
        page.goto(path.as_uri())
        assert HOSTILE in page.inner_text("small >> nth=0")
        assert "<img src=x" in page.inner_text("body")
        assert page.locator("img").count() == 0


def test_two_hundred_lines_are_a_small_page(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    line = " ".join(["thanks so long"] * 7)
    assert run("score", "-q", "--html", path, stdin=f"{line}\n" * 200).status == 0
    assert path.stat().st_size < 300_000
    assert "The first " not in path.read_text(encoding="utf-8")
    assert run("score", "-q", "--html", path, stdin=f"{line * 9}\n" * 200).status == 0
    assert path.stat().st_size < 300_000
    assert "The first " in path.read_text(encoding="utf-8")
    assert run("score", "-q", "--html", path, stdin=f"{line * 300} {'x' * 99_999}\n").status == 0
    assert path.stat().st_size < 300_000
    assert re.search(r"its first \d{4} words", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "options",
    [["--no-eos"], ["--context", "document"], ["--prefix", "so"], ["--split", "lines"]],
)
def test_words_without_measures(run: Run, tmp_path: Path, options: list[str]) -> None:
    path = tmp_path / "page.html"
    assert run("score", "-q", "--html", path, *options, stdin="the cat\n").status == 0
    page = path.read_text(encoding="utf-8")
    assert "cat</i>" in page
    assert "rank" not in page.partition("<script>")[0].partition("</style>")[2]


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--html", "-"], 2, "--html needs a file"),
        (["--html", "nowhere/page.html"], 2, "name a file in a folder that is there"),
        (["--html", "."], 2, "name a file in a folder that is there"),
        (["--html", "same", "-o", "same"], 2, "--html and --output must be two files"),
        (["--html", "x", "--compat", "srilm"], 2, "--html does not go with --compat"),
        (["--html", "x", "-o", "y", "--resume"], 2, "--html does not go with --resume"),
        (["--html", "text.txt", "text.txt"], 1, "text.txt: is read already"),
    ],
)
def test_errors(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    status: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text("the cat\n", encoding="utf-8")
    result = run("score", *options, stdin="the cat\n")
    assert (result.status, result.out) == (status, "")
    assert message in result.err
