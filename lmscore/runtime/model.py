"""LanguageModel: probabilities of texts, and of the next token."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lmscore.bundle import CONTEXTS, Bundle, Config, Context, graph_file
from lmscore.errors import InputError, ModelError, OptionError
from lmscore.runtime.batching import windows
from lmscore.runtime.graph import Graph
from lmscore.runtime.score import Score
from lmscore.runtime.scoring import Scorer
from lmscore.runtime.state import State, Tensor
from lmscore.runtime.tokenizer import Ids, TextTokenizer


class LanguageModel:
    """A loaded model. Threads may share it; pickled, it is loaded again from its path.

    Attributes:
        config: what config.json says.
        tokenizer: text to token ids.
    """

    def __init__(
        self,
        bundle: Bundle,
        graph: Graph,
        tokenizer: TextTokenizer,
        *,
        reload: Callable[[], LanguageModel],
    ) -> None:
        """Use `lmscore.load`; `reload` makes this model anew in another process."""
        self.config: Config = bundle.config
        self.tokenizer = tokenizer
        self._path = bundle.path
        self._graph = graph
        self._reload = reload
        self._process = os.getpid()
        self._inherited: list[Graph] = []

    @property
    def path(self) -> Path:
        """The model directory."""
        return self._path

    @property
    def variant(self) -> str:
        """The graph in use: "int8", "fp32", ..."""
        return self._graph.variant

    @property
    def device(self) -> str:
        """Where it runs: "cpu", "cuda:0"."""
        return self._graph.device

    @property
    def vocab_size(self) -> int:
        """V: the tokens a log-probability is given to."""
        return self.config.vocab_size

    def score(
        self,
        text: str,
        *,
        bos: bool = True,
        eos: bool = True,
        context: Context | None = None,
        tokens: bool = True,
    ) -> Score:
        """The log-probability of one text; `score_stream` says what the options mean."""
        return self.score_batch([text], bos=bos, eos=eos, context=context, tokens=tokens)[0]

    def score_batch(
        self,
        texts: Sequence[str],
        *,
        bos: bool = True,
        eos: bool = True,
        context: Context | None = None,
        tokens: bool = True,
    ) -> list[Score]:
        """The scores of several texts, in their order; options as in `score_stream`."""
        return list(self.score_stream(texts, bos=bos, eos=eos, context=context, tokens=tokens))

    def score_stream(
        self,
        texts: Iterable[str],
        *,
        bos: bool = True,
        eos: bool = True,
        context: Context | None = None,
        tokens: bool = True,
        window: int | None = None,
    ) -> Iterator[Score]:
        """Score texts as they come, in their order, in bounded memory.

        Args:
            texts: one sentence each, of any length. All of it is text: strip the line ends of
                lines that come from an open file.
            bos: start each sentence from <s>. Without it, its first token is read, not scored.
            eos: score the end of sentence, </s>.
            context: "sentence" starts each from the initial state, "document" carries the state
                from one to the next. Default: what the model was trained for.
            tokens: fill `Score.tokens`; without, scoring is quicker and needs less memory.
            window: texts read before the first of them is scored; 1 answers each at once, more
                are quicker. Default: about a thousand.

        Raises:
            InputError: an item is not a string that the model can read; says which.
            OptionError: no such context, or a window below 1.
            ModelError: the model yields nan or inf.
        """
        if isinstance(texts, str):
            raise InputError("expected several texts, got one string; use score, or a list")
        if context is not None and context not in CONTEXTS:
            raise OptionError(f"context must be one of {', '.join(CONTEXTS)}, not {context!r}")
        if window is not None and window < 1:
            raise OptionError(f"window must be at least 1, not {window}")
        scorer = Scorer(
            self._graph_here(),
            self.tokenizer,
            bos=bos,
            eos=eos,
            context=context or self.config.context,
            tokens=tokens,
        )
        return self._score_windows(windows(texts, window), scorer)

    def initial_state(self, batch_size: int = 1) -> State:
        """The state before any token, of `batch_size` rows.

        Raises:
            OptionError: batch_size is below 1.
        """
        if batch_size < 1:
            raise OptionError(f"batch_size must be at least 1, not {batch_size}")
        return _state(self._graph.initial_state(batch_size))

    def step(
        self, tokens: ArrayLike, state: State, parents: ArrayLike | None = None
    ) -> tuple[NDArray[np.float32], State]:
        """Read one token per hypothesis; what may come next?

        Args:
            tokens: int64 [B], the token each hypothesis reads (<s> first).
            state: S rows; not changed.
            parents: int64 [B], the row of `state` that each goes on from: hypotheses may be
                re-ordered, copied and dropped on the way. Default: row b for hypothesis b.

        Returns:
            log_probs float32 [B, V] (nats) of the next token, and the state of B rows.

        Raises:
            InputError: an id or row is out of range, or sizes do not fit each other.
            ModelError: the model yields nan or inf.
        """
        outputs = ["log_probs", *(tensor.next for tensor in self.config.state)]
        log_probs, *tensors = self._graph_here().run(
            outputs,
            _ids("tokens", tokens)[:, None],
            state=state.tensors,
            parents=None if parents is None else _ids("parents", parents),
        )
        self._check_finite(log_probs)
        return log_probs[:, 0], _state(tensors)

    def __repr__(self) -> str:
        return (
            f"LanguageModel({str(self.path)!r}, variant={self.variant!r}, device={self.device!r})"
        )

    def __reduce__(self) -> tuple[Callable[[], LanguageModel], tuple[()]]:
        return self._reload, ()

    def _graph_here(self) -> Graph:
        """The graph of this process; threads of a session stay behind in a fork."""
        if os.getpid() != self._process:
            self._inherited.append(self._graph)  # to free it would be to wait for those threads
            self._graph = self._reload()._graph
            self._process = os.getpid()
        return self._graph

    def _score_windows(self, texts: Iterable[list[str]], scorer: Scorer) -> Iterator[Score]:
        state = scorer.graph.initial_state(1)
        first = 1
        for window in texts:
            scores, state = scorer.score(window, state, first=first)
            for score in scores:
                self._check_finite(score.log_prob)
                yield score
            first += len(window)

    def _check_finite(self, log_probs: ArrayLike) -> None:
        if not np.isfinite(log_probs).all():
            raise ModelError(
                f"{self.path / graph_file(self.variant)}: yields log-probabilities that are not "
                "finite; its weights are damaged or trained to overflow"
            )


def _state(tensors: Iterable[Tensor]) -> State:
    tensors = tuple(tensors)
    for tensor in tensors:
        tensor.flags.writeable = False
    return State(tensors)


def _ids(name: str, values: ArrayLike) -> Ids:
    ids = np.asarray(values)
    if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
        raise InputError(f"{name} must be a list or 1-d array of integers")
    return ids.astype(np.int64)
