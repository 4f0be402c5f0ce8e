"""One writer at a time, and locks that go with their process."""

from __future__ import annotations

import os
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


def test_a_file_that_was_removed_before_it_was_locked(tmp_path: Path) -> None:
    """Whoever wrote to it would write to no file at all."""
    path = tmp_path / "file"
    with path.open("ab") as file:
        path.unlink()
        with pytest.raises(OutputFileError, match="folder: another run that wrote it has just end"):
            lock_file(file.fileno(), path, of="folder")


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="a system without /proc/locks")
def test_a_holder_in_another_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.touch()
    status = path.stat()
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    lines = f"1: FLOCK ADVISORY WRITE 0 {place} 0 EOF\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: lines)
    with held(path), path.open("ab") as file, pytest.raises(OutputFileError, match="another proc"):
        lock_file(file.fileno(), path)
