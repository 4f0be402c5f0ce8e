"""Letters and phones aligned to joint units, and pronunciations decoded from a model of them.

A joint unit (graphone) is a few letters with the phones that they spell: `ph}F`, `x}K|S`, `e}_`. A
word and its pronunciation are one sequence of units, and any language model of such sequences finds
pronunciations: the likeliest sequence whose letters are those of the word (Bisani & Ney 2008,
"Joint-sequence models for grapheme-to-phoneme conversion"). The alignment is found by expectation
maximisation over all ways to cut both into units.

A unit is written LETTERS}PHONES, with | between phones and _ for none.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmscore import LanguageModel, State

SHAPES = ((1, 1), (1, 0), (1, 2), (2, 1))
"""Letters and phones of a unit."""

_BEGIN, _END = 0, 1  # the numbers of <s> and </s>; those of units follow

_LEAST = 1e-12  # the probability of a unit that no word of the sample has

Phones = tuple[str, ...]
Pair = tuple[str, Phones]
Units = Mapping[Pair, float]  # the probability of each


def unit_name(letters: str, phones: Phones) -> str:
    """A unit as a word of a text."""
    return f"{letters}}}{'|'.join(phones) or '_'}"


def parse_unit(name: str) -> Pair | None:
    """The letters and phones of a unit; None for words that are no units, such as </s>."""
    letters, mark, phones = name.partition("}")
    if not mark:
        return None
    return letters, () if phones == "_" else tuple(phones.split("|"))


def _arcs(word: str, phones: Phones) -> Iterator[tuple[int, int, int, int]]:
    """The units from every place, as letters and phones from-to; places before come first."""
    for i in range(len(word)):
        for j in range(len(phones) + 1):
            for letters, sounds in SHAPES:
                if i + letters <= len(word) and j + sounds <= len(phones):
                    yield i, j, i + letters, j + sounds


def _probability(units: Units, unit: Pair) -> float:
    return max(units.get(unit, 0.0), _LEAST)


def _expected(pair: Pair, units: Units, counts: dict[Pair, float]) -> None:
    """Add the expected number of each unit in a pair, over all alignments (forward-backward).

    Without `units` all alignments are alike, however many units they have.
    """
    word, phones = pair
    arcs = [
        (i, j, k, n, _probability(units, (word[i:k], phones[j:n])) if units else 1.0)
        for i, j, k, n in _arcs(word, phones)
    ]
    before: dict[tuple[int, int], float] = defaultdict(float, {(0, 0): 1.0})
    for i, j, k, n, probability in arcs:
        before[k, n] += before[i, j] * probability
    after: dict[tuple[int, int], float] = defaultdict(float, {(len(word), len(phones)): 1.0})
    for i, j, k, n, probability in reversed(arcs):
        after[i, j] += after[k, n] * probability
    total = before[len(word), len(phones)]
    if total == 0:  # more than two phones a letter
        return
    for i, j, k, n, probability in arcs:
        counts[word[i:k], phones[j:n]] += before[i, j] * probability * after[k, n] / total


def learn_units(pairs: Sequence[Pair], *, rounds: int = 6) -> dict[Pair, float]:
    """The probability of every unit, by expectation maximisation."""
    units: dict[Pair, float] = {}
    for _ in range(rounds):
        counts: dict[Pair, float] = defaultdict(float)
        for pair in pairs:
            _expected(pair, units, counts)
        total = sum(counts.values())
        units = {unit: count / total for unit, count in counts.items()}
    return units


def align(pair: Pair, units: Units) -> list[str] | None:
    """The likeliest units of a pair, as words; None if it cannot be cut into units."""
    word, phones = pair
    best: dict[tuple[int, int], tuple[float, tuple[int, int] | None]] = {(0, 0): (0.0, None)}
    for i, j, k, n in _arcs(word, phones):
        if (i, j) not in best:
            continue
        cost = best[i, j][0] - math.log(_probability(units, (word[i:k], phones[j:n])))
        if (k, n) not in best or cost < best[k, n][0]:
            best[k, n] = cost, (i, j)
    place = len(word), len(phones)
    if place not in best:
        return None
    found = []
    while (origin := best[place][1]) is not None:
        found.append(unit_name(word[origin[0] : place[0]], phones[origin[1] : place[1]]))
        place = origin
    return found[::-1]


@dataclass(frozen=True)
class _Hypothesis:
    score: float  # nats
    phones: Phones
    last: int  # the unit that the models read next
    states: tuple[State, ...]  # of every model, before it


class _Model:
    """A model of units, which have numbers that all models share."""

    def __init__(self, lm: LanguageModel, names: Sequence[str]) -> None:
        """`names` are the shared units; every one is a word of the model."""
        ids = {name: number for number, name in enumerate(_words(lm))}
        marks = (lm.config.bos_token_id, lm.config.eos_token_id)
        self.lm, self._ids = lm, np.array([*marks, *(ids[name] for name in names)])

    def step(self, units: Sequence[int], state: State) -> tuple[NDArray[np.float32], State]:
        """What follows each unit: log P(unit), [B, U] nats, and the states after them."""
        log_probs, after = self.lm.step(self._ids[list(units)].tolist(), state)
        return log_probs[:, self._ids], after


def _words(lm: LanguageModel) -> list[str]:
    return lm.tokenizer.tokens(list(range(lm.vocab_size)))


class Pronouncer:
    """Pronunciations of words from language models of joint units, recurrent or n-gram.

    The probability of a unit is the mean of what the models say.
    """

    def __init__(self, *models: LanguageModel, beam_size: int = 8) -> None:
        self._beam_size = beam_size
        names = sorted(set.intersection(*(set(_words(lm)) for lm in models)))
        units = {name: unit for name in names if (unit := parse_unit(name)) is not None}
        self._models = [_Model(lm, list(units)) for lm in models]
        self._units: dict[str, list[tuple[int, Phones]]] = defaultdict(list)
        for number, (letters, phones) in enumerate(units.values(), _END + 1):
            self._units[letters].append((number, phones))

    def __call__(self, word: str) -> list[tuple[str, float]]:
        """The likeliest pronunciations, phones with spaces between, and log-probs (nats).

        A beam search over the places in the word. Sequences of units that sound alike are added.
        """
        states = tuple(each.lm.initial_state() for each in self._models)
        first = _Hypothesis(0.0, (), _BEGIN, states)
        beams: list[list[_Hypothesis]] = [[first], *([] for _ in word)]
        for place, found in enumerate(beams):
            best = sorted(found, key=lambda each: -each.score)[: self._beam_size]
            if not best:
                continue
            log_probs, after = self._step(best)
            if place == len(word):
                return _joined(best, log_probs[:, _END].tolist())
            for row, each in enumerate(best):
                own = tuple(state.select([row]) for state in after)
                for length in {letters for letters, _ in SHAPES}:
                    for unit, phones in self._units.get(word[place : place + length], ()):
                        if place + length <= len(word):
                            score = each.score + float(log_probs[row, unit])
                            longer = _Hypothesis(score, (*each.phones, *phones), unit, own)
                            beams[place + length].append(longer)
        return []

    def _step(self, best: Sequence[_Hypothesis]) -> tuple[NDArray[np.float32], list[State]]:
        """The mean of the models' probabilities after each hypothesis, as log-probs, and states."""
        found = []
        for number, model in enumerate(self._models):
            state = State.concat(each.states[number] for each in best)
            found.append(model.step([each.last for each in best], state))
        total = np.logaddexp.reduce([log_probs for log_probs, _ in found])
        return total - np.float32(math.log(len(found))), [after for _, after in found]


def _joined(best: Iterable[_Hypothesis], ends: Iterable[float]) -> list[tuple[str, float]]:
    totals: dict[str, float] = {}
    for each, end in zip(best, ends, strict=True):
        text = " ".join(each.phones)
        totals[text] = float(np.logaddexp(totals.get(text, -math.inf), each.score + end))
    return sorted(totals.items(), key=lambda item: -item[1])
