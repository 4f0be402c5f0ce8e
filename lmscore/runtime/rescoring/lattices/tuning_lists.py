"""N-best lists of lattices on which the weights of their rescoring can be tuned.

The lists grow by the best texts under the weights found so far, until nothing new comes (minimum
error rate training; Och 2003, section 7).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lmscore.errors import OptionError
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.lattices.expansion import rescore_lattice
from lmscore.runtime.rescoring.lattices.lattice import Lattice
from lmscore.runtime.rescoring.lattices.paths import LatticePath, n_best
from lmscore.runtime.rescoring.lattices.search_options import LatticeOptions
from lmscore.runtime.rescoring.lists import Hypothesis, NBestList, Weights
from lmscore.runtime.rescoring.models import (
    LODR,
    ListScorer,
    Lodr,
    LodrScorer,
    RecurrentScorer,
)

ACOUSTIC, OLD_LM = "acoustic", "lm"
"""The lattice's own scores as features; `Scores.other` is part of the acoustic one."""

_FIRST_SCALES = (2.0, 8.0, 20.0)
"""LM scales of the first lists, with acoustic scores as they are; recognisers use 5 to 15."""

_DECIMALS = 4  # paths whose scores differ by less are one


def weighted_options(
    options: LatticeOptions, weights: Weights, *, feature: str = "lmscore"
) -> LatticeOptions:
    """Options by which the total of a path is what weights give, up to a factor.

    Args:
        options: keep their limits of the search; their scales are replaced.
        weights: of `acoustic`, `lm`, the feature and `lodr`, and the word penalty.
        feature: the new language model's name in the weights.

    Raises:
        OptionError: another feature has a weight, the lengths are normalised, the acoustic scores
            have no positive weight, or no language model has any weight.
    """
    terms = dict(weights.features)
    acoustic, new, old, lodr = (terms.pop(name, 0.0) for name in (ACOUSTIC, feature, OLD_LM, LODR))
    if any(terms.values()):
        known = ", ".join((ACOUSTIC, OLD_LM, feature, LODR))
        raise OptionError(
            f"lattices have no score {next(iter(terms))!r} that weights could weigh, only {known}"
        )
    if weights.length_normalization:
        raise OptionError("a lattice's paths cannot be normalised by their lengths")
    if acoustic <= 0:
        raise OptionError(f"the weight of {ACOUSTIC!r} is {acoustic:g}, but must be above 0")
    scale = abs(new) + abs(old)
    if not scale:
        raise OptionError(f"neither {feature!r} nor {OLD_LM!r} has a weight other than 0")
    return replace(
        options,
        acoustic_scale=1.0,
        lm_scale=scale / acoustic,
        lm_weight=new / scale,
        old_lm_weight=old / scale,
        lodr_weight=lodr / scale,
        word_penalty=weights.word_penalty / acoustic,
    )


def first_options(options: LatticeOptions) -> list[LatticeOptions]:
    """The options of the first lists: as given, and with some scales of the language models."""
    return [
        options,
        *(replace(options, acoustic_scale=1.0, lm_scale=scale) for scale in _FIRST_SCALES),
    ]


@dataclass
class LatticeLists:
    """The lists of some lattices, which grow.

    The first hypothesis of each is the best text by the lattice's own scores. The features are
    `acoustic` and `lm`, and log P of the new language model (nats), which is exact; and `lodr` with
    an n-gram model of the recogniser's own training text.
    """

    lm: LanguageModel
    lattices: Sequence[Lattice]
    lists: list[NBestList]  # one for each lattice
    feature: str = "lmscore"
    lodr: Lodr | None = None
    n: int = 100  # texts of each lattice that are looked at under given options

    @classmethod
    def of(
        cls,
        lm: LanguageModel,
        lattices: Sequence[Lattice],
        references: Sequence[str | None],
        options: LatticeOptions,
        *,
        feature: str = "lmscore",
        lodr: Lodr | None = None,
    ) -> LatticeLists:
        """Lists of one hypothesis each.

        Raises:
            OptionError: the feature has a name of the lattice's own scores.
            InputError: a lattice has no path, or the model cannot read a word.
        """
        if feature in (ACOUSTIC, OLD_LM, LODR):
            raise OptionError(f"lattices have a score {feature!r} already; choose another name")
        pairs = zip(lattices, references, strict=True)
        lists = [NBestList(lattice.id, (), reference) for lattice, reference in pairs]
        grown = cls(lm, lattices, lists, feature, lodr)
        for place, lattice in enumerate(lattices):
            grown._add(place, n_best(lattice, 1), options)
        return grown

    def own_scores(self) -> list[str]:
        """The names of the lattices' own scores, the old LM's only where it has any."""
        has_lm = any(h.features[OLD_LM] for nbest in self.lists for h in nbest.hypotheses)
        return [ACOUSTIC, *[OLD_LM] * has_lm]

    def model_scores(self) -> list[str]:
        """The names of the models' scores."""
        return [self.feature] if self.lodr is None else [self.feature, LODR]

    def grow(self, options: LatticeOptions) -> Iterator[int]:
        """Add the best texts under some options; yields for each lattice how many are new."""
        for place, lattice in enumerate(self.lattices):
            found = rescore_lattice(self.lm, lattice, options, lodr=self.lodr)
            yield self._add(place, found.n_best(self.n), options)

    def _add(self, place: int, paths: Sequence[LatticePath], options: LatticeOptions) -> int:
        """Add paths that a list does not have to it; returns their number."""
        nbest = self.lists[place]
        known = {_key(hypothesis) for hypothesis in nbest.hypotheses}
        fresh: dict[object, Hypothesis] = {}
        for path in paths:
            hypothesis = _hypothesis(path)
            if _key(hypothesis) not in known:
                fresh.setdefault(_key(hypothesis), hypothesis)
        texts = [_read(hypothesis.text, options) for hypothesis in fresh.values()]
        added = self._scored(list(fresh.values()), texts)
        self.lists[place] = replace(nbest, hypotheses=(*nbest.hypotheses, *added))
        return len(added)

    def _scored(
        self, hypotheses: Sequence[Hypothesis], texts: Sequence[str]
    ) -> Sequence[Hypothesis]:
        """Hypotheses with the scores of the texts that are read for them."""
        scorers: dict[str, ListScorer] = {self.feature: RecurrentScorer(self.feature, self.lm)}
        if self.lodr is not None:
            scorers[LODR] = LodrScorer(self.lodr)
        for name, scorer in scorers.items():
            (found,) = scorer.score_lists([texts])
            pairs = zip(hypotheses, found.scores, strict=True)
            hypotheses = [one.with_feature(name, score.log_prob) for one, score in pairs]
        return hypotheses


def _hypothesis(path: LatticePath) -> Hypothesis:
    own = {ACOUSTIC: path.scores.acoustic + path.scores.other, OLD_LM: path.scores.lm}
    return Hypothesis(path.text, own)


def _key(hypothesis: Hypothesis) -> object:
    features = hypothesis.features
    return hypothesis.text, *(round(features[name], _DECIMALS) for name in (ACOUSTIC, OLD_LM))


def _read(text: str, options: LatticeOptions) -> str:
    """The text as the model reads it: prepared word by word."""
    return " ".join(filter(None, map(options.prepare, text.split(" "))))
