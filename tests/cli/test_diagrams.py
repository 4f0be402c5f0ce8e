"""The picture of a training run."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from lmscore.cli.diagrams import PICTURE, check_drawing, draw_diagnosis
from lmscore.cli.findings import findings
from lmscore.cli.run_records import RunRecord
from lmscore.errors import MissingExtraError
from lmscore.train import train
from lmscore.train.metrics import EVALUATED
from tests.cli.conftest import Run
from tests.train.toy import sentences, toy_options, write


def test_a_run_is_drawn(tmp_path: Path) -> None:
    folder = train(toy_options(tmp_path, epochs=20, evaluations=2, layers=2)).path
    assert draw_diagnosis(RunRecord.read(folder)) == folder / PICTURE
    assert (folder / PICTURE).read_bytes().startswith(b"\x89PNG")


def test_a_run_with_little_to_draw(tmp_path: Path) -> None:
    assert draw_diagnosis(RunRecord.read(tmp_path)) is None
    (tmp_path / "metrics.jsonl").touch()
    assert draw_diagnosis(RunRecord.read(tmp_path)) is None
    lags = {"h": [[1.0, None, 0.0]]}
    written = {"step": 1, EVALUATED: None, "gradient_by_lag": lags}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(written) + "\n")
    assert draw_diagnosis(RunRecord.read(tmp_path))


def test_nothing_to_draw_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"matplotlib.*pip install '\.\[plot\]'"):
        check_drawing()


def test_a_run_that_explodes_at_once(run: Run, tmp_path: Path) -> None:
    text = write(tmp_path / "text", sentences(200))
    result = run(
        *("train", text, "-o", tmp_path / "model", "--diagnose", "--learning-rate", "1e30"),
        *("--warmup", "0", "--tokenizer", "word", "--hidden-size", "8", "--epochs", "2"),
        *("--batch-size", "8", "--threads", "1", "--device", "cpu", "--precision", "fp32"),
    )
    assert result.status == 1
    assert (tmp_path / "model" / PICTURE).is_file()
    assert re.search("exploding: at update [0-9]: the loss or the gradient is not fin", result.err)


def written(folder: Path, *records: dict[str, Any]) -> Path:
    folder.mkdir()
    (folder / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    return folder


def update(step: int, **values: Any) -> dict[str, Any]:
    plain = {"loss": 3.0, "gradient_norm": 1.0, "clipping_rate": 0.0, "dead_units": [0.0]}
    return {"step": step, **plain, "gradient_norms": {"layer_0": 1.0}, **values}


def evaluation(step: int, loss: float, norms: list[float] | None = None) -> dict[str, Any]:
    lags = {"h": [norms or [1.0, 0.5]]}
    return {"step": step, EVALUATED: loss, "valid_perplexity": 9.0, "gradient_by_lag": lags}


NAN = {"failed_loss": None, "failed_gradient_norm": None}


@pytest.mark.parametrize(
    ("records", "found"),
    [
        ([update(1), {"step": 2, **NAN}], ["exploding: at update 2: the loss or the gradient"]),
        (
            [*(update(step) for step in range(1, 9)), update(9, gradient_norm=300.0)],
            ["bursts of the gradient: a norm of 300 at update 9, 1 is usual"],
        ),
        (
            [update(step, clipping_rate=1.0) for step in (1, 2)],
            ["100 % of the later updates were clipped"],
        ),
        ([update(1, dead_units=[0.1, 0.8])], ["layer 1: 80 % of the units are dead"]),
        (
            [evaluation(5, 2.0), evaluation(10, 2.5)],
            ["the held-out loss was lowest at update 5 (2.000 nats) and is 2.500 at the end"],
        ),
        (
            [evaluation(5, 2.0, [1.0, 0.1, 0.001, 0.0001])],
            ["layer 0: the loss reaches 2 tokens back: from lag 3 on"],
        ),
        ([evaluation(5, 2.0, [1.0, 30.0])], ["layer 0: the gradient grows with the lag, 30 times"]),
        ([update(1), evaluation(1, 3.0)], ["nothing unusual"]),
        ([], []),
    ],
)
def test_what_is_seen_in_words(
    tmp_path: Path, records: list[dict[str, Any]], found: list[str]
) -> None:
    said = findings(RunRecord.read(written(tmp_path / "run", *records)))
    assert [a.startswith(b) for a, b in zip(said, found, strict=True)] == [True] * len(found)


@pytest.mark.parametrize("name", ["runs.png", "runs.svg"])
def test_runs_are_laid_over_one_another(run: Run, tmp_path: Path, name: str) -> None:
    one = written(tmp_path / "one", update(1), evaluation(1, 3.0))
    other = written(tmp_path / "other$", *map(update, range(1, 200)), evaluation(200, 2.0))
    result = run("plot", one, other, "-o", tmp_path / name)
    assert result.status == 0
    assert result.out.splitlines() == [
        f"{name}: nothing unusual in the losses, gradients and units" for name in ("one", "other$")
    ]
    picture = (tmp_path / name).read_bytes()
    assert picture.startswith(b"\x89PNG") or b"Held-out perplexity" in picture or b"<svg" in picture


def test_one_run_is_drawn_as_its_diagnosis(run: Run, tmp_path: Path) -> None:
    one = written(tmp_path / "one", update(1), evaluation(1, 3.0))
    assert run("plot", one, "-o", tmp_path / "one.pdf").status == 0
    assert (tmp_path / "one.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (None, 1, "nothing of a training is recorded there"),
        ("{", 1, "metrics.jsonl:1: not JSON"),
        ("[1]", 1, "metrics.jsonl:1: no record of a training"),
    ],
)
def test_what_cannot_be_drawn(
    run: Run, tmp_path: Path, content: str | None, status: int, message: str
) -> None:
    if content is not None:
        (tmp_path / "metrics.jsonl").write_text(content)
    result = run("plot", tmp_path, "-o", tmp_path / "a.png")
    assert (result.status, message in result.err) == (status, True)


def test_no_such_kind_of_picture(run: Run, tmp_path: Path) -> None:
    result = run("plot", tmp_path, "-o", "a.txt")
    assert result.status == 2
    assert "--output a.txt: no such kind of picture" in result.err
