"""A server of the Hub's protocol, and caches of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.server import FakeHub, serving


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("LMSCORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", "token")
    with serving() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def files_of(path: Path) -> dict[str, bytes]:
    """What a repository of a model holds."""
    every = (each for each in path.rglob("*") if each.is_file())
    return {each.relative_to(path).as_posix(): each.read_bytes() for each in every}
