"""POST /v1/score: the records of `lmscore score`, for texts of many requests at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from lmscore.bundle import Context
from lmscore.finite import finite
from lmscore.names import Per, Segmentation, Split
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.scoring import Score, TextMeasures, TokenScore, WordScore
from lmscore.serve.errors import ApiError
from lmscore.serve.requests import ScoreRequest
from lmscore.serve.served import Limits, ServedModel


class Text(NamedTuple):
    """A text to score."""

    text: str
    prefix: str


@dataclass(frozen=True)
class Scoring:
    """Texts that are scored, with options of `LanguageModel.score_stream`."""

    bos: bool
    eos: bool
    per: Per
    prefixed: bool
    joiner: str | None
    context: Context = "sentence"
    split: Split = "none"
    language: str = "en"
    segmentation: Segmentation = "auto"
    oov_cost: float | LanguageModel | None = None

    def run(self, lm: LanguageModel, items: Sequence[Text]) -> list[Score]:
        """The scores of the texts."""
        return lm.score_batch(
            [item.text for item in items],
            prefix=[item.prefix for item in items] if self.prefixed else None,
            bos=self.bos,
            eos=self.eos,
            context=self.context,
            split=self.split,
            language=self.language,
            segmentation=self.segmentation,
            oov_cost=self.oov_cost,
            joiner=self.joiner,
            tokens=self.per == "token",
            words=self.per == "word",
        )


@dataclass(frozen=True)
class Measuring:
    """Texts whose distributions are measured, in the runs that score them."""

    alternatives: int
    words: bool
    segmentation: Segmentation = "auto"

    def run(self, lm: LanguageModel, items: Sequence[Text]) -> list[TextMeasures]:
        """The measures of the texts, with their scores."""
        return list(lm.measure_stream([item.text for item in items], **vars(self)))


@dataclass(frozen=True, eq=False)
class Once:
    """A call that shares its run with nobody."""

    call: Callable[[LanguageModel], Any]

    def run(self, lm: LanguageModel, items: Sequence[None]) -> list[Any]:
        """The call's result, for the one item."""
        return [self.call(lm) for _ in items]


async def score(
    model: ServedModel,
    body: ScoreRequest,
    limits: Limits,
    *,
    oov_cost: float | LanguageModel | None,
) -> dict[str, Any]:
    """The body of the answer to a request; `oov_cost` is the body's, or the model that it names.

    Raises:
        ApiError: a field has an impossible value, or the request is too large.
        ItemError: a text cannot be read.
    """
    texts = _texts(body)
    sizes = [limits.check_characters(one, param="input") for one in texts]
    limits.check("tokens (about)", sum(sizes), limits.tokens, param="input")
    context: Context = body.context or model.lm.config.context
    per: Per = "sentence" if body.per == "text" else body.per
    measures = [name for name in ("entropy", "rank", "alternatives") if getattr(body, name)]
    _check_options(model, body, context, measures)
    scoring = Scoring(
        body.bos,
        body.eos,
        per,
        body.prefix is not None,
        body.joiner,
        context,
        body.split,
        body.language,
        body.segmentation,
        oov_cost,
    )
    measured: Sequence[TextMeasures | None] = [None] * len(texts)
    if measures:
        kind = Measuring(body.alternatives, per == "word", body.segmentation)
        found = await model.batcher.run(kind, texts, sizes)
        measured, scores = found, [one.score for one in found]
    elif context == "document":
        whole = Once(partial(scoring.run, items=texts))
        ((*scores,),) = await model.batcher.run(whole, [None], [sum(sizes)])
    else:
        scores = await model.batcher.run(scoring, texts, sizes)
    data = [
        {"index": index, **record(one, per, values, measures)}
        for index, (one, values) in enumerate(zip(scores, measured, strict=True))
    ]
    tokens = sum(one.num_tokens for one in scores)
    usage = {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens}
    return {"object": "list", "model": model.name, "data": data, "usage": usage}


def _texts(body: ScoreRequest) -> list[Text]:
    texts = [body.input] if isinstance(body.input, str) else body.input
    if not texts:
        raise ApiError(400, "input is an empty list", param="input")
    prefixes = body.prefix
    if prefixes is None or isinstance(prefixes, str):
        prefixes = [prefixes or ""] * len(texts)
    if len(prefixes) != len(texts):
        raise ApiError(
            400,
            f"{len(texts)} texts and {len(prefixes)} prefixes: give one prefix for all, or each",
            param="prefix",
        )
    return list(map(Text, texts, prefixes))


def _check_options(
    model: ServedModel, body: ScoreRequest, context: Context, measures: Sequence[str]
) -> None:
    """Raise OptionError or ApiError for what the model or the combination cannot do."""
    if not body.bos:
        model.lm.check_forward("bos=False")
    if body.prefix is not None:
        model.lm.check_forward("a prefix")
    if context == "document":
        model.lm.check_forward("context='document'")
    if body.joiner is not None and (body.prefix is None or context == "document"):
        raise ApiError(
            400,
            "joiner stands between a prefix and its text in one sentence: give a prefix, and "
            "context='sentence'",
            param="joiner",
        )
    if not measures:
        return
    if body.per == "text":
        raise ApiError(400, f"{measures[0]} is of tokens and words: set per", param=measures[0])
    plain = body.bos and body.eos and body.prefix is None and body.oov_cost is None
    if not plain or context == "document" or body.split != "none":
        raise ApiError(
            400,
            f"{measures[0]} is for whole sentences on their own: no bos, eos, prefix, split, "
            "oov_cost or context='document'",
            param=measures[0],
        )


def record(
    score: Score,
    per: Per,
    measured: TextMeasures | None,
    measures: Sequence[str],
) -> dict[str, Any]:
    """A text's object, with the keys of `lmscore score --format jsonl`."""
    per_token, per_word = score.perplexity_per_token, score.perplexity_per_word
    document: dict[str, Any] = {
        "text": score.text,
        "log_prob": score.log_prob,
        "num_tokens": score.num_tokens,
        "num_words": score.num_words,
        "num_oov": score.num_oov,
        # JSON has no nan (there is no token) and no inf.
        "perplexity_per_token": finite(per_token),
        "perplexity_per_word": finite(per_word),
    }
    if per == "token":
        tokens = measured.tokens if measured else ()
        values = [{name: getattr(one, name) for name in measures} for one in tokens]
        document["tokens"] = _units(score.tokens, values)
    if per == "word":
        words = {(one.start, one.end): one for one in (measured.words if measured else ())}
        names = [f"onset_{name}" for name in measures]
        values = [
            {name: getattr(words.get((unit.start, unit.end)), name, None) for name in names}
            for unit in score.words
        ]
        document["words"] = _units(score.words, values)
    return document


def _units(
    units: Sequence[TokenScore | WordScore], values: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    further = values or [{}] * len(units)
    return [
        {
            "text": unit.text,
            "start": unit.start,
            "end": unit.end,
            "log_prob": unit.log_prob,
            "is_oov": unit.is_oov,
            **more,
        }
        for unit, more in zip(units, further, strict=True)
    ]
