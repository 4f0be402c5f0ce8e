"""POST /v1/rescore: hypotheses of n-best lists scored, and weighed if weights are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.lists import Hypothesis, NBestList, Weights
from lmscore.runtime.rescoring.models import ListScores, score_lists
from lmscore.serve.errors import ApiError
from lmscore.serve.requests import RescoreRequest
from lmscore.serve.served import Limits, ServedModel

_DECIMALS = 6  # as in the lists that `lmscore rescore` writes


@dataclass(frozen=True)
class Rescoring:
    """Lists that are scored; an item is the texts of one."""

    eos: bool

    def run(self, lm: LanguageModel, items: Sequence[Sequence[str]]) -> list[ListScores]:
        """The scores of each list."""
        return list(score_lists(lm, items, eos=self.eos))


async def rescore(model: ServedModel, body: RescoreRequest, limits: Limits) -> dict[str, Any]:
    """The lists with a new feature, best hypotheses first if there are weights.

    Raises:
        ApiError: a list is wrong, or the request is too large.
        OptionError: a weight is wrong, or there is a feature of that name.
        ItemError: a list has a text that cannot be read.
    """
    lists = [_parsed(one, number) for number, one in enumerate(body.lists)]
    texts = [[hypothesis.text for hypothesis in nbest.hypotheses] for nbest in lists]
    sizes = [limits.check_characters(some, param="lists") for some in texts]
    limits.check("tokens (about)", sum(sizes), limits.tokens, param="lists")
    weights = _weights(body)
    _check_feature(body)
    found = await model.batcher.run(Rescoring(body.eos), texts, sizes) if texts else []
    data = []
    for given, nbest, scores in zip(body.lists, lists, found, strict=True):
        values = [round(score.log_prob, _DECIMALS) for score in scores.scores]
        scored = nbest.with_feature(body.feature, values)
        data.append(_shown(given, scored, body.feature, weights))
    return {"object": "list", "model": model.name, "data": data}


def _parsed(given: dict[str, Any], number: int) -> NBestList:
    """A list from its object; raises ApiError that names the place in it that is wrong."""
    place = f"lists[{number}]"
    hypotheses = given.get("hypotheses")
    if not isinstance(hypotheses, list):
        raise ApiError(400, f"{place} has no list 'hypotheses'", param=f"{place}.hypotheses")
    parsed = []
    for rank, one in enumerate(hypotheses):
        if not isinstance(one, dict) or not isinstance(one.get("text"), str):
            where = f"{place}.hypotheses[{rank}]"
            raise ApiError(400, f'{where}: expected an object with a "text"', param=where)
        where = f"{place}.hypotheses[{rank}]"
        features = {
            name: _number(value, f"{where}.{name}")
            for name, value in one.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
        parsed.append(Hypothesis(one["text"].strip(), features, source=one))
    return NBestList(str(given.get("id", number)), tuple(parsed))


def _number(value: float, where: str) -> float:
    """A feature; raises ApiError that names it if a float cannot hold it."""
    try:
        return float(value)
    except OverflowError:
        raise ApiError(400, f"{where}: a number beyond 1e308", param=where) from None


def _check_feature(body: RescoreRequest) -> None:
    """Raise ApiError where the new feature would take the place of something else."""
    if not body.feature:
        raise ApiError(400, "feature is empty", param="feature")
    taken = {name for one in body.lists for each in one["hypotheses"] for name in each}
    taken |= {"text"} if body.weights is None else {"text", "rescored"}
    if body.feature in taken:
        raise ApiError(
            400,
            f"a hypothesis has a feature {body.feature!r} already; choose another name",
            param="feature",
        )


def _weights(body: RescoreRequest) -> Weights | None:
    if body.weights is None:
        if body.word_penalty or body.length_normalization:
            raise ApiError(400, "word_penalty and length_normalization go with weights")
        return None
    return Weights(body.weights, body.word_penalty, body.length_normalization)


def _shown(
    given: dict[str, Any], nbest: NBestList, feature: str, weights: Weights | None
) -> dict[str, Any]:
    """The list's object with everything that was in it."""
    objects = [
        {**hypothesis.source, feature: hypothesis.features[feature]}
        for hypothesis in nbest.hypotheses
    ]
    if weights is None or not objects:
        return {**given, "hypotheses": objects}
    scores = weights.combine(nbest).tolist()
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    ranked = [{**objects[place], "rescored": scores[place]} for place in order]
    return {**given, "hypotheses": ranked}
