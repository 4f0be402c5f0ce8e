"""`lmscore bench`: measured here, for a table or a program."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest

import lmscore
from lmscore.cli.verbs import bench
from lmscore.errors import InputError
from lmscore.runtime.bench import benchmark
from tests.cli.conftest import Run, finish, start
from tests.models import make_model


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "TURNS", 1)
    monkeypatch.setattr(benchmark, "usable_cores", lambda: 2)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("the cat sat\n\nthanks for all the fish\n")
    return path


def test_a_table(run: Run, model_path: Path) -> None:
    result = run("bench", "--seconds", "1")
    assert (result.status, result.err) == (0, "")
    about, speeds, advice = result.out.split("\n\n")
    facts = dict(line.split("  ", 1) for line in about.splitlines())
    assert list(facts) == [
        "model",
        "machine",
        "versions",
        "text",
        "loading",
        "peak memory",
        "weights",
    ]
    assert facts["model"].strip() == f"{model_path.name} (int8) on cpu"
    assert facts["machine"].endswith(", 2 cores")
    assert "made up by the model; " in facts["text"]
    assert facts["loading"].endswith(" ms")
    header, one, two, together = speeds.splitlines()
    assert header.split()[:3] == ["threads", "tokens/s", "x"]
    assert (one.split()[0], one.split()[2], two.split()[0]) == ("1", "1.00", "2")
    assert one.count("%") == two.count("%") == 3
    assert together.startswith("1 in each of 2 processes  ")
    assert advice.startswith("Scoring one text: --threads ")


def test_json(run: Run, model_path: Path, text: Path) -> None:
    result = run(
        "bench", text, "--seconds", "1", "--threads", "1", "--variant", "fp32", "--format", "json"
    )
    assert (result.status, result.err) == (0, "")
    document = json.loads(result.out)
    assert document["lmscore"] == lmscore.__version__
    assert (document["model"], document["variant"]) == (str(model_path), "fp32")
    assert (document["text"], document["lines"]) == (f"3 lines of {text}", 3)
    assert document["together"] is None
    (speed,) = document["speeds"]
    assert speed["threads"] == 1
    share = speed["tokens_per_second"] / speed["tokens_per_second_ceiling"]
    assert speed["scoring_share"] == share
    for what in ("step", "beam_step"):
        share = speed[f"{what}_seconds_ceiling"] / speed[f"{what}_seconds"]
        assert speed[f"{what}_share"] == share


@pytest.mark.parametrize("several", [True, False])
def test_what_is_read(run: Run, text: Path, several: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(model: Path, *, lines: list[str] | None, **options: object) -> None:
        raise InputError(repr(lines))

    monkeypatch.setattr("lmscore.runtime.bench.run_benchmark", refuse)
    files = [text, "-"] if several else []
    expected = ["the cat sat", "", "thanks for all the fish", "so long"] if several else None
    assert run("bench", *files, stdin="so long\n").err == f"lmscore: error: {expected}\n"
    monkeypatch.setattr(bench, "_MOST_LINES", 2)
    if several:
        assert run("bench", *files).err == "lmscore: error: ['the cat sat', '']\n"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["missing.txt"], "missing.txt: no such file"),
        (["-m", "missing"], "missing: no such directory"),
        (["--variant", "fp8"], "no variant 'fp8' (there: fp32, int8)"),
        (["--device", "tpu"], "device must be auto, cpu, cuda or cuda:N, not 'tpu'"),
        (["--threads", "9999"], "threads must be an integer in 1..1024, not 9999"),
        (["empty.txt"], "there is no line of text to score"),
    ],
)
def test_errors_are_one_line(
    run: Run, argv: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.txt").touch()
    result = run("bench", *argv)
    assert (result.status, result.out) == (2 if argv[0] in ("--device", "--threads") else 1, "")
    assert result.err.startswith("lmscore: error: ")
    assert message in result.err
    assert result.err.count("\n") == 1


def test_a_backward_model_needs_a_text(run: Run, tmp_path: Path) -> None:
    path = make_model(tmp_path / "model", direction="backward", variants=["int8"]).path
    result = run("bench", "-m", path)
    assert result.status == 1
    assert "a backward model cannot make up text; name a file of text" in result.err


@pytest.mark.parametrize("argv", [["--seconds", "0"], ["--format", "text"], ["--threads", "0"]])
def test_usage_errors(run: Run, argv: list[str]) -> None:
    assert run("bench", *argv).status == 2


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c() -> None:
    program = start("bench", "--seconds", "60")
    with pytest.raises(Exception, match="timed out"):
        program.wait(1)  # by now it is measuring
    program.send_signal(signal.SIGINT)
    result = finish(program)
    assert (result.status, result.out, result.err) == (130, "", "")
