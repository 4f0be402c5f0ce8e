"""A bar on a terminal, after two seconds, and lines in a log; never among the data."""

from __future__ import annotations

import io
import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lmscore.cli import progress
from lmscore.cli.progress import Progress, duration
from lmscore.cli.scored_records import total_bytes
from lmscore.cli.verbs import train as train_verb
from lmscore.train import Status
from tests.cli.conftest import Run


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Terminal]:
    """Make standard error a terminal, with a bar that does not wait."""
    monkeypatch.setattr(progress, "_DELAY", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")

    def install() -> Terminal:  # not sooner: pytest sets standard error when the test begins
        made = Terminal()
        monkeypatch.setattr("sys.stderr", made)
        return made

    return install


def shown(screen: Terminal) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())


def test_share_text_and_time_left(terminal: Callable[[], Terminal]) -> None:
    screen = terminal()
    with Progress("scoring", total=200) as bar:
        bar.update(50, "10 lines/s", seconds_left=125)
    for part in ("scoring", "25%", "10 lines/s", "2:05 left"):
        assert part in shown(screen)


def test_the_time_left_follows_from_the_rate(terminal: Callable[[], Terminal]) -> None:
    screen = terminal()
    with Progress("scoring", total=4) as bar:
        bar._start -= 10
        bar.update(1)
    assert "0:30 left" in shown(screen)


@pytest.mark.parametrize("held_out", [None, 1234.56, 56.78])
def test_a_training_fits_into_80_columns(
    terminal: Callable[[], Terminal], monkeypatch: pytest.MonkeyPatch, held_out: float | None
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    screen = terminal()
    with Progress("training", total=1.0) as bar:
        train_verb._show(bar, Status(0.5, 10, 7.25, 123456.7, 3723.0, held_out))
    parts = ["training", "50%", "perplexity 1408", "123,457/s", "1:02:03 left"]
    if held_out is not None:
        parts.append(f"held out {held_out:.0f}" if held_out > 1000 else "held out 56.8")
    for part in parts:
        assert part in shown(screen)


def test_what_comes_after_the_training(terminal: Callable[[], Terminal]) -> None:
    screen = terminal()
    with Progress("training", total=1.0) as bar:
        status = Status(0.25, 10, math.nan, 2000.0, 65.0, None, is_measuring=True)
        train_verb._show(bar, status)
    for part in ("measuring", "25%", "2,000/s", "1:05 left"):
        assert part in shown(screen)


def test_an_unknown_total(terminal: Callable[[], Terminal]) -> None:
    screen = terminal()
    with Progress("scoring", total=None) as bar:
        bar.update(50, "10 lines/s")
    assert "10 lines/s" in shown(screen)
    assert "left" not in shown(screen)


def test_what_is_quick_needs_no_bar(
    terminal: Callable[[], Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = terminal()
    monkeypatch.setattr(progress, "_DELAY", 60.0)
    with Progress("scoring", total=4) as bar:
        bar.update(1)
    with Progress("scoring", total=4, shown=False) as bar:
        bar._start -= 100
        bar.update(1)
    assert screen.getvalue() == ""


def test_no_terminal_no_bar_and_no_rich() -> None:
    script = (
        "import sys; from lmscore.cli.progress import Progress\n"
        "with Progress('x', total=1) as bar:\n"
        "    bar._start -= 100; bar.update(1)\n"
        "print('rich' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert run.stdout.split() == [b"False"]


def test_a_log_gets_a_line_every_half_minute(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("scoring", total=4) as bar:
        bar.update(1, "10 lines/s")
        bar._start -= 30
        bar.update(1, "10 lines/s")
        bar.update(2, "10 lines/s")
        bar._start -= 30
        bar.update(3, "20 lines/s", seconds_left=7)
    assert capsys.readouterr().err == (
        "lmscore: scoring: 0:30, 25 %, 10 lines/s, 1:30 left\n"
        "lmscore: scoring: 1:00, 75 %, 20 lines/s, 0:07 left\n"
    )
    for hidden in ({"shown": False}, {"lines": False}):
        with Progress("scoring", total=None, **hidden) as bar:
            bar._start -= 100
            bar.update(1)
        assert capsys.readouterr().err == ""


def test_scoring_shows_its_rate(run: Run, terminal: Callable[[], Terminal]) -> None:
    screen = terminal()
    result = run("score", "--quiet", stdin="the cat\n" * 10)
    assert len(result.rows) == 10
    assert "lines/s" in shown(screen)


def test_what_is_done_already_is_not_left(
    run: Run, terminal: Callable[[], Terminal], tmp_path: Path
) -> None:
    text, output = tmp_path / "text", tmp_path / "scores"
    text.write_text("the cat\n" * 10)
    run("score", text, "--output", output)
    output.write_bytes(b"".join(output.read_bytes().splitlines(keepends=True)[:6]))
    screen = terminal()
    assert run("score", "--quiet", text, "--output", output, "--resume").status == 0
    first, second = shown(screen).split("scoring", 1)
    assert f"reading {output}"[:20] in first
    assert "100%" in second


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (125, "2:05"), (3723, "1:02:03")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_how_much_there_is_to_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").write_bytes(b"678")
    (tmp_path / "c.gz").touch()
    assert total_bytes([str(tmp_path / "a"), str(tmp_path / "b")]) == 8
    for unknown in ("c.gz", "missing"):
        assert total_bytes([str(tmp_path / "a"), str(tmp_path / unknown)]) is None
