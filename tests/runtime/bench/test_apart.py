"""Functions called in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lmscore.errors import DeviceError, InputFileError, ModelError
from lmscore.runtime.bench import apart as module
from lmscore.runtime.bench.apart import apart, peak_memory

MEGABYTE = 1 << 20


def add(a: int, b: int) -> tuple[int, int]:
    return a + b, os.getpid()


def fail(kind: type[Exception]) -> None:
    raise kind("no such luck")


def end(code: int) -> None:
    os._exit(code)


def view(data: bytes) -> memoryview:
    return memoryview(data)


def peak_after(megabytes: int) -> int | None:
    np.ones(megabytes * MEGABYTE, np.uint8)
    return peak_memory()


def test_results_come_from_other_processes() -> None:
    results = apart(add, 2, 3, count=2)
    assert [total for total, _ in results] == [5, 5]
    assert len({os.getpid(), *(process for _, process in results)}) == 3


@pytest.mark.parametrize("kind", [ModelError, InputFileError, MemoryError, ZeroDivisionError])
def test_errors_come_back(kind: type[Exception]) -> None:
    with pytest.raises(kind, match="no such luck"):
        apart(fail, kind)


def test_a_process_that_ends_too_early() -> None:
    with pytest.raises(DeviceError, match=r"ended too early \(exit code 7\); is there enough mem"):
        apart(end, 7)


def test_a_result_that_cannot_be_pickled_is_an_error() -> None:
    with pytest.raises(Exception, match="pickle"):
        apart(view, b"bytes")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_most_memory_of_a_process_is_its_own() -> None:
    ours = np.ones(400 * MEGABYTE, np.uint8)  # which the child is not to count
    before, after = (apart(peak_after, megabytes)[0] for megabytes in (0, 100))
    assert before is not None
    assert after is not None
    assert before < ours.nbytes / 2
    assert 90 * MEGABYTE < after - before < 120 * MEGABYTE
    here = peak_memory()
    assert here is not None
    assert here > ours.nbytes


@pytest.mark.skipif(sys.platform == "win32", reason="no resource module")
def test_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> str:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_text", refuse)
    assert module.peak_memory() is not None


HELD_BACK = """
import signal
from lmscore.runtime.bench.apart import apart
masks = apart(signal.pthread_sigmask, signal.SIG_BLOCK, [], count=2)
print([signal.SIGINT in mask for mask in masks])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no masks of signals")
def test_ctrl_c_is_held_back_from_the_first_process_too() -> None:
    command = [sys.executable, "-c", HELD_BACK]
    assert subprocess.check_output(command, text=True) == "[True, True]\n"


SLEEPER = """
import os, sys, time
from lmscore.runtime.bench.apart import apart
print(os.getpid(), flush=True)
apart(time.sleep, 60, count=2)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ctrl_c_ends_the_others_too_without_a_word() -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", SLEEPER], stdout=-1, stderr=-1, text=True, start_new_session=True
    )
    assert program.stdout
    group = int(program.stdout.readline())
    while len(_members(group)) < 3:
        time.sleep(0.01)
    os.killpg(group, signal.SIGINT)  # to all of them, as a terminal does
    _, err = program.communicate(timeout=30)
    assert err.count("Traceback") == 1  # the parent's own, which the command line turns into 130
    assert err.rstrip().endswith("KeyboardInterrupt")
    while _members(group):  # multiprocessing's own helper ends when it finds itself alone
        time.sleep(0.01)


def _members(group: int) -> list[str]:
    """The living processes of a group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, process_group = path.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(process_group) == group and state != "Z":
            found.append(path.parent.name)
    return found
