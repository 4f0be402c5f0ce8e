"""Ray Data: shards of a corpus that actors filter, on one machine or many (extra `ray`).

Rows of a dataset of your own are scored by `ray.data.Dataset.map_batches` with
`lmscore.corpus.TextScorer`, which needs nothing from here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lmscore.errors import needs_extra

_SHARE = 0.5  # of a CPU, for an actor: were each given a whole one, none would be left to read


class _Actor:
    """Applies a function, made where the actor lives, to one item at a time."""

    def __init__(self, make: Callable[[], Callable[[Any], Any]]) -> None:
        self._function = make()

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        return {"result": [self._function(item) for item in batch["item"]]}


def map_items(
    make: Callable[[], Callable[[Any], Any]],
    items: Sequence[Any],
    *,
    actors: int | None = None,
    address: str | None = None,
    gpus: float = 0,
) -> Iterator[Any]:
    """Apply a function to items, one at a time, in actors; the results come in any order.

    Ray starts an actor that dies again, and gives its item to another: the function must do nothing
    twice if it is called twice.

    Args:
        make: called in each actor, makes the function. It travels to the actors by pickle.
        items: of simple types.
        actors: how many there are. Default: one for each CPU of the cluster.
        address: of a cluster that runs. Default: Ray is started on this machine.
        gpus: the share of a GPU that each actor needs.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    with needs_extra("ray"):
        import ray
        import ray.data  # sets the level of its logger, which is set again below
    if not ray.is_initialized():
        # Ray starts on this machine without an address, and joins a cluster with one.
        alone = {} if address else {"include_dashboard": False}
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **alone)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    count = min(len(items), actors or int(ray.cluster_resources()["CPU"]))

    rows = [{"item": item} for item in items]
    results = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        _Actor,
        fn_constructor_args=(make,),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=count),
        num_cpus=_SHARE,
        num_gpus=gpus,
    )
    for row in results.iter_rows():
        yield row["result"]
