"""Lists of the same number of lines each, without ids: NeMo's, and plain texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lmscore.errors import InputError, OptionError
from lmscore.runtime.rescoring.formats.document import Document
from lmscore.runtime.rescoring.formats.format import ReadOptions
from lmscore.runtime.rescoring.lists import Hypothesis


def beam_size(document: Document, options: ReadOptions, *, what: str, advice: str = "") -> int:
    """The number of lines that each list has.

    Raises:
        OptionError: it is not given, or is below 1; the message says what the file is, and
            `advice` is another way out.
    """
    if options.beam_size is None:
        raise OptionError(
            f"{document.name}: {what}, which does not say where a list ends; give its beam size "
            f"(`beam_size`){advice}"
        )
    if options.beam_size < 1:
        raise OptionError(f"the beam size must be at least 1, not {options.beam_size}")
    return options.beam_size


def with_keys(
    document: Document, hypotheses: Iterable[Hypothesis], size: int
) -> Iterator[tuple[str, Hypothesis]]:
    """Each hypothesis after the id of its list, which is its number.

    Raises:
        InputError: the last list has fewer lines than the others.
    """
    number = 0
    for number, hypothesis in enumerate(hypotheses, 1):
        yield str(document.first_index + (number - 1) // size), hypothesis
    if number % size:
        raise InputError(
            f"{document.where(number)}: {number} lines are not a multiple of the beam size {size}; "
            "give the one they were written with"
        )


def line_with_scores(hypothesis: Hypothesis) -> str:
    """The line of a hypothesis with its new scores as last columns."""
    new = [repr(hypothesis.features[name]) for name in hypothesis.added]
    return "\t".join([hypothesis.source.text, *new])
