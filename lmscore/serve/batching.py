"""Work of several requests in shared runs: what is to be done, and one thread that does it.

An idle thread starts at once. What arrives during a run forms the next one, whoever it comes from;
the next one is put off a little for the clients that the last one answered. Requests that wait take
turns, so a long one delays the others by a run, not by its length.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from lmscore.runtime.model import LanguageModel
from lmscore.serve.arrivals import Arrivals
from lmscore.serve.continuous import Completion, Decoder

_PATIENCE = 0.01  # seconds: of few clients, all have asked again by then
_RUNS = 8  # of the graph in one batch: longer ones are hardly quicker, and let others wait

_log = logging.getLogger("lmscore")


def patience(seconds: float) -> float:
    """The seconds that a run is put off at most, where the one before it took `seconds`.

    A request that meets a run which has begun waits for half of it on average: no longer than that.
    """
    return min(_PATIENCE, seconds / 2)


class Kind(Hashable, Protocol):
    """A way to get a result for each of several items; requests of equal kinds share runs."""

    def run(self, lm: LanguageModel, items: Sequence[Any]) -> Sequence[Any]:
        """The results, one for each item, none of which depends on the others."""


class ItemError(Exception):
    """An item of a request that the model refused."""

    def __init__(self, number: int, reason: Exception) -> None:
        """`number` counts the items of the request, from 0."""
        super().__init__(number, reason)
        self.number, self.reason = number, reason
        self.__cause__ = reason  # so that a log shows where it comes from


@dataclass(eq=False)
class Waiting:
    """A request whose items wait for their runs."""

    kind: Kind
    items: Sequence[Any]
    sizes: Sequence[int]  # tokens of each item, about
    future: asyncio.Future[list[Any]]
    results: list[Any] = field(default_factory=list)
    error: ItemError | None = None
    tokens: int = field(init=False)  # of all items

    def __post_init__(self) -> None:
        self.tokens = sum(self.sizes)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be done, or nobody wants it any more."""
        failed = self.error is not None or self.future.cancelled()
        return failed or len(self.results) == len(self.items)

    def next_items(self, budget: int) -> Sequence[Any]:
        """The next items, as many as fit into `budget` tokens, but one at least."""
        first = last = len(self.results)
        while last < len(self.items) and (last == first or budget >= self.sizes[last]):
            budget -= self.sizes[last]
            last += 1
        return self.items[first:last]


@dataclass(eq=False)
class Completing:
    """A request for completions of several prompts."""

    completions: Sequence[Completion]
    future: asyncio.Future[None]


class Batcher:
    """The thread that runs a model for all requests.

    Attributes:
        lm: the model.
        unfinished: the requests that were submitted and are not finished.
    """

    def __init__(self, lm: LanguageModel, *, budget: int | None = None) -> None:
        """Start the thread; call `stop` to end it. `budget` is the tokens of one batch.

        A request that comes after `stop` starts it again, until the request is done.
        """
        self.lm = lm
        self.unfinished = 0
        self._budget = budget or _RUNS * lm.engine.token_budget
        self._arrivals: Arrivals[Waiting | Completing | None] = Arrivals()
        self._waiting: deque[Waiting] = deque()
        self._completing: list[Completing] = []
        self._decoder = Decoder(lm, budget=self._budget)
        self._stopping = False
        self._lock = threading.Lock()
        self._thread = self._start()

    async def run(self, kind: Kind, items: Sequence[Any], sizes: Sequence[int]) -> list[Any]:
        """The results of a kind's `run`, one for each item.

        Args:
            kind: equal kinds share runs.
            items: one or more.
            sizes: about the tokens of each item.

        Raises:
            ItemError: an item was refused.
        """
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        found: list[Any] = await self._submitted(Waiting(kind, items, sizes, future))
        return found

    async def complete(self, completions: Sequence[Completion]) -> None:
        """Read prompts and continue them; the results are in the completions."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            await self._submitted(Completing(completions, future))
        finally:  # also where the client went away
            for completion in completions:
                completion.is_wanted = False

    def stop(self) -> None:
        """Finish what was submitted, then end the thread."""
        self._put(None)

    def join(self) -> None:
        """Wait for the end of the thread."""
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> threading.Thread | None:
        thread = threading.Thread(target=self._work, name="lmscore-model", daemon=True)
        thread.start()
        return thread

    def _put(self, request: Waiting | Completing | None) -> None:
        with self._lock:
            self._arrivals.put(request, urgent=not isinstance(request, Waiting))
            if self._thread is None:
                self._thread = self._start()

    async def _submitted(self, request: Waiting | Completing) -> Any:
        self.unfinished += 1
        self._put(request)
        try:
            return await request.future
        finally:
            self.unfinished -= 1

    def _work(self) -> None:
        while self._receive():
            outcomes: list[tuple[asyncio.Future[Any], Any]] = []
            start = time.monotonic()
            try:
                self._run_batch(outcomes)
                self._run_decoder(outcomes)
            except BaseException:  # a mistake of ours: nobody may wait for ever
                _log.exception("the model's thread failed")
                self._fail_all(outcomes)
            self._accept(self._arrivals.take())
            _settle(outcomes)
            self._gather(len(outcomes), time.monotonic() - start)

    def _receive(self) -> bool:
        """Take what has arrived; wait if there is nothing else to do. False: the end."""
        idle = not self._waiting and not self._completing
        arrived = self._arrivals.take(1 if idle and not self._stopping else 0)
        self._accept(arrived)
        return bool(arrived) or not idle or self._go_on()

    def _accept(self, arrived: Sequence[Waiting | Completing | None]) -> None:
        for request in arrived:
            if request is None:
                self._stopping = True
            elif isinstance(request, Waiting):
                self._waiting.append(request)
            else:
                self._completing.append(request)
                self._decoder.add(request.completions)

    def _gather(self, answered: int, seconds: float) -> None:
        """Give the clients that a run answered the time to ask again, so that the next one is full.

        The first of them that came back would have a run of its own, and every text in a small run
        costs more of the processors' time.
        """
        left = self._budget - sum(one.tokens for one in self._waiting)
        if left > 0 and not self._completing and not self._stopping:
            until = time.monotonic() + patience(seconds)
            self._accept(self._arrivals.take(answered, until=until))

    def _go_on(self) -> bool:
        """Whether something came while the thread was about to end."""
        with self._lock:
            if not self._arrivals:
                self._thread = None
                return False
            return True

    def _run_batch(self, outcomes: list[tuple[asyncio.Future[Any], Any]]) -> None:
        """Run items of the request that has waited longest, and of those of its kind."""
        self._waiting = deque(one for one in self._waiting if not one.is_over)
        if not self._waiting:
            return
        kind, left = self._waiting[0].kind, self._budget
        parts: list[tuple[Waiting, Sequence[Any]]] = []
        share = max(1, left // sum(one.kind == kind for one in self._waiting))
        for request in self._waiting:
            if request.kind == kind and left > 0:
                items = request.next_items(share)
                first = len(request.results)
                left -= sum(request.sizes[first : first + len(items)])
                parts.append((request, items))
        self._run_parts(kind, parts, outcomes)
        done = {id(request) for request, _ in parts}
        later = [one for one in self._waiting if id(one) in done and not one.is_over]
        self._waiting = deque(one for one in self._waiting if id(one) not in done)
        self._waiting.extend(later)

    def _run_parts(
        self,
        kind: Kind,
        parts: Sequence[tuple[Waiting, Sequence[Any]]],
        outcomes: list[tuple[asyncio.Future[Any], Any]],
    ) -> None:
        try:
            found = iter(kind.run(self.lm, [item for _, items in parts for item in items]))
        except Exception:
            # One of the items is at fault; the others must not hear of it.
            for request, items in parts:
                self._run_apart(request, items)
        else:
            for request, items in parts:
                request.results += [next(found) for _ in items]
        for request, _ in parts:
            if request.is_over:
                outcomes.append((request.future, request.error or request.results))

    def _run_apart(self, request: Waiting, items: Sequence[Any]) -> None:
        """Run items one by one, up to one that is refused."""
        for item in items:
            try:
                request.results += request.kind.run(self.lm, [item])
            except Exception as error:
                request.error = ItemError(len(request.results), error)
                return

    def _run_decoder(self, outcomes: list[tuple[asyncio.Future[Any], Any]]) -> None:
        if not self._completing:
            return
        self._decoder.step()
        going_on = []
        for request in self._completing:
            errors = [c.error for c in request.completions if c.error is not None]
            if request.future.cancelled():
                continue
            if errors:
                outcomes.append((request.future, errors[0]))
            elif all(completion.is_finished for completion in request.completions):
                outcomes.append((request.future, None))
            else:
                going_on.append(request)
        self._completing = going_on

    def _fail_all(self, outcomes: list[tuple[asyncio.Future[Any], Any]]) -> None:
        error = RuntimeError("the model's thread failed; see the log")
        outcomes += [(one.future, error) for one in self._waiting]
        outcomes += [(one.future, error) for one in self._completing]
        self._waiting.clear()
        self._completing = []
        self._decoder = Decoder(self.lm, budget=self._budget)


def _settle(outcomes: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
    """Hand results and errors to the loops that wait for them, in one call for each loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for future, outcome in outcomes:
        by_loop.setdefault(future.get_loop(), []).append((future, outcome))
    for loop, some in by_loop.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_set, some)


def _set(outcomes: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, outcome in outcomes:
        if future.done():
            continue
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
