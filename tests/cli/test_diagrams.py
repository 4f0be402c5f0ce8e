"""The picture of a training run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lmscore.cli.diagrams import PICTURE, check_drawing, draw_diagnosis
from lmscore.errors import MissingExtraError
from lmscore.train import train
from lmscore.train.metrics import EVALUATED
from tests.train.toy import toy_options


def test_a_run_is_drawn(tmp_path: Path) -> None:
    folder = train(toy_options(tmp_path, epochs=20, evaluations=2, layers=2)).path
    assert draw_diagnosis(folder) == folder / PICTURE
    assert (folder / PICTURE).read_bytes().startswith(b"\x89PNG")


def test_a_run_with_little_to_draw(tmp_path: Path) -> None:
    assert draw_diagnosis(tmp_path) is None
    (tmp_path / "metrics.jsonl").touch()
    assert draw_diagnosis(tmp_path) is None
    lags = {"h": [[1.0, None, 0.0]]}
    written = {"step": 1, EVALUATED: None, "gradient_by_lag": lags}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(written) + "\n")
    assert draw_diagnosis(tmp_path)


def test_nothing_to_draw_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"matplotlib.*pip install '\.\[plot\]'"):
        check_drawing()
