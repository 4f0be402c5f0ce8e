"""Cores that may be used: by affinity, by topology, by a limit on CPU time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lmscore.runtime.engine import cores


def topology(folder: Path, siblings: list[str]) -> Path:
    for cpu, text in enumerate(siblings):
        path = folder / f"cpu{cpu}" / "topology"
        path.mkdir(parents=True)
        (path / "thread_siblings_list").write_text(text + "\n")
    return folder


def test_two_threads_of_a_core_count_once(tmp_path: Path) -> None:
    tree = topology(tmp_path, ["0,2", "1,3", "0,2", "1,3"])
    assert cores.physical_cores({0, 1, 2, 3}, tree=tree) == 2
    assert cores.physical_cores({1, 3}, tree=tree) == 1
    assert cores.physical_cores({0, 3}, tree=tree) == 2


def test_without_a_topology_every_cpu_is_a_core(tmp_path: Path) -> None:
    assert cores.physical_cores({0, 1, 5}, tree=tmp_path) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("max 100000", None),
        ("", None),
        ("1 0", None),
    ],
)
def test_a_limit_on_cpu_time_counts_in_whole_cores(
    tmp_path: Path, text: str, expected: int | None
) -> None:
    (tmp_path / "cpu.max").write_text(text + "\n")
    assert cores.quota_cores(group=tmp_path) == expected


def test_no_limit_without_a_group(tmp_path: Path) -> None:
    assert cores.quota_cores(group=tmp_path) is None


@pytest.mark.parametrize(("quota", "expected"), [(None, 3), (2, 2), (8, 3)])
def test_the_least_of_all_limits_holds(
    monkeypatch: pytest.MonkeyPatch, quota: int | None, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    monkeypatch.setattr(cores, "physical_cores", len)
    monkeypatch.setattr(cores, "quota_cores", lambda: quota)
    assert cores.usable_cores() == expected


@pytest.mark.parametrize(("cpus", "expected"), [(6, 6), (None, 1)])
def test_without_affinity_all_cpus_count(
    monkeypatch: pytest.MonkeyPatch, cpus: int | None, expected: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: cpus)
    monkeypatch.setattr(cores, "quota_cores", lambda: None)
    assert cores.usable_cores() == expected
