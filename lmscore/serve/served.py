"""The models of a server by name, and the bounds that requests have to keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from lmscore.runtime.model import LanguageModel
from lmscore.serve.batching import Batcher
from lmscore.serve.errors import ApiError
from lmscore.serve.spelling import Spelling


@dataclass(frozen=True)
class Limits:
    """What one request, and all of them together, may ask for."""

    body: int = 8 << 20  # bytes
    tokens: int = 1 << 20  # of all prompts or texts of a request
    new_tokens: int = 4096  # of one completion
    samples: int = 1024  # completions of a request, over all prompts
    waiting: int = 512  # unfinished requests for a model

    def check(self, name: str, value: int, limit: int, *, param: str) -> None:
        """Raise ApiError if a request asks for more than `limit` of `name`."""
        if value > limit:
            raise ApiError(
                422, f"{value} {name} in one request: {limit} at most", param=param, code="too_many"
            )


class ServedModel:
    """A model under a name, with the thread that runs it."""

    def __init__(self, name: str, lm: LanguageModel) -> None:
        """Start the thread of a model."""
        self.name, self.lm = name, lm
        self.batcher = Batcher(lm)
        self.created = int((lm.path / "config.json").stat().st_mtime)

    @cached_property
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
    """The served models; the first is taken where a request names none."""

    def __init__(self, models: Mapping[str, LanguageModel]) -> None:
        """Start a thread for each model, by its name."""
        self._served = {name: ServedModel(name, lm) for name, lm in models.items()}

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(self._served.values())

    def find(self, name: str | None) -> ServedModel:
        """The model of that name; raises ApiError if there is none."""
        if name is None:
            return next(iter(self))
        if name not in self._served:
            there = ", ".join(self._served)
            raise ApiError(
                404,
                f"no model {name!r} here; there are {there}",
                param="model",
                code="model_not_found",
            )
        return self._served[name]

    def stop(self) -> None:
        """Finish what was submitted, then end the threads."""
        for model in self:
            model.batcher.stop()
        for model in self:
            model.batcher.join()
