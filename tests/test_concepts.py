"""The code of the page of concepts computes what the models do, and both languages say the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lmscore
from tests.models import make_model

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {
    name: (DOCS / name).read_text(encoding="utf-8") for name in ("concepts.md", "concepts.zh.md")
}
TEXT = "the cat sat on the mat"


def blocks(page: str, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGES[page], re.DOTALL)


def test_both_languages_have_the_same_code() -> None:
    first, second = PAGES
    assert blocks(first, "python") == blocks(second, "python")
    assert blocks(first, "sh") == blocks(second, "sh")
    commands = [re.sub("#.*", "", block) for page in PAGES for block in blocks(page, "text")]
    half = len(commands) // 2
    assert commands[:half] == commands[half:]
    figures = [re.findall(r"\d+\.\d+", text) for text in PAGES.values()]
    assert figures[0] == figures[1]


@pytest.mark.parametrize("cell", ["rnn-tanh", "lstm", "gru"])
def test_the_code_of_a_cell(cell: Any, tmp_path: Path) -> None:
    names: dict[str, Callable[..., Any]] = {}
    for block in blocks("concepts.md", "python"):
        exec(block, names)  # our own page
    bundle = make_model(tmp_path / "model", cell=cell, tied=True, variants=["fp32"])
    lm = lmscore.load(bundle.path)
    weights = lm._weights()
    W, R, b, c = (
        weights[f"rnn.{name}_l0"].astype(float)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    state = tuple(np.zeros(16) for _ in bundle.config.state)
    for token in [bundle.config.bos_token_id, *lm.encode(TEXT).tolist()]:
        x = weights["embedding.weight"][token].astype(float)
        found = names[cell.removeprefix("rnn-").replace("tanh", "rnn")](x, *state, W, R, b, c)
        state = found if isinstance(found, tuple) else (found,)
    logits = weights["embedding.weight"] @ state[0] + weights["output.bias"]
    wanted = lm.engine.read(lm.encode(TEXT)).log_probs[0]
    np.testing.assert_allclose(np.log(names["softmax"](logits)), wanted, atol=1e-4)
