"""The lists on which `lmscore tune` finds the weights of lattice rescoring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmscore.cli import streams
from lmscore.cli.progress import Progress
from lmscore.cli.rescoring.list_input import ListInput
from lmscore.cli.rescoring.list_models import ListModels
from lmscore.cli.rescoring.seen_text import SeenText
from lmscore.cli.rescoring.text_form import SAMPLE, settled_preparation, texts_of_lattices
from lmscore.cli.usage import UsageError

if TYPE_CHECKING:
    from lmscore.runtime.rescoring.lattices import (
        Lattice,
        LatticeFormat,
        LatticeLists,
        LatticeOptions,
    )
    from lmscore.runtime.rescoring.lists import Metric, NBestList, Weights

_MAX_ROUNDS = 10


def lattice_format(lists: ListInput) -> LatticeFormat | None:
    """The format of the input if it holds lattices; a pipe holds them if it is named.

    Raises:
        UsageError: options for lists contradict each other.
        InputFileError: the first file cannot be read.
    """
    from lmscore.runtime.rescoring.lattices import known_formats

    found = known_formats().get(lists.input_format or "")
    if found is not None:
        return found
    lists.check()
    if lists.input_format is not None:
        return None
    from lmscore.files import expanded_paths, is_file
    from lmscore.runtime.rescoring.formats import Document, detect
    from lmscore.runtime.rescoring.lattices import detect as detect_lattices

    if any(path.startswith("@") for path in lists.paths):
        return None
    first = next(iter(expanded_paths(lists.paths)), "-")
    if str(first) == "-" or not is_file(first):  # what a pipe gives can be read only once
        return None
    with Document(first, errors=lists.errors) as document:
        return None if detect(document.head) else detect_lattices(document.head)


def check_lattice_options(lists: ListInput, models: ListModels, seen: SeenText) -> None:
    """Raise UsageError for options that have no meaning for lattices."""
    if lists.references is None:
        raise UsageError("lattices hold no references: give --references")
    meaningless = {
        "--lm": models.lm,
        "--mix": models.mix,
        "--unnormalized": models.unnormalized,
        "--no-eos": not models.eos,
        "--join": seen.join,
        "--costs": lists.costs,
        "--probabilities": lists.probabilities,
        "--beam-size": lists.beam_size,
        "--scores": lists.scores,
        "--missing-list empty": lists.missing_list == "empty",
    }
    for option, given in meaningless.items():
        if given:
            raise UsageError(f"{option} is for lists, not for lattices")
    from lmscore.runtime.rescoring.lattices import ACOUSTIC, OLD_LM
    from lmscore.runtime.rescoring.models import LODR

    if models.feature in (ACOUSTIC, OLD_LM, LODR):
        raise UsageError(
            f"lattices have a score {models.feature!r} already; choose another --feature"
        )


@dataclass(frozen=True)
class LatticeTuning:
    """Makes the lists of lattices that the weights have to choose from."""

    models: ListModels
    seen: SeenText  # what the model reads
    metric: Metric  # for which weights are tuned while the lists grow
    word_penalty: bool  # whether one is tuned
    seed: int  # of all that is random

    def lists(
        self, given: ListInput, found_format: LatticeFormat, weights: Weights | None
    ) -> tuple[list[NBestList], list[str]]:
        """Lists with all scores, and the names of the lattices' own.

        Args:
            given: the lattices and their references.
            found_format: the format of the lattices.
            weights: these are to be judged and not tuned: one round under them.
        """
        from lmscore.runtime.rescoring.lattices import (
            LatticeLists,
            LatticeOptions,
            first_options,
            weighted_options,
        )
        from lmscore.runtime.rescoring.models import RecurrentScorer

        lattices, references = _read(given, found_format)
        feature = self.models.feature
        lm, lodr = self.models.load_with_lodr(self.models.lodr)
        sample, scorers = texts_of_lattices(lattices[:SAMPLE]), [RecurrentScorer(feature, lm)]
        options = LatticeOptions(
            prepare=settled_preparation(self.seen, sample, scorers, given.errors)
        )
        grown = LatticeLists.of(lm, lattices, references, options, feature=feature, lodr=lodr)
        if weights is not None:
            _grow(grown, [weighted_options(options, weights, feature=feature)])
            return grown.lists, grown.own_scores()
        _grow(grown, first_options(options))
        compared = self.seen.preparation(given.errors, seen=False)
        for _ in range(_MAX_ROUNDS):
            tuned = weighted_options(options, self._tuned(grown, compared), feature=feature)
            if not _grow(grown, [tuned]):
                break
        total = sum(len(nbest.hypotheses) for nbest in grown.lists)
        streams.note(f"{total:,} hypotheses of {len(grown.lists)} lattices")
        return grown.lists, grown.own_scores()

    def _tuned(self, grown: LatticeLists, compared: Callable[[str], str]) -> Weights:
        """The weights that are best on the lists as they are."""
        from lmscore.runtime.rescoring.lists import WORDS
        from lmscore.runtime.rescoring.tuning import as_weights, candidates, find_weights

        terms = [*grown.own_scores(), *grown.model_scores(), *[WORDS] * self.word_penalty]
        judged = candidates(grown.lists, terms, self.metric, normalize=compared)
        return as_weights(judged, find_weights(judged, seed=self.seed))


def _read(given: ListInput, found_format: LatticeFormat) -> tuple[list[Lattice], list[str | None]]:
    """The lattices that have references, and these."""
    from lmscore.runtime.rescoring.lattices import open_lattices
    from lmscore.runtime.rescoring.lists import NBestList, with_references

    _, read = open_lattices(
        given.paths, found_format.name, symbols=given.symbols, errors=given.errors
    )
    lattices = {lattice.id: lattice for lattice in read}
    streams.note(f"{len(lattices)} lattices, {found_format.name}")
    lists = with_references(
        (NBestList(name, ()) for name in lattices),
        given.references or "",  # which `check_lattice_options` asks for
        by_line=False,
        missing=given.missing_list,
        errors=given.errors,
    )
    return [lattices[nbest.id] for nbest in lists], [nbest.reference for nbest in lists]


def _grow(grown: LatticeLists, searches: Sequence[LatticeOptions]) -> int:
    """Let lists grow under some options, one after another; returns the number of new texts."""
    new = done = 0
    with Progress("lattices", total=len(searches) * len(grown.lattices)) as progress:
        for options in searches:
            for found in grown.grow(options):
                new, done = new + found, done + 1
                progress.update(done, f"{new:,} new texts")
    return new
