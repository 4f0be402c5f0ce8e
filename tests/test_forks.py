"""Values that are computed once, and locks that a fork frees."""

from __future__ import annotations

import importlib
import os
import re
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import lmscore
from lmscore.errors import DeviceError
from lmscore.forks import check_process, fork_safe_lock, lazy, undivided


class Circle:
    """Counts how often its area is computed."""

    count = 0

    @lazy
    def area(self) -> int:
        """The area."""
        self.count += 1
        return 3


def test_a_lazy_value_is_computed_once() -> None:
    one, other = Circle(), Circle()
    assert [one.area, one.area, other.area] == [3, 3, 3]
    assert (one.count, other.count) == (1, 1)
    assert Circle.area.__doc__ == "The area."


def test_an_error_is_not_kept() -> None:
    class Fails:
        def __init__(self) -> None:
            self.tries = 0

        @lazy
        def value(self) -> int:
            self.tries += 1
            if self.tries == 1:
                raise ValueError("not yet")
            return self.tries

    fails: Any = Fails()
    with pytest.raises(ValueError, match="not yet"):
        assert fails.value
    assert fails.value == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_frees_locks() -> None:
    lock = fork_safe_lock()
    with lock:
        child = os.fork()
        if not child:
            os._exit(0 if lock.acquire(timeout=5) else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert lock.locked()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_waits_for_what_is_undivided() -> None:
    begun, done = threading.Event(), []

    def work() -> None:
        with undivided():
            begun.set()
            time.sleep(0.2)
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    child = os.fork()
    if not child:
        with undivided():
            os._exit(0 if done else 1)
    assert os.waitpid(child, 0)[1] == 0
    thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_waits_for_an_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(0.2)\ndone = True\n")
    monkeypatch.setattr(lmscore, "__path__", [*lmscore.__path__, str(tmp_path)])
    thread = threading.Thread(target=importlib.import_module, args=["lmscore.slow"])
    thread.start()
    while "lmscore.slow" not in sys.modules:
        time.sleep(0.001)
    child = os.fork()
    if not child:
        os._exit(0 if importlib.import_module("lmscore.slow").done else 1)
    assert os.waitpid(child, 0)[1] == 0
    thread.join()
    del sys.modules["lmscore.slow"]


def test_work_of_another_process() -> None:
    check_process(os.getpid(), "this work")
    with pytest.raises(DeviceError, match=r"^this work was begun before a fork"):
        check_process(os.getpid() + 1, "this work")


def test_nothing_holds_a_lock_while_it_computes() -> None:
    """Python 3.11 has one in each cached_property; a thread may hold it when another forks."""
    for path in Path(lmscore.__file__).parent.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s*@(functools\.)?cached_property", source, re.MULTILINE), path
