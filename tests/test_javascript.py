"""The JavaScript example scores as Python does: WebAssembly in Node, the bundled model."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import lmscore

EXAMPLE = Path(__file__).parents[1] / "examples" / "javascript"
LINES = [
    "Thanks for all the fish",
    "",
    "the cat sat on the mat",
    "naïve cafés, 床前明月光 and emoji 😀",
    "  two  spaces ",
    "</s> is text",
]


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")
@pytest.mark.skipif(
    not (EXAMPLE / "node_modules").is_dir(),
    reason="for examples/javascript after npm ci --ignore-scripts",
)
def test_the_same_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LMSCORE_MODEL", raising=False)
    model = Path(lmscore.__file__).parent / "models" / "english"
    done = subprocess.run(
        ["node", "score.mjs", str(model)],
        input="\n".join(LINES) + "\n",
        capture_output=True,
        text=True,
        check=True,
        cwd=EXAMPLE,
    )
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [text for _, text in rows] == LINES
    found = np.array([float(score) for score, _ in rows])
    expected = [score.log_prob for score in lmscore.load().score_batch(LINES)]
    # WebAssembly rounds some sums otherwise, which can move an 8-bit value by a step.
    np.testing.assert_allclose(found, expected, atol=0.1)
