"""POST /v1/next and /v1/choose: what may come next, and which candidate fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lmscore.names import NextUnit
from lmscore.runtime.decoding import NextOptions
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.scoring import Choice
from lmscore.serve.errors import ApiError
from lmscore.serve.requests import ChooseRequest, NextRequest
from lmscore.serve.served import Limits, ServedModel

_SEARCH = 256  # tokens that a search for next words reads, about


@dataclass(frozen=True)
class NextWords:
    """Searches for the next words of texts."""

    k: int
    unit: NextUnit
    partial: str
    allowed: frozenset[str] | None
    merge: bool
    unk: bool

    def run(self, lm: LanguageModel, items: Sequence[str]) -> list[list[tuple[str, float]]]:
        """The next words after each text."""
        options = {name: value for name, value in vars(self).items() if name != "k"}
        return lm.next_words_batch(items, self.k, **options)


@dataclass(frozen=True)
class Choosing:
    """Choices among candidates; an item is (left, candidates, right)."""

    def run(
        self, lm: LanguageModel, items: Sequence[tuple[str, Sequence[str], str]]
    ) -> list[list[Choice]]:
        """The choices of each item."""
        return [lm.choose(left, candidates, right) for left, candidates, right in items]


async def next_words(model: ServedModel, body: NextRequest, limits: Limits) -> dict[str, Any]:
    """The next words after each text; raises ApiError, OptionError or ItemError."""
    texts = [body.input] if isinstance(body.input, str) else body.input
    if not texts:
        raise ApiError(400, "input is an empty list", param="input")
    limits.check_characters(texts, param="input")
    allowed = None if body.allowed is None else frozenset(body.allowed)
    options = NextOptions(body.unit, body.partial, allowed, body.merge, body.unk)
    unit = model.lm.next_unit(**vars(options))
    kind = NextWords(body.k, **vars(options))
    found = await model.batcher.run(kind, texts, [_SEARCH] * len(texts))
    data = [
        {
            "index": index,
            "text": text,
            "unit": unit,
            "words": [{"word": word, "probability": p} for word, p in words],
        }
        for index, (text, words) in enumerate(zip(texts, found, strict=True))
    ]
    return {"object": "list", "model": model.name, "data": data}


async def choose(model: ServedModel, body: ChooseRequest, limits: Limits) -> dict[str, Any]:
    """The candidates, best first; raises ApiError or ItemError."""
    if not body.candidates:
        raise ApiError(400, "candidates is an empty list", param="candidates")
    around = [body.left, body.right] * len(body.candidates)
    size = limits.check_characters([*around, *body.candidates], param="candidates")
    item = (body.left, body.candidates, body.right)
    ((*choices,),) = await model.batcher.run(Choosing(), [item], [size])
    data = [
        {
            "index": choice.number,
            "text": choice.text,
            "log_prob": choice.log_prob,
            "probability": choice.probability,
        }
        for choice in choices
    ]
    return {"object": "list", "model": model.name, "data": data}
