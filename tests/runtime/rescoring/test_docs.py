"""What docs/rescoring.md shows runs as it stands there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lmscore.runtime.rescoring.lists import read_weights

PAGE = Path(__file__).parents[3] / "docs" / "rescoring.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
TEXTS = {"i would like to recognise beach": -4.25, "i would like to recognise speech": -4.5}


def test_rescoring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    hypotheses = [{"text": text, "score": score} for text, score in TEXTS.items()]
    reference = "i would like to recognise speech"
    line = json.dumps({"id": "utt1", "hypotheses": hypotheses, "reference": reference})
    for name in ("lists.jsonl", "dev.jsonl"):
        Path(name).write_text(f"{line}\n")
    names: dict[str, Any] = {}
    exec(BLOCKS[0], names)  # our own page
    best, other = json.loads(Path("reranked.jsonl").read_text())["hypotheses"]
    assert [best["text"], other["text"]] == [*reversed(TEXTS)]
    assert best["lmscore"] > other["lmscore"]
    pytest.importorskip("rapidfuzz")
    exec(BLOCKS[1], names)
    assert read_weights("weights.json") == names["weights"]
    assert names["weights"].features["score"] == 1
