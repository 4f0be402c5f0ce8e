"""The command line, called in this process or in one of its own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lmscore.cli import main

PROGRAM = [sys.executable, "-c", "from lmscore.cli import main; raise SystemExit(main())"]


@dataclass(frozen=True)
class Result:
    """How a command line ended."""

    status: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        """Standard output as lines of tab-separated columns."""
        return [line.split("\t") for line in self.out.split("\n")[:-1]]

    @property
    def objects(self) -> list[Any]:
        """Standard output as JSON Lines."""
        return [json.loads(line) for line in self.out.split("\n")[:-1]]


Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def _default_model(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMSCORE_MODEL", str(model_path))


@pytest.fixture
def run(capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call `main` with arguments and standard input."""

    def run(*argv: str | Path, stdin: str | bytes = b"") -> Result:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        status = main(list(map(str, argv)))
        out, err = capsysbinary.readouterr()
        return Result(status, out.decode(), err.decode())

    return run


def start(*argv: str | Path, **options: Any) -> subprocess.Popen[bytes]:
    """Start the program with pipes, unless `options` say otherwise."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = {**os.environ, **options.pop("env", {})}
    # Unbuffered, so that `communicate` finds all that was not read before.
    return subprocess.Popen([*PROGRAM, *argv], bufsize=0, env=environment, **{**pipes, **options})


def finish(program: subprocess.Popen[bytes], stdin: bytes | None = None) -> Result:
    """Wait for the end of a program."""
    out, err = program.communicate(stdin, timeout=600)
    return Result(program.returncode, (out or b"").decode(), (err or b"").decode())
