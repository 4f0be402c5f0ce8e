"""`lmscore train --html`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lmscore.cli.training_page import write_training_page
from tests.browsing import PHONE, fits, open_page

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run in which something is not finite, and names are hostile."""
    pytest.importorskip("torch")
    folder = tmp_path / f"run {HOSTILE.replace('/', '')}"
    folder.mkdir()
    records: list[dict[str, Any]] = []
    for step in range(1, 2001):
        record: dict[str, Any] = {"step": step, "loss": 5 - step / 1000, "learning_rate": 0.01}
        record |= {"gradient_norms": {HOSTILE: 0.5, "layer_0": None if step == 3 else 2.0}}
        record |= {"dead_units": [0.0, 0.5], "clipping_rate": 0.1, "tokens_per_second": 1e4}
        records.append(record)
        if step % 500 == 0:
            lags = {"h": [[1.0, 0.5, None]]}
            records.append({"step": step, "valid_loss": 5.0, f"valid_loss/{HOSTILE}": 4.0})
            records[-1]["gradient_by_lag"] = lags
    text = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "metrics.jsonl").write_text(text, encoding="utf-8")
    (folder / "train.json").write_text(json.dumps({"output": HOSTILE}), encoding="utf-8")
    return folder


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_curves_of_a_run(browser: Any, folder: Path, tmp_path: Path, scheme: str) -> None:
    path = tmp_path / "page.html"
    write_training_page(path, folder, f"{HOSTILE} is done")
    assert path.stat().st_size < 150_000
    with open_page(browser, viewport=PHONE, color_scheme=scheme) as page:
        page.goto(path.as_uri())
        assert fits(page)
        captions = page.eval_on_selector_all("figcaption", "all => all.map(f => f.textContent)")
        assert captions == [
            "Loss",
            "Learning rate",
            "Gradient norm before clipping",
            "Share of updates that were clipped",
            "Dead units",
            "Speed",
            "How far back the loss reaches",
        ]
        keys = page.eval_on_selector_all(".key", "all => all.map(f => f.textContent.trim())")
        assert keys[:3] == ["training", "held out", f"held out {HOSTILE}"]
        assert f"{HOSTILE} is done" in page.inner_text("body")


def test_a_run_without_records(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    path = tmp_path / "page.html"
    write_training_page(path, tmp_path, None)
    page = path.read_text(encoding="utf-8")
    assert "The run has not come to its end." in page
    assert "Nothing is recorded yet." in page
