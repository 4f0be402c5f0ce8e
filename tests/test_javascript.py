"""The JavaScript example scores as Python does: WebAssembly in Node, the bundled model."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lmscore
from lmscore.runtime.load import BUNDLED_MODEL
from tests.browsing import open_page, wait_until
from tests.javascript_server import EXAMPLE, serving

LINES = [
    "Thanks for all the fish",
    "",
    "the cat sat on the mat",
    "naïve cafés, 床前明月光 and emoji 😀",
    "  two  spaces ",
    "</s> is text",
]


needs_packages = pytest.mark.skipif(
    not (EXAMPLE / "node_modules").is_dir(),
    reason="for examples/javascript after npm ci --ignore-scripts",
)
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")


def in_node(model: Path, lines: list[str], graph: str) -> list[float]:
    done = subprocess.run(
        ["node", "score.mjs", str(model), graph],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        check=True,
        cwd=EXAMPLE,
    )
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [text for _, text in rows] == lines
    return [float(score) for score, _ in rows]


@needs_node
@needs_packages
def test_the_same_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LMSCORE_MODEL", raising=False)
    found = np.array(in_node(BUNDLED_MODEL, LINES, "model_int8.onnx"))
    expected = [score.log_prob for score in lmscore.load().score_batch(LINES)]
    # WebAssembly rounds some sums otherwise, which can move an 8-bit value by a step.
    np.testing.assert_allclose(found, expected, atol=0.1)


@needs_node
@needs_packages
def test_the_same_scores_of_200_lines_in_32_bits(bpe_model_path: Path) -> None:
    """A byte-level model: the ids are equal on any text, or the scores would be far apart."""
    draw = random.Random(1)
    letters = "etaoin shrdlu.,'ABC é明😀ﬁ\u00a0\u0301"
    lines = ["".join(draw.choices(letters, k=draw.randrange(40))) for _ in range(200)]
    found = in_node(bpe_model_path, lines, "model.onnx")
    expected = [s.log_prob for s in lmscore.load(bpe_model_path, variant="fp32").score_batch(lines)]
    # Four decimals are printed; a sum of many tokens is rounded otherwise.
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=2e-6)


@needs_packages
def test_the_page_scores_as_one_types(browser: Any) -> None:
    lm = lmscore.load(BUNDLED_MODEL)
    with serving(BUNDLED_MODEL) as url, open_page(browser) as page:
        page.goto(url)
        field, shown = page.locator("#text"), page.locator("#score")
        for text in ("Thanks for all the", "the cat sat on the"):
            field.fill(text)
            expected = lm.score(text).log_prob
            there = partial(is_near, shown, expected)
            wait_until(page, there, "no score")
            words = page.locator("#next li").all_text_contents()
            step = lm.next_words(text, k=5, unit="token")
            assert len(words) == len(step) == 5
            assert words[0].split()[0] == step[0][0].strip()


def is_near(shown: Any, expected: float) -> bool:
    """WebAssembly rounds some sums otherwise, which can move an 8-bit value by a step."""
    number = re.fullmatch(r"ln P = (-[\d.]+)", shown.text_content())
    return number is not None and abs(float(number[1]) - expected) < 0.1
