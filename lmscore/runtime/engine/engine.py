"""Engine: the interface to a loaded graph, whose inputs and outputs only this package names.

Letters in shapes: B batch, T time (tokens), K targets per position, S rows of the incoming state,
V vocabulary.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lmscore.bundle import Bundle, Config
from lmscore.errors import DeviceError, InputError, ModelError, OptionError, VariantError
from lmscore.runtime.arguments import as_integers
from lmscore.runtime.engine.budget import token_budget, window_scale
from lmscore.runtime.engine.graph import Graph
from lmscore.runtime.engine.sessions import CPU_DEVICE, Placement, open_session, thread_count
from lmscore.runtime.engine.state import State, Tensor
from lmscore.runtime.engine.workers import Workers
from lmscore.runtime.text import Ids

_log = logging.getLogger("lmscore")

Observer = Callable[[int, int], object]
"""A function that gets B and T of each run, in the thread that ran it."""


class Step(NamedTuple):
    """The distribution of the next token after each of B hypotheses, and their state."""

    log_probs: Tensor  # float32 [B, V], nats
    state: State  # B rows


class Top(NamedTuple):
    """The k likeliest next tokens after each of B hypotheses, best first, and their state."""

    log_probs: Tensor  # float32 [B, k], nats
    tokens: Ids  # int64 [B, k]; of equally likely tokens the lower id comes first
    state: State  # B rows

    @classmethod
    def of(cls, step: Step, k: int) -> Top:
        """Choose the k likeliest tokens of a step outside the graph."""
        tokens = np.argsort(-step.log_probs, axis=1, kind="stable")[:, :k]
        return cls(np.take_along_axis(step.log_probs, tokens, axis=1), tokens, step.state)


class Distributions(NamedTuple):
    """All outputs of one run, at every position."""

    log_probs: Tensor  # float32 [B, T, V], nats
    target_log_probs: Tensor  # float32 [B, T, K], nats
    top_log_probs: Tensor  # float32 [B, T, k], nats
    top_tokens: Ids  # int64 [B, T, k]
    state: State  # B rows


class Ranked(NamedTuple):
    """Log-probabilities of targets, and the k likeliest tokens at their places, best first."""

    target_log_probs: Tensor  # float32 [B, T, K], nats
    top_log_probs: Tensor  # float32 [B, T, k], nats
    top_tokens: Ids  # int64 [B, T, k]
    state: State  # B rows


class Measured(NamedTuple):
    """Log-probabilities of targets, and measures of the distributions that they come from."""

    target_log_probs: Tensor  # float32 [B, T, K], nats
    entropies: Tensor  # float32 [B, T], nats
    target_ranks: Ids  # int64 [B, T, K]: 1 and the number of likelier tokens
    top_log_probs: Tensor  # float32 [B, T, k], nats
    top_tokens: Ids  # int64 [B, T, k]
    state: State  # B rows
    log_probs: Tensor | None = None  # float32 [B, T, V], nats, if they were asked for

    @classmethod
    def of(cls, found: Distributions) -> Measured:
        """Measure whole distributions outside the graph."""
        log_probs, of_targets = found.log_probs, found.target_log_probs
        ranks = np.empty(of_targets.shape, np.int64)
        for target in range(of_targets.shape[2]):
            likelier = log_probs > of_targets[:, :, target, None]
            ranks[:, :, target] = 1 + np.count_nonzero(likelier, axis=2)
        products = np.exp(log_probs)
        products *= log_probs
        entropies = -products.sum(axis=2)
        best = (found.top_log_probs, found.top_tokens)
        return cls(of_targets, entropies, ranks, *best, found.state, log_probs)


class Engine:
    """Run a loaded graph on arrays and states; threads may share an engine.

    Arguments are checked: arrays of ids are int64 in 0..V-1, `lengths` int32 [B] in 1..T,
    `parents` int64 [B] the row of the incoming state that each batch row continues. By default
    `lengths` are T, and row b continues row b (then S must be B). No method changes a state.
    After a fork, a graph on the CPU is opened again in the new process.

    Attributes:
        config: the model's config.json.
        variant: the graph in use: "int8", "fp32", ...
        device: where it runs: "cpu", "cuda:0".
        unnormalized: whether targets are scored without the softmax.

    Every method that runs the graph raises:
        InputError: an argument has the wrong shape, type or range.
        ModelError: the model yields nan or inf (`step`, `top`, `read`), or ONNX Runtime fails.
        DeviceError: ONNX Runtime fails on a device, or the graph is on one and the process was
            forked.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        unnormalized: bool = False,
        workers: Workers[Engine] | None = None,
        reopen: Callable[[], Engine] | None = None,
        observers: list[Observer] | None = None,
    ) -> None:
        """Take a graph; `Engine.load` opens one.

        `workers` score batches side by side; `reopen` makes this engine anew in a forked process;
        `observers` is a list to share with another engine.
        """
        self.config: Config = graph.config
        self.variant, self.device, self.unnormalized = graph.variant, graph.device, unnormalized
        self._graph, self._workers, self._reopen = graph, workers, reopen
        self._observers: list[Observer] = [] if observers is None else observers
        self._process = os.getpid()
        self._state_outputs = [tensor.next for tensor in graph.config.state]

    @classmethod
    def load(
        cls,
        bundle: Bundle,
        variant: str,
        *,
        unnormalized: bool = False,
        **placement: Unpack[Placement],
    ) -> Engine:
        """Load a variant's graph from a model directory; on several cores, with a pool of workers.

        Raises:
            OptionError: unnormalized, and the model was not trained for that.
            VariantError, ModelError, OptionError, DeviceError, MissingExtraError: as `Graph.load`.
        """
        if unnormalized and not bundle.config.head_spec.has_scores:
            raise OptionError(
                f"{bundle.path}: was not trained to score without its softmax, and what it gave "
                "would be no log-probabilities; train with `self_normalize`, or score as it is"
            )
        graph = Graph.load(bundle, variant, **placement)
        observers: list[Observer] = []
        open_one = functools.partial(_on_one_core, graph, bundle, unnormalized, observers)
        count = thread_count(placement.get("threads"))
        there = replace(bundle, path=bundle.path.absolute())

        def reopen() -> Engine:
            Bundle.read(there.path).check_identity(variant, there.identity(variant))
            return cls.load(there, variant, unnormalized=unnormalized, **placement)

        return cls(
            graph,
            unnormalized=unnormalized,
            workers=Workers(open_one, count) if graph.device == CPU_DEVICE and count > 1 else None,
            reopen=reopen,
            observers=observers,
        )

    @property
    def workers(self) -> Workers[Engine] | None:
        """The pool that scores batches side by side, if there is one."""
        self._here()
        return self._workers

    @property
    def token_budget(self) -> int:
        """The tokens B * T of one run whose distributions the host may fetch."""
        return token_budget(self.config)

    @property
    def target_budget(self) -> int:
        """The tokens B * T that one run of `targets` should read at most."""
        return self._graph.target_budget(unnormalized=self.unnormalized)

    def lower_target_budget(self, failed: int) -> bool:
        """Halve the tokens of a run that `failed` for lack of memory; see `Graph`."""
        return self._graph.lower_target_budget(failed)

    @property
    def window_scale(self) -> int:
        """How much larger the windows of a stream should be than they are for the CPU."""
        return 1 if self.device == CPU_DEVICE else window_scale(self.target_budget)

    def without_softmax(self) -> Engine:
        """The same graph with targets scored without the softmax; for self-normalised models."""
        reopen = self._reopen
        return Engine(
            self._here(),
            unnormalized=True,
            reopen=None if reopen is None else lambda: reopen().without_softmax(),
            observers=self._observers,
        )

    def initial_state(self, batch_size: int = 1) -> State:
        """The state before any token: zeros, of `batch_size` rows."""
        return State.owning(self._graph.initial_state(batch_size))

    def step(
        self,
        tokens: ArrayLike,
        state: State,
        parents: ArrayLike | None = None,
        *,
        checked: bool = False,
    ) -> Step:
        """Let each hypothesis read one token, int64 [B]; gives log-probs [B, V].

        `checked`: see `Graph.run`.
        """
        (log_probs,), after = self._step(["log_probs"], tokens, state, parents, checked=checked)
        self.check_finite(log_probs)
        return Step(log_probs[:, 0], after)

    def top(self, tokens: ArrayLike, state: State, k: int, parents: ArrayLike | None = None) -> Top:
        """Like `step`, but the graph chooses the k likeliest tokens: no [B, V] is fetched."""
        outputs = ["top_log_probs", "top_tokens"]
        (log_probs, best), after = self._step(outputs, tokens, state, parents, k=k)
        self.check_finite(log_probs)
        return Top(log_probs[:, 0], best[:, 0], after)

    def advance(self, tokens: ArrayLike, state: State, parents: ArrayLike | None = None) -> State:
        """Let each hypothesis read one token, int64 [B], as `step` does; gives the state alone."""
        _, after = self._step([], tokens, state, parents)
        return after

    def targets(
        self,
        tokens: Ids,
        targets: Ids,
        state: State,
        *,
        lengths: NDArray[np.int32] | None = None,
        parents: Ids | None = None,
        checked: bool = False,
    ) -> tuple[Tensor, State]:
        """Score targets: tokens int64 [B, T], targets int64 [B, T, K] -> float32 [B, T, K] (nats).

        Results past a row's length are meaningless, and none are checked: see `check_finite`. The
        state is the one after `lengths` tokens. `checked`: see `Graph.run`.
        """
        output = "target_scores" if self.unnormalized else "target_log_probs"
        (found,), after = self._run(
            [output],
            tokens,
            state,
            targets=targets,
            lengths=lengths,
            parents=parents,
            checked=checked,
        )
        return found, after

    def distributions(
        self,
        tokens: Ids,
        state: State,
        *,
        targets: Ids | None = None,
        k: int = 0,
        lengths: NDArray[np.int32] | None = None,
        parents: Ids | None = None,
        checked: bool = False,
    ) -> Distributions:
        """Whole distributions at every position of tokens int64 [B, T]; unchecked, as `targets`.

        state has S rows; targets int64 [B, T, K], default K = 0; k is the number of best tokens;
        `checked`: see `Graph.run`.
        """
        outputs = ["log_probs", "target_log_probs", "top_log_probs", "top_tokens"]
        given: dict[str, Any] = {"targets": targets, "k": k, "lengths": lengths, "parents": parents}
        found, after = self._run(outputs, tokens, state, checked=checked, **given)
        log_probs, of_targets, top_log_probs, top_tokens = found
        return Distributions(log_probs, of_targets, top_log_probs, top_tokens, after)

    def ranked(
        self,
        tokens: Ids,
        targets: Ids,
        state: State,
        *,
        k: int,
        lengths: NDArray[np.int32] | None = None,
        parents: Ids | None = None,
    ) -> Ranked:
        """Score targets as `targets` does, always with the softmax, and find the k best tokens."""
        outputs = ["target_log_probs", "top_log_probs", "top_tokens"]
        found, after = self._run(
            outputs, tokens, state, targets=targets, k=k, lengths=lengths, parents=parents
        )
        of_targets, top_log_probs, top_tokens = found
        return Ranked(of_targets, top_log_probs, top_tokens, after)

    def measures(
        self,
        tokens: Ids,
        targets: Ids,
        state: State,
        *,
        k: int = 0,
        whole: bool = False,
        lengths: NDArray[np.int32] | None = None,
        parents: Ids | None = None,
        checked: bool = False,
    ) -> Measured:
        """Score targets as `targets` does, always with the softmax, and measure the distributions.

        The graph computes entropies and ranks beside the log-probabilities. A graph that an older
        version exported cannot: its whole distributions are measured here. `whole` fetches them in
        any case; `checked`: see `Graph.run`.
        """
        given: dict[str, Any] = {"targets": targets, "k": k, "lengths": lengths, "parents": parents}
        given["checked"] = checked
        if not self._graph.has_measures:
            return Measured.of(self.distributions(tokens, state, **given))
        outputs = ["target_log_probs", "entropies", "target_ranks", "top_log_probs", "top_tokens"]
        found, after = self._run(outputs + ["log_probs"] * whole, tokens, state, **given)
        of_targets, entropies, ranks, top_log_probs, top_tokens, *rest = found
        log_probs = rest[0] if whole else None
        return Measured(of_targets, entropies, ranks, top_log_probs, top_tokens, after, log_probs)

    def read(self, ids: ArrayLike, state: State | None = None) -> Step:
        """Read a text of any length, in chunks; gives a step of one row.

        Args:
            ids: int64 [n], at least one if a state is given.
            state: one row to continue. Default: a text begins, and <s> is read before the ids.
        """
        text = as_integers("ids", ids)
        if state is None:
            text, state = np.insert(text, 0, self.config.bos_token_id), self.initial_state()
        return self.step(text[-1:], self.state_after(text[:-1], state))

    def state_after(self, ids: ArrayLike, state: State) -> State:
        """The state of one row after it has read ids int64 [n], in chunks; n may be 0."""
        text, size = as_integers("ids", ids), self.token_budget
        for start in range(0, len(text), size):
            _, state = self._run([], text[None, start : start + size], state)
        return state

    def check_ids(self, *arrays: Ids) -> None:
        """Raise InputError if an id of these arrays is not in the vocabulary."""
        self._graph.check_ids(*arrays)

    def check_finite(self, log_probs: ArrayLike) -> None:
        """Raise ModelError if a log-probability is NaN or infinite."""
        self._graph.check_finite(log_probs)

    @contextmanager
    def observe(self, observer: Observer) -> Iterator[None]:
        """Call `observer` with B and T of every run, also the workers', within the context."""
        self._observers.append(observer)
        try:
            yield
        finally:
            self._observers.remove(observer)

    def _step(
        self,
        outputs: Sequence[str],
        tokens: ArrayLike,
        state: State,
        parents: ArrayLike | None,
        **given: Any,
    ) -> tuple[list[NDArray[Any]], State]:
        column = as_integers("tokens", tokens)[:, None]
        rows = None if parents is None else as_integers("parents", parents)
        return self._run(outputs, column, state, parents=rows, **given)

    def _run(
        self, outputs: Sequence[str], tokens: Ids, state: State, **given: Any
    ) -> tuple[list[NDArray[Any]], State]:
        """Return the named outputs, and the state after the run."""
        if not isinstance(state, State):
            raise InputError(f"expected a State, got {type(state).__name__}")
        graph, count = self._here(), len(outputs)
        found = graph.run([*outputs, *self._state_outputs], tokens, state=state.tensors, **given)
        for observer in tuple(self._observers):  # another thread may take one away meanwhile
            observer(*tokens.shape)
        return found[:count], State.owning(found[count:])

    def _here(self) -> Graph:
        """The graph of this process; after a fork it is opened again, as its threads are gone."""
        if os.getpid() != self._process:
            if self.device != CPU_DEVICE or self._reopen is None:
                raise DeviceError(
                    f"a model on {self.device} does not survive a fork: start processes by the "
                    "spawn method, multiprocessing.get_context('spawn')"
                )
            again = self._reopen()
            again._observers += self._observers
            self._graph, self._workers = again._graph, again._workers
            self._observers = again._observers
            self._process = os.getpid()
        return self._graph

    def __repr__(self) -> str:
        return f"Engine(variant={self.variant!r}, device={self.device!r})"


def _on_one_core(
    graph: Graph, bundle: Bundle, unnormalized: bool, observers: list[Observer]
) -> Engine:
    """Open the same graph in a session of one thread; if its file has gone, use the given one."""
    try:
        path = bundle.graph_path(graph.variant)
        session = open_session(path, device=CPU_DEVICE, threads=1)
        graph = Graph(session, graph.config, graph.variant, path)
    except (ModelError, VariantError) as error:  # replaced or removed since it was loaded
        _log.info("scoring one batch at a time: %s", error)
    return Engine(graph, unnormalized=unnormalized, observers=observers)
