"""metrics.jsonl holds every record once, killed runs included."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from lmscore.errors import OutputFileError
from lmscore.train import metrics as metrics_module
from lmscore.train.checkpoint import Position
from lmscore.train.metrics import EVALUATED, METRICS_FILE, Means, MetricsLog


def records(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / METRICS_FILE).read_text().splitlines()]


def test_records(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path, Position(), tensorboard=False)
    values = {"loss": 2.0, "perplexity": math.inf, "parts": {"a": [1.0, math.nan]}}
    log.write(Position(step=3, epoch=1, tokens=9), 1.23, values)
    log.close()
    (record,) = records(tmp_path)
    assert record == {
        "step": 3,
        "epoch": 1,
        "tokens": 9,
        "seconds": 1.2,
        "loss": 2.0,
        "perplexity": None,
        "parts": {"a": [1.0, None]},
    }


def test_what_a_killed_run_wrote_past_its_checkpoint_goes(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path, Position(), tensorboard=False)
    for step, name in ((1, "loss"), (2, EVALUATED), (2, "loss"), (3, "loss"), (3, EVALUATED)):
        log.write(Position(step=step), 0.0, {name: 1.0})
    with (tmp_path / METRICS_FILE).open("a") as file:
        file.write('{"step": 2, "lo')

    MetricsLog(tmp_path, Position(step=3, evaluations=1), tensorboard=False)
    assert [(record["step"], EVALUATED in record) for record in records(tmp_path)] == [
        (1, False),
        (2, True),
        (2, False),
        (3, False),
    ]
    MetricsLog(tmp_path, Position(step=2, evaluations=1), tensorboard=False)
    assert [record["step"] for record in records(tmp_path)] == [1, 2, 2]
    MetricsLog(tmp_path, Position(), tensorboard=False)
    assert records(tmp_path) == []


def test_it_cannot_be_written(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path, Position(), tensorboard=False)
    (tmp_path / METRICS_FILE).unlink()
    (tmp_path / METRICS_FILE).mkdir()
    with pytest.raises(OutputFileError, match=r"metrics.jsonl: cannot be written: Is a directory"):
        log.write(Position(), 0.0, {"loss": 1.0})


def test_means() -> None:
    means = Means()
    assert (means.loss, means.gradient_norm, means.tokens_per_second) == (0, 0, 0)
    means.add(loss=6.0, tokens=2, norm=1.0, seconds=0.5)
    assert means.clipping_rate == 0
    means.add(loss=1.0, tokens=5, norm=2.0, seconds=1.5, clipped=True)
    assert means.clipping_rate == 0.5
    assert (means.loss, means.gradient_norm, means.tokens_per_second) == (1.0, 1.5, 3.5)


def test_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[object, ...]] = []

    class Writer:
        def __init__(self, folder: str, *, purge_step: int) -> None:
            seen.append((folder, purge_step))

        def add_scalar(self, name: str, value: float, step: int) -> None:
            seen.append((name, value, step))

        def close(self) -> None:
            seen.append(("closed",))

    monkeypatch.setattr(metrics_module, "import_summary_writer", lambda: Writer)
    log = MetricsLog(tmp_path, Position(step=4), tensorboard=True)
    log.write(Position(step=5), 0.0, {"loss": 2.0, "parts": [1.0]})
    log.close()
    assert seen == [(str(tmp_path / "tensorboard"), 5), ("loss", 2.0, 5), ("closed",)]
