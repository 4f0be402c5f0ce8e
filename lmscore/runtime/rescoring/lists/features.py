"""The scores of language models as features of hypotheses: log-probabilities in nats."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, tee

from lmscore.errors import OptionError
from lmscore.runtime.rescoring.lists.nbest import NBestList
from lmscore.runtime.rescoring.models import ListScorer, ListScores

Prepare = Callable[[str], str]

_DECIMALS = 6  # of a log-probability in a list: the next ones are rounding errors


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers of lists, hypotheses, words and tokens scored; the counts of lists add up."""

    lists: int = 0
    hypotheses: int = 0
    words: int = 0  # of the texts as the models see them
    tokens: int = 0  # of all models, as their scores count them
    tokens_saved: int | None = None  # that hypotheses share; None without a recurrent model
    oovs: Mapping[str, int] = field(default_factory=dict)  # tokens, by feature

    @classmethod
    def of(cls, scores: Mapping[str, ListScores]) -> Counts:
        """The counts of one list, from the scores of each feature's model."""
        columns = scores.values()
        some = next(iter(columns)).scores
        saved = [found.tokens_saved for found in columns if found.tokens_saved is not None]
        return cls(
            lists=1,
            hypotheses=len(some),
            words=sum(score.num_words for score in some),
            tokens=sum(found.num_tokens for found in columns),
            tokens_saved=sum(saved) if saved else None,
            oovs={name: sum(s.num_oov for s in found.scores) for name, found in scores.items()},
        )

    def __add__(self, other: Counts) -> Counts:
        saved = [n for n in (self.tokens_saved, other.tokens_saved) if n is not None]
        names = {**self.oovs, **other.oovs}
        return Counts(
            self.lists + other.lists,
            self.hypotheses + other.hypotheses,
            self.words + other.words,
            self.tokens + other.tokens,
            sum(saved) if saved else None,
            {name: self.oovs.get(name, 0) + other.oovs.get(name, 0) for name in names},
        )


@dataclass(frozen=True, slots=True)
class ScoredList:
    """A list with new features, and the counts of what was scored for them."""

    nbest: NBestList
    counts: Counts

    @classmethod
    def of(cls, nbest: NBestList, scores: Mapping[str, ListScores]) -> ScoredList:
        """The list with log-probabilities as new features; raises OptionError for a known name."""
        for name, found in scores.items():
            log_probs = [round(score.log_prob, _DECIMALS) for score in found.scores]
            nbest = nbest.with_feature(name, log_probs)
        return cls(nbest, Counts.of(scores))


def add_scores(
    lists: Iterable[NBestList], scorers: Sequence[ListScorer], *, prepare: Prepare = str
) -> Iterator[NBestList]:
    """The lists of `scored_lists` alone, without counts."""
    return (scored.nbest for scored in scored_lists(lists, scorers, prepare=prepare))


def scored_lists(
    lists: Iterable[NBestList], scorers: Sequence[ListScorer], *, prepare: Prepare = str
) -> Iterator[ScoredList]:
    """Lists with a new feature of each scorer, the log-probability of every hypothesis in nats.

    Lists come in their order, in bounded memory.

    Args:
        lists: as they were read.
        scorers: at least one, each with a name that no feature has yet.
        prepare: a function from the text of a hypothesis to the text that is scored.

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
        yield ScoredList.of(waiting.popleft(), dict(zip(names, found, strict=True)))


def peek(lists: Iterable[NBestList]) -> tuple[NBestList | None, Iterator[NBestList]]:
    """The first list that has hypotheses, if there is one, and all lists as they were."""
    rest = iter(lists)
    held = []
    for nbest in rest:
        held.append(nbest)
        if nbest.hypotheses:
            return nbest, chain(held, rest)
    return None, iter(held)
