"""The number of cores that this process may keep busy."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

_CPUS = Path("/sys/devices/system/cpu")
_CGROUP = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Count the physical cores that the process may use, within its limit on CPU time.

    `taskset` and job schedulers set an affinity, `docker --cpus` a limit (cgroup v2). Two threads
    of one core share its arithmetic: they count once.
    """
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    cores = (os.cpu_count() or 1) if allowed is None else physical_cores(allowed)
    return max(1, min(cores, quota_cores() or cores))


def physical_cores(cpus: Collection[int], *, tree: Path = _CPUS) -> int:
    """Count the cores of some logical CPUs; the CPUs where the system does not tell."""
    try:
        siblings = {(tree / f"cpu{n}/topology/thread_siblings_list").read_text() for n in cpus}
    except OSError:
        return len(cpus)
    return len(siblings)


def quota_cores(*, group: Path = _CGROUP) -> int | None:
    """The cores' worth of CPU time that the process group gets, rounded up; None: no limit."""
    try:
        quota, period = (group / "cpu.max").read_text().split()
        return -(-int(quota) // int(period))
    except (OSError, ValueError, ZeroDivisionError):  # no such limit: "max 100000"
        return None
