"""Scores that are no log-probabilities: costs and probabilities, told and mended."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from lmscore.errors import InputError
from lmscore.names import ScoreKind
from lmscore.runtime.rescoring.lists.nbest import NBestList
from lmscore.runtime.rescoring.lists.ranking import own_scores
from lmscore.runtime.rescoring.lists.weights import RANK


def in_log_domain(
    lists: Iterable[NBestList], score: str | tuple[str, ...] | None, kind: ScoreKind
) -> Iterator[NBestList]:
    """Lists whose own score is a log-probability, whatever kind their files have.

    Args:
        score: the decoder's own score, as `own_scores` has it.
        kind: "costs" change their sign, of "probabilities" the logarithm is taken.

    Raises:
        InputError: a probability is not between 0 and 1; names file, line, list and
            hypothesis.
    """
    for nbest in lists:
        if kind == "log-probabilities" or not nbest.hypotheses:
            yield nbest
            continue
        own = set(own_scores(nbest, score))
        hypotheses = []
        for place, hypothesis in enumerate(nbest.hypotheses, 1):
            where = f"{nbest.name}, hypothesis {place}"
            features = {
                name: _log(value, kind, f"{where}, {name}") if name in own else value
                for name, value in hypothesis.features.items()
            }
            hypotheses.append(replace(hypothesis, features=features))
        yield replace(nbest, hypotheses=tuple(hypotheses))


def _log(value: float, kind: ScoreKind, where: str) -> float:
    if kind == "costs":
        return 0.0 - value
    if not 0 <= value <= 1:
        raise InputError(f"{where}: {value} is no probability, which lies between 0 and 1")
    return math.log(value) if value else -math.inf


@dataclass
class ScoreSigns:
    """What the decoder's own scores look like, seen over all lists."""

    are_costs: bool = False  # as the format says: a file has minus what a list has
    name: str = ""
    lists: int = 0  # with different scores
    rising: int = 0  # of them: the last hypothesis has a higher score than the first
    fractions: int = 0  # values between 0 and 1, both excluded
    others: int = 0  # values below 0 or above 1
    positive: int = 0  # values above 0
    values: int = 0

    def see(self, nbest: NBestList, score: str | tuple[str, ...] | None) -> None:
        """Add a list."""
        own = own_scores(nbest, score) if nbest.hypotheses else []
        if len(own) != 1 or own == [RANK]:
            return
        self.name = own[0]
        values = [hypothesis.features.get(self.name, 0.0) for hypothesis in nbest.hypotheses]
        self.lists += values[0] != values[-1]
        self.rising += values[0] < values[-1]
        self.fractions += sum(0 < value < 1 for value in values)
        self.others += sum(not 0 <= value <= 1 for value in values)
        self.positive += sum(value > 0 for value in values)
        self.values += len(values)

    def hint(self) -> str | None:
        """Advice where the scores look like something else than log-probabilities."""
        is_positive = 0 < self.values == self.positive
        if self.are_costs and (is_positive or 2 * self.rising > self.lists):
            where = "are below 0" if is_positive else "fall down most lists"
            return (
                f"the costs {self.name!r} {where}; give them a weight below 0 if higher is better "
                "in the file"
            )
        if self.fractions and not self.others:
            return (
                f"the scores {self.name!r} lie between 0 and 1; "
                "score_kind='probabilities' if they are probabilities"
            )
        if 2 * self.rising > self.lists:
            return (
                f"the scores {self.name!r} rise from the first hypothesis to the last in "
                f"{self.rising} of {self.lists} lists; score_kind='costs' if lower is better"
            )
        is_falling = 2 * self.rising < self.lists
        if is_positive and not is_falling:
            return (
                f"the scores {self.name!r} are above 0, where log-probabilities are below; "
                "score_kind='costs' if lower is better"
            )
        return None
