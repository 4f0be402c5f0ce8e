"""Processes that filter shards, each with models of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Self

from lmscore.cli.filtering import Settings, Tally
from lmscore.errors import DeviceError, LmscoreError

if TYPE_CHECKING:
    from lmscore.cli.shards import Shard
    from lmscore.corpus import Selection


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    shard: Shard | None = None  # that it is working on


class Workers:
    """Processes that are given shards; a context manager, which ends them.

    They share nothing but the files. One whose parent has been killed ends after its shard.
    """

    def __init__(self, count: int, settings: Settings, selection: Selection) -> None:
        context = multiprocessing.get_context("spawn")
        threads = settings.model.threads or max(1, (os.cpu_count() or 1) // count)
        settings = replace(settings, model=replace(settings.model, threads=threads))
        self._workers: list[_Worker] = []
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, settings, selection), daemon=True)
            process.start()
            theirs.close()
            self._workers.append(_Worker(process, ours))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """End the processes: at once if something went wrong, for then they may be at work."""
        for worker in self._workers:
            worker.pipe.close()
            if exception[0] is not None:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join()

    def results(self, shards: Sequence[Shard]) -> Iterator[Tally | None]:
        """Give out shards, and yield the tally of each as it is done; None if it was busy.

        Raises:
            LmscoreError: what went wrong with a shard.
            DeviceError: a process was killed.
        """
        waiting = deque(shards)
        for worker in self._workers:
            self._give(worker, waiting)
        while busy := {worker.pipe: worker for worker in self._workers if worker.shard}:
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                yield self._result(worker)
                self._give(worker, waiting)

    def _give(self, worker: _Worker, waiting: deque[Shard]) -> None:
        worker.shard = waiting.popleft() if waiting else None
        if worker.shard is not None:
            with suppress(ConnectionError):  # it has died, which its result will show
                worker.pipe.send(worker.shard)

    def _result(self, worker: _Worker) -> Tally | None:
        try:
            found = worker.pipe.recv()
        except (EOFError, ConnectionError):
            name = worker.shard.target if worker.shard else ""
            raise DeviceError(
                f"{name}: the process that was writing it has died; go on by --resume, with fewer "
                "jobs if memory is short"
            ) from None
        if isinstance(found, Exception):
            raise found
        tally: Tally | None = found
        return tally


def _work(pipe: Connection, settings: Settings, selection: Selection) -> None:
    """Filter the shards that come through a pipe, until it is closed."""
    from lmscore.cli.shards import filter_shard

    signal.signal(signal.SIGTERM, _interrupt)
    try:
        models = settings.load()
        while True:
            shard = pipe.recv()
            try:
                found: object = filter_shard(models, selection, shard)
            except (LmscoreError, MemoryError) as error:
                found = error
            pipe.send(found)
    except (EOFError, ConnectionError, KeyboardInterrupt):  # the parent has said why
        return


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
