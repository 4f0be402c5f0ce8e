"""The command as a whole: help, exit statuses, errors in one line."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import lmscore
from lmscore.__main__ import main as entry_point
from lmscore.cli import Settings
from lmscore.cli.app import VERBS, make_command
from lmscore.errors import MissingExtraError
from tests.cli.conftest import Run


def test_version(run: Run) -> None:
    result = run("--version")
    assert (result.status, result.out, result.err) == (0, f"lmscore {lmscore.__version__}\n", "")


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_lists_the_verbs(run: Run, option: str) -> None:
    result = run(option)
    assert result.status == 0
    groups = result.out.partition("Make a model:")[2].splitlines()
    verbs = [line.split()[0] for line in groups if line.startswith("  ")]
    assert verbs == list(VERBS)
    headings = re.findall(r"^(\w.*):$", result.out, re.MULTILINE)
    assert headings == ["Options", *dict.fromkeys(verb.group for verb in VERBS.values())]


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_has_help(run: Run, verb: str) -> None:
    result = run(verb, "--help")
    assert result.status == 0
    assert result.out.startswith(f"Usage: lmscore {verb} ")
    assert result.out.endswith(f"\nExample:\n  {VERBS[verb].example}\n")
    assert result.err == ""


def test_options_stand_in_groups(run: Run) -> None:
    page = run("score", "--help").out
    headings = re.findall(r"^(\w+(?: \w+)?):$", page, re.MULTILINE)
    assert headings == ["Arguments", "Options", "Input", "The model", "Output", "Example"]
    assert "--device" in page.partition("The model:")[2].partition("Output:")[0]


@pytest.mark.parametrize("name", list(VERBS))
def test_every_example_is_a_command_line(name: str) -> None:
    """It is parsed, with every check that comes before the verb runs."""
    program, verb, *words = shlex.split(VERBS[name].example.partition(" > ")[0])
    assert (program, verb) == ("lmscore", name)
    command: Any = make_command([verb])
    context = command.commands[verb].make_context(verb, words, obj=Settings())
    assert context.params or VERBS[name].verbs


def test_python_runs_the_package() -> None:
    argv = [sys.executable, "-m", "lmscore", "--version"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout == f"lmscore {lmscore.__version__}\n"


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["sing"],
        ["score", "--volume", "11"],
        ["score", "--format", "xml"],
        ["score", "--threads", "0"],
        ["score", "--threads", "many"],
        ["score", "--context", "page"],
        ["ppl", "--errors", "ignore"],
        ["export"],
        ["info", "a", "-m", "b"],
    ],
)
def test_usage_errors(run: Run, argv: list[str]) -> None:
    result = run(*argv)
    assert (result.status, result.out) == (2, "")
    assert "Usage: lmscore" in result.err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["score", "-m", "missing"], "missing: no such directory"),
        (["ppl", "-m", "missing"], "missing: no such directory"),
        (["info", "missing"], "missing: no such directory"),
        (["export", "missing"], "missing: no such directory"),
        (["score", "missing.txt"], "missing.txt: no such file"),
        (["score", "--variant", "fp16"], "no variant 'fp16' (there: fp32, int8)"),
        (["score", "--device", "gpu"], "device must be auto, cpu, cuda or cuda:N, not 'gpu'"),
    ],
)
def test_errors_are_one_line(
    run: Run, argv: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*argv)
    assert (result.status, result.out) == (2 if "--device" in argv else 1, "")
    assert result.err.startswith("lmscore: error: ")
    assert message in result.err
    assert result.err.count("\n") == 1


def test_debug_shows_the_traceback(run: Run) -> None:
    result = run("--debug", "score", "-m", "missing")
    assert result.status == 1
    assert "Traceback (most recent call last)" in result.err
    assert result.err.splitlines()[-1] == "lmscore: error: missing: no such directory"


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (MemoryError(), 1, "lmscore: error: out of memory\n"),
        (MemoryError("of 8 GiB"), 1, "lmscore: error: out of memory: of 8 GiB\n"),
        (OSError(5, "Input/output error", "x"), 1, "lmscore: error: x: Input/output error\n"),
        (OSError(24, "Too many open files"), 1, "lmscore: error: Too many open files\n"),
        (lmscore.LmscoreError("two\nlines"), 1, "lmscore: error: two lines\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_may_come_up(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    status: int,
    message: str,
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("lmscore.load", fail)
    result = run("score", stdin="text\n")
    assert (result.status, result.out, result.err) == (status, "", message)


def test_a_bug_is_no_error_message(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmscore.load", lambda *arguments, **options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("score", stdin="text\n")


def test_closed_standard_output(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    result = run("score", stdin="text\n")
    assert (result.status, result.err) == (1, "lmscore: error: standard output: is closed\n")


def test_ctrl_c_during_the_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "lmscore.cli", Interrupted("lmscore.cli"))
    assert entry_point() == 130


def test_ctrl_c_while_a_module_in_c_is_imported(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime makes an ImportError of it, of which lmscore makes one of its own."""

    def fail(*arguments: object, **options: object) -> None:
        try:
            raise ImportError("initialization failed") from KeyboardInterrupt()
        except ImportError as error:
            raise MissingExtraError("ONNX Runtime cannot be imported") from error

    monkeypatch.setattr("lmscore.load", fail)
    result = run("score", stdin="text\n")
    assert (result.status, result.out, result.err) == (130, "", "")


def test_an_import_that_fails_is_a_bug(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise ImportError("no such name")

    monkeypatch.setattr("lmscore.load", fail)
    with pytest.raises(ImportError, match="no such name"):
        run("score", stdin="text\n")
