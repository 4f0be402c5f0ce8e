"""Models elsewhere, whichever kind they are: found again, fetched, listed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lmscore.hub.archives import Progress, fetch_archive, kept_archive, kept_archives
from lmscore.hub.references import HubModel, Reference, parse_reference
from lmscore.hub.repositories import fetch_snapshot, kept_snapshot, kept_snapshots


@dataclass(frozen=True)
class Stored:
    """A model that was fetched: the name that finds it again, and its directory."""

    name: str
    path: Path


def located(name: str | os.PathLike[str]) -> Path:
    """The directory of a model: the path itself, or what was fetched, or is fetched now.

    A model that was fetched is taken as it is here: `fetch` asks for a newer one.
    """
    reference = None if os.path.exists(name) else parse_reference(name)  # noqa: PTH110  # never raises
    if reference is None:
        return Path(name)
    here = kept_snapshot(reference) if isinstance(reference, HubModel) else kept_archive(reference)
    return fetch(reference) if here is None else here


def fetch(reference: Reference, progress: Progress = lambda *_: None) -> Path:
    """Fetch the newest state of a model; errors as in `fetch_snapshot` and `fetch_archive`."""
    if isinstance(reference, HubModel):
        return fetch_snapshot(reference)
    return fetch_archive(reference, progress)


def kept() -> Iterator[Stored]:
    """Every model that was fetched."""
    for model, path in kept_snapshots():
        yield Stored(str(model), path)
    for url, path in kept_archives():
        yield Stored(url, path)
