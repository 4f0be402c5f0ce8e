"""Whether texts of lists are in a form that a language model has not seen: capitals, subwords."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from lmscore.names import SubwordMark
from lmscore.runtime.rescoring.lists.features import Prepare
from lmscore.runtime.rescoring.lists.nbest import NBestList
from lmscore.runtime.rescoring.models import ListScorer

_CAPITALS = 0.95  # of the letters: the rest may be marks such as <unk>
_ENOUGH = 10  # letters; fewer may be one name


@dataclass(frozen=True)
class TextForm:
    """What the texts of some lists look like."""

    in_capitals: bool
    subwords: SubwordMark | None  # the mark of the subwords that are left in

    @classmethod
    def of(cls, lists: Iterable[NBestList], prepare: Prepare = str) -> TextForm:
        """The form of the texts, as `prepare` leaves them."""
        return cls.of_words(w for n in lists for h in n.hypotheses for w in prepare(h.text).split())

    @classmethod
    def of_words(cls, found: Iterable[str]) -> TextForm:
        """The form of some words."""
        words = list(found)
        letters = [c for word in words for c in word if c.isupper() or c.islower()]
        capitals = sum(map(str.isupper, letters))
        marks: dict[SubwordMark, int] = {
            "@@": sum(word.endswith("@@") and word != "@@" for word in words),
            "▁": sum(word.startswith("▁") for word in words),
        }
        mark = next((mark for mark, count in marks.items() if count), None)
        return cls(len(letters) >= _ENOUGH and capitals >= _CAPITALS * len(letters), mark)


def ahead(lists: Iterable[NBestList], count: int) -> tuple[list[NBestList], Iterator[NBestList]]:
    """The first few lists, and all of them."""
    rest = iter(lists)
    first = list(islice(rest, count))
    return first, chain(first, rest)


@dataclass(frozen=True)
class CaseLikelihood:
    """The summed log-probabilities of some texts, in nats, by all models."""

    as_given: float
    lower: float

    @property
    def prefers_lower(self) -> bool:
        """Whether the texts are likelier in lower case."""
        return self.lower > self.as_given


def case_likelihood(
    lists: Iterable[NBestList], scorers: Sequence[ListScorer], prepare: Prepare = str
) -> CaseLikelihood:
    """How likely the first texts of lists are as they are, and in lower case.

    Raises:
        InputError: a scorer cannot read a text; says which.
    """
    texts = [prepare(nbest.hypotheses[0].text) for nbest in lists if nbest.hypotheses]
    both = [texts, [text.lower() for text in texts]]
    given, lower = (
        sum(
            score.log_prob
            for scorer in scorers
            for found in scorer.score_lists([each])
            for score in found.scores
        )
        for each in both
    )
    return CaseLikelihood(given, lower)
