"""The models of a server by name, and the bounds that requests have to keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from lmscore.forks import lazy
from lmscore.runtime.model import LanguageModel
from lmscore.serve.batching import Batcher
from lmscore.serve.errors import ApiError
from lmscore.serve.spelling import Spelling
from lmscore.serve.store import StateStore

RunObserver = Callable[[str, int, int], object]

_CHARACTERS = 4  # of a token, about: it only shares out the work


@dataclass(frozen=True)
class Limits:
    """What one request, and all of them together, may ask for."""

    body: int = 8 << 20  # bytes
    tokens: int = 1 << 20  # of all prompts or texts of a request
    new_tokens: int = 4096  # of one completion
    samples: int = 1024  # completions of a request, over all prompts
    waiting: int = 512  # unfinished requests for a model
    states: int = 10_000  # of decoders, for a model
    state_seconds: float = 300  # that a state is kept after it was used last

    def check(self, name: str, value: int, limit: int, *, param: str) -> None:
        """Raise ApiError if a request asks for more than `limit` of `name`."""
        if value > limit:
            raise ApiError(
                422, f"{value} {name} in one request: {limit} at most", param=param, code="too_many"
            )

    def check_characters(self, texts: Sequence[str], *, param: str) -> int:
        """About the tokens of texts; raises ApiError if they are too many for a request."""
        tokens = sum(map(len, texts)) // _CHARACTERS + 2 * len(texts)
        self.check("tokens (about)", tokens, self.tokens, param=param)
        return tokens


class ServedModel:
    """A model under a name, with the thread that runs it, and states of decoders."""

    def __init__(self, name: str, lm: LanguageModel, limits: Limits) -> None:
        """Start the thread of a model."""
        self.name, self.lm = name, lm
        self.batcher = Batcher(lm)
        self.states = StateStore(most=limits.states, seconds=limits.state_seconds)
        file = lm.path / "config.json" if lm.path.is_dir() else lm.path  # of n-grams: ARPA
        self.created = int(file.stat().st_mtime)

    @lazy
    def spelling(self) -> Spelling:
        """How tokens are shown."""
        return Spelling(self.lm)

    def admit(self, limits: Limits) -> None:
        """Raise ApiError if too many requests wait for the model."""
        if self.batcher.unfinished >= limits.waiting:
            raise ApiError(
                429,
                f"{limits.waiting} requests are waiting for {self.name}: come again later",
                code="too_many_requests",
                retry_after=1,
            )

    def document(self) -> dict[str, object]:
        """The entry of the model in the list of models."""
        config = self.lm.config
        return {
            "id": self.name,
            "object": "model",
            "created": self.created,
            "owned_by": "lmscore",
            "variant": self.lm.variant,
            "device": self.lm.device,
            "vocab_size": config.vocab_size,
            "context": config.context,
            "direction": config.direction,
        }


class Models:
    """The served models; the first is taken where a request names none.

    Attributes:
        limits: the bounds of requests.
    """

    def __init__(
        self, models: Mapping[str, LanguageModel], *, limits: Limits | None = None
    ) -> None:
        """Start a thread for each model, by its name."""
        self.limits = limits or Limits()
        self._observer: RunObserver | None = None
        self._observing: dict[str, ExitStack] = {}
        self._served: dict[str, ServedModel] = {}
        self.replace(models)

    def replace(self, models: Mapping[str, LanguageModel]) -> None:
        """Serve these models instead; requests that have begun are finished by the old ones."""
        old, stacks = list(self), list(self._observing.values())
        self._served = {name: ServedModel(name, lm, self.limits) for name, lm in models.items()}
        self._observe()
        for model in old:
            model.batcher.stop()
        for stack in stacks:
            stack.close()

    def observe(self, observer: RunObserver | None) -> None:
        """Call a function with the name, B and T of every run of a model; None: no longer."""
        self._observer = observer
        for stack in self._observing.values():
            stack.close()
        self._observe()

    def _observe(self) -> None:
        self._observing = {}
        if self._observer is None:
            return
        for model in self:
            stack = self._observing[model.name] = ExitStack()
            stack.enter_context(model.lm.engine.observe(partial(self._observer, model.name)))

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(self._served.values())

    def find(self, name: str | None, *, param: str = "model") -> ServedModel:
        """The model of that name; raises ApiError, about the field `param`, if there is none."""
        if name is None:
            return next(iter(self))
        if name not in self._served:
            there = ", ".join(self._served)
            raise ApiError(
                404,
                f"no model {name!r} here; there are {there}",
                param=param,
                code="model_not_found",
            )
        return self._served[name]

    def stop(self) -> None:
        """Finish what was submitted, then end the threads."""
        for model in self:
            model.batcher.stop()
        for model in self:
            model.batcher.join()
