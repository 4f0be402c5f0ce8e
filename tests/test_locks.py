"""One writer at a time, and locks that go with their process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lmscore.errors import OutputFileError
from lmscore.locks import lock_file, take_lock

HOLD = """
import sys
from lmscore.locks import take_lock
file = open(sys.argv[1], "ab")
assert take_lock(file.fileno())
print(flush=True)
sys.stdin.read()
"""


@contextmanager
def held(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the lock of a file."""
    command = [sys.executable, "-c", HOLD, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdout
        process.stdout.readline()
        yield process
        process.kill()


def test_the_holder_is_named_and_its_lock_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with held(path) as process, path.open("ab") as file:
        assert take_lock(file.fileno()) is False
        with pytest.raises(OutputFileError) as caught:
            lock_file(file.fileno(), path)
        assert str(caught.value) == (
            f"{path}: process {process.pid} is writing it; wait for its end, or name another output"
        )
    with path.open("ab") as file:
        lock_file(file.fileno(), path)


def test_where_there_are_no_locks_work_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with (tmp_path / "file").open("ab") as file:
        assert take_lock(file.fileno()) is None
        lock_file(file.fileno(), tmp_path / "file")


def test_a_system_that_does_not_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    monkeypatch.setattr("os.major", lambda _: 0xFFFF)
    with held(path), path.open("ab") as file, pytest.raises(OutputFileError, match="another proc"):
        lock_file(file.fileno(), path)
