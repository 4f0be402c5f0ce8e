"""What docs/decoding.md shows runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from lmscore.runtime.model import LanguageModel

PAGE = Path(__file__).parents[1] / "docs" / "decoding.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_decoding() -> None:
    pytest.importorskip("llguidance")
    names: dict[str, Any] = {}
    for block in BLOCKS:
        exec(block, names)  # our own page
    assert names["lm"].next_words("Thanks for all the")[0][0] == "world"


@pytest.mark.parametrize("prompt", ["", "the cat", "so long and thanks"])
def test_a_beam_search_of_one_s_own(lm: LanguageModel, prompt: str) -> None:
    names: dict[str, Any] = {}
    exec(BLOCKS[-1], names)
    found = names["beam_search"](lm, prompt, beam_size=5, max_tokens=6)
    expected = lm.beam_search(prompt, beam_size=5, max_tokens=6, length_penalty=0)
    assert [tokens for tokens, _ in found] == [
        tuple(token.id for token in sample.tokens) for sample in expected
    ]
    assert [p for _, p in found] == pytest.approx([sample.log_prob for sample in expected])
