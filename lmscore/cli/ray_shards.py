"""`lmscore filter --engine ray`: shards that actors of Ray filter."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lmscore import errors
from lmscore.cli.filtering import Models, Settings, Tally
from lmscore.errors import LmscoreError

if TYPE_CHECKING:
    from lmscore.cli.shards import Shard
    from lmscore.corpus import Selection

_Filter = Callable[[list[str]], str]


def ray_results(
    models: Models,
    selection: Selection,
    shards: Sequence[Shard],
    *,
    actors: int | None,
    address: str | None,
) -> Iterator[Tally | None]:
    """The tally of each shard, in any order; None for one that another process writes.

    Actors run elsewhere, perhaps in another folder: all paths are made absolute, and must lead to
    the same files there.

    Raises:
        LmscoreError: what went wrong with a shard.
        MissingExtraError: Ray is not installed.
    """
    from lmscore.corpus.engines.ray_data import map_items

    given = models.settings
    model = replace(given.model, model=_absolute(models.lm.path), threads=given.model.threads or 1)
    selecting = given.selecting
    if models.general is not None:
        selecting = replace(selecting, against=_absolute(models.general.path))
    settings = replace(given, model=model, selecting=selecting)
    items = [[str(_absolute(Path(path))) for path in _paths(shard)] for shard in shards]
    make = partial(_make_filter, settings, selection)
    gpus = 1 if models.lm.device.startswith("cuda") else 0
    for text in map_items(make, items, actors=actors, address=address, gpus=gpus):
        yield _tally(json.loads(text))


def _paths(shard: Shard) -> list[str]:
    rejected = [] if shard.rejected is None else [str(shard.rejected)]
    return [shard.source, str(shard.target), *rejected]


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def _tally(found: dict[str, int | str] | None) -> Tally | None:
    if found is None:
        return None
    if "error" in found:
        kind = getattr(errors, str(found["kind"]), LmscoreError)
        raise kind(found["error"])
    return Tally(**{name: int(value) for name, value in found.items()})


def _make_filter(settings: Settings, selection: Selection) -> _Filter:
    """In an actor: a function that filters the shard of some paths; its tally as JSON."""
    from lmscore.cli.shards import Shard, filter_shard

    models = settings.load()

    def run(paths: list[str]) -> str:
        source, target, *rejected = map(str, paths)
        shard = Shard(source, Path(target), Path(rejected[0]) if rejected else None)
        try:
            tally = filter_shard(models, selection, shard)
        except LmscoreError as error:
            return json.dumps({"kind": type(error).__name__, "error": str(error)})
        return json.dumps(None if tally is None else vars(tally))

    return run
