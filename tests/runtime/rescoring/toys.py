"""Lists, and a language model whose scores can be worked out by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log

from lmscore.bundle import Direction
from lmscore.runtime.rescoring.lists.nbest import Hypothesis, NBestList
from lmscore.runtime.rescoring.models.list_scorer import score_distinct, score_of_words
from lmscore.runtime.rescoring.models.list_scoring import ListScores
from lmscore.runtime.scoring.score import Score, WordScore


def make_list(
    *texts: str, key: str = "u", reference: str | None = None, **features: Sequence[float]
) -> NBestList:
    """A list of these texts, with a value of each feature for each."""
    hypotheses = (
        Hypothesis(text, {name: values[i] for name, values in features.items()})
        for i, text in enumerate(texts)
    )
    return NBestList(key, tuple(hypotheses), reference)


UNK = "<unk>"
END = "</s>"


@dataclass(frozen=True)
class Unigram:
    """Every word has a probability, whatever comes before it; others have that of <unk>."""

    name: str
    probabilities: Mapping[str, float]
    direction: Direction = "forward"

    def score_lists(self, lists: Iterable[Sequence[str]]) -> Iterator[ListScores]:
        return score_distinct(lists, self.score_stream)

    def score_stream(self, texts: Iterable[str]) -> Iterator[Score]:
        for text in texts:
            yield score_of_words(text, [self._score(w) for w in [*text.split(), END]])

    def _score(self, word: str) -> WordScore:
        known = word in self.probabilities
        log_prob = log(self.probabilities[word if known else UNK])
        return WordScore(word, log_prob, not known, 0, 0, 1)
