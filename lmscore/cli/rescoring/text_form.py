"""Texts in capitals or with subwords in them: told to the user, and lower-cased for --case auto."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lmscore import names
from lmscore.cli import streams

if TYPE_CHECKING:
    from lmscore.cli.rescoring.seen_text import SeenText
    from lmscore.runtime.rescoring.lattices import Lattice
    from lmscore.runtime.rescoring.lists import NBestList
    from lmscore.runtime.rescoring.models import ListScorer

SAMPLE = 10  # lists or lattices that are looked at
_TEXTS = 3  # of a lattice


def settled_preparation(
    seen: SeenText,
    sample: Sequence[NBestList],
    scorers: Sequence[ListScorer],
    errors: names.Utf8Errors,
    *,
    quiet: bool = False,
) -> Callable[[str], str]:
    """The preparation of texts for the models, whether in lower case decided by `is_lowered`.

    Raises what `is_lowered` raises.
    """
    return seen.preparation(errors, lower=is_lowered(seen, sample, scorers, errors, quiet=quiet))


def is_lowered(
    seen: SeenText,
    sample: Sequence[NBestList],
    scorers: Sequence[ListScorer],
    errors: names.Utf8Errors,
    *,
    quiet: bool = False,
) -> bool:
    """Whether the models get texts in lower case, which they themselves decide for --case auto.

    Args:
        seen: the options.
        sample: the first lists.
        scorers: the models; none where nothing is scored.
        errors: how to treat invalid UTF-8 in files with words.
        quiet: whether nothing is said.

    Raises:
        InputError: a model cannot read a text.
        InputFileError, OptionError: as `SeenText.preparation`.
    """
    from lmscore.runtime.rescoring.lists import TextForm, case_likelihood
    from lmscore.runtime.rescoring.models import LODR

    scorers = [scorer for scorer in scorers if scorer.name != LODR]  # it counts against them
    prepare = seen.preparation(errors)
    form = TextForm.of(sample, prepare)
    if form.subwords is not None and not quiet:
        streams.note(f"the texts are of subwords; --join {form.subwords} joins them for the model")
    if not scorers or seen.is_lower or not (form.in_capitals or seen.case == "auto"):
        return seen.is_lower
    likelihood = case_likelihood(sample, scorers, prepare)
    if not likelihood.prefers_lower:
        return False
    nats = f"{likelihood.lower:.0f} nats instead of {likelihood.as_given:.0f}"
    if seen.case == "auto":
        message = f"the models get the texts in lower case, where they are likelier ({nats})"
    else:
        message = f"the texts are in capitals, and likelier in lower case ({nats}): --case auto"
    if not quiet:
        streams.note(message)
    return seen.case == "auto"


def texts_of_lattices(lattices: Sequence[Lattice]) -> list[NBestList]:
    """The best texts of lattices by their own scores, as lists."""
    from lmscore.runtime.rescoring.lattices import n_best
    from lmscore.runtime.rescoring.lists import Hypothesis, NBestList

    return [
        NBestList(lattice.id, tuple(Hypothesis(path.text, {}) for path in n_best(lattice, _TEXTS)))
        for lattice in lattices
    ]
