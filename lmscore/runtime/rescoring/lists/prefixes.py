"""Lists whose hypotheses follow a text: what is translated, or what a recogniser understood.

A model of pairs, or any that reads a prefix, scores ln P(hypothesis | text). As a noisy channel it
is ln P(text | hypothesis): the hypothesis explains what was seen (Brown et al. 1993).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lmscore.errors import InputError
from lmscore.files import input_name
from lmscore.names import Utf8Errors
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.lists.features import Prepare, ScoredList
from lmscore.runtime.rescoring.lists.nbest import NBestList
from lmscore.runtime.rescoring.lists.reference_files import read_references
from lmscore.runtime.rescoring.models import ListScores, windows
from lmscore.runtime.scoring import Score

_Pair = tuple[str, str]  # the text that is read before, and the one that is scored


def with_prefixes(
    lists: Iterable[NBestList],
    path: str | Path,
    *,
    by_line: bool,
    first_id: int = 0,
    errors: Utf8Errors = "strict",
) -> Iterator[NBestList]:
    """Lists with a text of a file that their hypotheses follow; texts without a list are ignored.

    Args:
        lists: as they were read.
        path: one text a line, in one of the forms that `reference_files` describes.
        by_line: whether the ids of the lists count the lines; otherwise each line has an id.
        first_id: the id of the first line's list, if ids count lines.
        errors: "replace" puts U+FFFD in the place of invalid UTF-8.

    Raises:
        InputFileError: the file cannot be opened or read.
        InputError: a line is not what it should be, or a list has no text.
    """
    name = input_name(path)
    texts = read_references(path, by_line=by_line, errors=errors, what="prefix")
    for nbest in lists:
        key = nbest.id
        if by_line and key.isdecimal():
            key = str(int(key) - first_id)
        if key not in texts:
            raise InputError(f"{name}: no prefix for the list {nbest.id!r}")
        yield replace(nbest, prefix=texts[key])


def with_first_as_prefix(lists: Iterable[NBestList]) -> Iterator[NBestList]:
    """Lists whose hypotheses follow the first of them, as corrections of it."""
    for nbest in lists:
        yield replace(nbest, prefix=nbest.hypotheses[0].text if nbest.hypotheses else "")


def scored_after_prefixes(
    lists: Iterable[NBestList],
    lm: LanguageModel,
    *,
    name: str,
    channel: bool = False,
    eos: bool = True,
    prepare: Prepare = str,
) -> Iterator[ScoredList]:
    """Lists with a new feature, ln P(hypothesis | prefix of the list), in nats.

    The scores are those of `LanguageModel.score_batch` with a prefix, in the model's own context.
    Lists come in their order, in bounded memory; equal hypotheses of a list are scored once.

    Args:
        lists: with prefixes, as `with_prefixes` gives them.
        lm: a model that reads forward.
        name: the name of the new feature.
        channel: give ln P(prefix of the list | hypothesis) instead.
        eos: whether </s> is scored.
        prepare: a function from a text to the text that the model sees.

    Raises:
        InputError: the model cannot read a text, or a list has no prefix; says which.
        OptionError: a backward model, or a list has a feature of that name.
    """
    lm.check_forward("a prefix")
    waiting: deque[NBestList] = deque()

    def texts() -> Iterator[list[str]]:
        for nbest in lists:
            waiting.append(nbest)
            yield [prepare(hypothesis.text) for hypothesis in nbest.hypotheses]

    for window in windows(texts()):
        given = [waiting.popleft() for _ in window.lists]
        pairs = [
            _pairs(nbest, hypotheses, prepare, channel=channel)
            for nbest, hypotheses in zip(given, window.lists, strict=True)
        ]
        found = _scores(lm, given, pairs, eos=eos)
        for nbest, some in zip(given, pairs, strict=True):
            yield ScoredList.of(nbest, {name: ListScores([found[pair] for pair in some])})


def _pairs(
    nbest: NBestList, hypotheses: Sequence[str], prepare: Prepare, *, channel: bool
) -> list[_Pair]:
    """What is read before, and what is scored, for each hypothesis of a list."""
    if nbest.prefix is None:
        raise InputError(f"{nbest.name} has no prefix")
    prefix = prepare(nbest.prefix)
    return [(text, prefix) if channel else (prefix, text) for text in hypotheses]


def _scores(
    lm: LanguageModel, lists: Sequence[NBestList], pairs: Sequence[Sequence[_Pair]], *, eos: bool
) -> dict[_Pair, Score]:
    """The scores of the distinct pairs of some lists."""
    distinct = list(dict.fromkeys(pair for some in pairs for pair in some))
    try:
        return dict(zip(distinct, _stream(lm, distinct, eos=eos), strict=True))
    except InputError:
        for nbest, some in zip(lists, pairs, strict=True):
            for position, pair in enumerate(some, 1):
                _refuse(lm, pair, f"{nbest.name}, hypothesis {position}", eos=eos)
        raise


def _refuse(lm: LanguageModel, pair: _Pair, place: str, *, eos: bool) -> None:
    """Raise an InputError that names the place of a pair, if the model cannot read it."""
    try:
        list(_stream(lm, [pair], eos=eos))
    except InputError as error:
        raise InputError(f"{place}: {error}") from error


def _stream(lm: LanguageModel, pairs: Sequence[_Pair], *, eos: bool) -> Iterator[Score]:
    return lm.score_stream(
        [text for _, text in pairs],
        prefix=[prefix for prefix, _ in pairs],
        eos=eos,
        tokens=False,
    )
