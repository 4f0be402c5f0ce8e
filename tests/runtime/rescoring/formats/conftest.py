"""Lists from bytes, and bytes from lists."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lmscore.runtime.rescoring.formats import read, render
from lmscore.runtime.rescoring.lists.nbest import NBestList

Lists = list[NBestList]
Read = Callable[..., Lists]
Change = Callable[[NBestList], NBestList]
Rewrite = Callable[..., str]


@pytest.fixture
def read_text(tmp_path: Path) -> Read:
    """Read the lists of a file with this text."""

    def read_text(
        text: str | bytes,
        input_format: str | None = None,
        *,
        name: str = "list",
        **options: Any,
    ) -> Lists:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        _, lists = read([path], input_format, **options)
        return list(lists)

    return read_text


@pytest.fixture
def rewrite(tmp_path: Path) -> Rewrite:
    """Read a file with this text, change every list, and give the new text."""

    def rewrite(
        text: str,
        change: Change = lambda nbest: nbest,
        *,
        name: str = "list",
        **options: Any,
    ) -> str:
        path = tmp_path / name
        path.write_bytes(text.encode())
        list_format, lists = read([path], **options)
        return "".join(render(list_format, map(change, lists)))

    return rewrite


def add(name: str, *values: float) -> Change:
    """A change: one more feature."""
    return lambda nbest: nbest.with_feature(name, values[: len(nbest.hypotheses)])


def order(*positions: int) -> Change:
    """A change: these hypotheses, in this order."""
    return lambda nbest: nbest.reordered(positions)


def contents(nbest: NBestList) -> list[tuple[str, dict[str, float]]]:
    """Texts and features."""
    return [(h.text, dict(h.features)) for h in nbest.hypotheses]
