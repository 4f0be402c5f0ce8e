"""N-best lists rescored: scores of language models added, hypotheses ranked by what they sum to."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, tee

import numpy as np

from lmscore.errors import InputError, OptionError
from lmscore.runtime.rescoring.lists.metrics import Metric, Statistics
from lmscore.runtime.rescoring.lists.nbest import NBestList
from lmscore.runtime.rescoring.lists.weights import Weights
from lmscore.runtime.rescoring.models.scorer import ListScorer
from lmscore.runtime.scoring.score import Score

Prepare = Callable[[str], str]

LM_WEIGHT = 0.5

_DECIMALS = 6  # of a log-probability in a list: the next ones are rounding errors


@dataclass(slots=True)
class Totals:
    """What was scored, of all lists."""

    lists: int = 0
    hypotheses: int = 0
    words: int = 0  # of the texts as the models see them
    tokens: int = 0  # of all models, as their scores count them
    oovs: Counter[str] = field(default_factory=Counter)  # tokens, by feature

    def add(self, scores: Mapping[str, Sequence[Score]]) -> None:
        """Count one more list, by what each feature's model says of its hypotheses."""
        self.lists += 1
        some = next(iter(scores.values()))
        self.hypotheses += len(some)
        self.words += sum(score.num_words for score in some)
        for name, found in scores.items():
            self.tokens += sum(score.num_tokens for score in found)
            self.oovs[name] += sum(score.num_oov for score in found)


def add_scores(
    lists: Iterable[NBestList],
    scorers: Sequence[ListScorer],
    *,
    prepare: Prepare = str,
    totals: Totals | None = None,
) -> Iterator[NBestList]:
    """Lists with a new feature of each scorer, the log-probability of every hypothesis in nats.

    Lists come in their order, in bounded memory.

    Args:
        lists: as they were read.
        scorers: at least one, each with a name that no feature has yet.
        prepare: makes of the text of a hypothesis the one that is scored.
        totals: is added to, as lists are scored.

    Raises:
        InputError: a scorer cannot read a text; says which.
        OptionError: there is no scorer, or a list has a feature of a scorer's name.
    """
    if not scorers:
        raise OptionError("no scorer: give at least one")
    waiting: deque[NBestList] = deque()

    def texts() -> Iterator[list[str]]:
        for nbest in lists:
            waiting.append(nbest)
            yield [prepare(hypothesis.text) for hypothesis in nbest.hypotheses]

    names = [scorer.name for scorer in scorers]
    copies = tee(texts(), len(scorers))
    columns = [scorer.score_lists(copy) for scorer, copy in zip(scorers, copies, strict=True)]
    for found in zip(*columns, strict=True):
        scores = dict(zip(names, found, strict=True))
        if totals is not None:
            totals.add(scores)
        yield with_scores(waiting.popleft(), scores)


def with_scores(nbest: NBestList, scores: Mapping[str, Sequence[Score]]) -> NBestList:
    """The list with log-probabilities as new features; raises OptionError where one is there."""
    for name, found in scores.items():
        nbest = nbest.with_feature(name, [round(score.log_prob, _DECIMALS) for score in found])
    return nbest


def peek(lists: Iterable[NBestList]) -> tuple[NBestList | None, Iterator[NBestList]]:
    """The first list that has hypotheses, if there is one, and all lists as they were."""
    rest = iter(lists)
    held = []
    for nbest in rest:
        held.append(nbest)
        if nbest.hypotheses:
            return nbest, chain(held, rest)
    return None, iter(held)


def default_weights(
    nbest: NBestList | None,
    score: str | None,
    added: Iterable[str],
    *,
    lm_weight: float = LM_WEIGHT,
    word_penalty: float = 0.0,
    length_normalization: float = 0.0,
    given: Mapping[str, float] | None = None,
) -> Weights:
    """The decoder's own score and those that were added to it.

    Args:
        nbest: a list as it was read.
        score: the feature that is the decoder's score, `Format.score`: its weight is 1. None: all
            features of the list are parts of it. Where the list lacks it, the others have the
            weight 0.
        added: the names of the new features: the weight of each is `lm_weight`.
        lm_weight: of a log-probability in nats.
        word_penalty: as in `Weights`, and so is `length_normalization`.
        given: weights by name, in place of those and beyond them.

    Raises:
        OptionError: a weight is not finite.
    """
    own = nbest.hypotheses[0].features if nbest is not None else {}
    weights = {name: 1.0 for name in own if score in (None, name)}
    weights |= dict.fromkeys(added, lm_weight)
    weights |= given or {}
    return Weights(weights, word_penalty, length_normalization)


def ranking(nbest: NBestList, weights: Weights) -> list[int]:
    """The places of the hypotheses, from 0, best first, equals in their order.

    Raises:
        OptionError: a hypothesis lacks a feature, or has no score to compare.
    """
    order: list[int] = np.argsort(-weights.combine(nbest), kind="stable").tolist()
    return order


@dataclass(slots=True)
class Gain:
    """What ranking changes: the best hypothesis in place of the first, of all lists."""

    metric: Metric | None = None
    normalize: Callable[[str], str] = str  # changes texts before the metric compares them
    lists: int = 0
    empty: int = 0  # without any hypothesis
    changed: int = 0  # whose best hypothesis says something else than the first
    statistics: Statistics | None = None  # of the metric: of the first ones, of the best ones

    def add(self, nbest: NBestList, best: int | None) -> None:
        """Count one more list, by the place of its best hypothesis.

        Raises:
            InputError: the metric needs a reference, and the list has none.
        """
        texts = ["", ""]  # what a list without hypotheses says
        if best is not None:
            texts = [nbest.hypotheses[place].text for place in (0, best)]
        self.lists += 1
        self.empty += best is None
        self.changed += texts[0] != texts[1]
        if self.metric is not None:
            if nbest.reference is None:
                raise InputError(
                    f"list {nbest.id!r} has no reference; give a file with `references`"
                )
            compared = list(map(self.normalize, texts))
            found = self.metric.statistics(compared, self.normalize(nbest.reference))
            self.statistics = found if self.statistics is None else self.statistics + found

    def values(self) -> tuple[float, float] | None:
        """The metric of the first hypotheses and of the best ones; None without one."""
        if self.metric is None or self.statistics is None:
            return None
        first, best = self.metric.value(self.statistics).tolist()
        return first, best
