"""Kaldi n-best text: `utt-1 w1 w2 ...`, scores in archives of their own: `utt-1 cost`.

What Kaldi's scripts hand to a scorer of theirs is the same text, and what they want back is the
archive that a list with one new feature is written as. Costs are -ln P.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from lmscore.errors import InputError, OptionError
from lmscore.runtime.rescoring.formats.document import Document, Line, lists_of_rows, rendered_lines
from lmscore.runtime.rescoring.formats.format import Format, Head, ReadOptions, Surety
from lmscore.runtime.rescoring.formats.numbers import parse_score
from lmscore.runtime.rescoring.formats.symbols import is_count, read_symbols
from lmscore.runtime.rescoring.lists import Hypothesis, NBestList

_BLANKS = " \t"
_BLANK = re.compile(rf"[{_BLANKS}]+")
_KEY = re.compile(r"(.+)-(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?[0-9]*\.[0-9]+(e[-+]?[0-9]+)?( |$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class KaldiLine(Line):
    """A line and its key."""

    key: str


def split_key(line: str) -> tuple[str, str]:
    """The first field of a line and the rest, without the blanks around either."""
    stripped = line.strip(_BLANKS)
    end = next((i for i, character in enumerate(stripped) if character in _BLANKS), len(stripped))
    return stripped[:end], stripped[end:].lstrip(_BLANKS)


def single_spaced(text: str) -> str:
    """The words of a text, one blank apart: the file's blanks are no part of what was said."""
    return _BLANK.sub(" ", text).strip(_BLANKS)


def utterance_of(key: str) -> str | None:
    """The utterance of a key `utterance-N`, N without leading zeros; None for any other key."""
    match = _KEY.fullmatch(key)
    return match and match[1]


def _read(document: Document, options: ReadOptions) -> Iterator[NBestList]:
    symbols = None if options.symbols is None else read_symbols(options.symbols)
    if symbols is None:
        _check_words(document)
    with ExitStack() as stack:
        archives = {
            name: _Archive(stack.enter_context(Document(path, errors=document.errors)))
            for name, path in options.scores.items()
        }
        for nbest in lists_of_rows(document, _rows(document, archives, symbols)):
            _check_keys(document, nbest)
            yield nbest
        for archive in archives.values():
            archive.finish(document.name)


def _check_words(document: Document) -> None:
    """Raise InputError where the texts are Kaldi's numbers of words; digits may be spoken."""
    texts = [split_key(line)[1].split() for line in Head(document.head).lines]
    words = [word for text in texts for word in text]
    if words and all(map(is_count, words)) and any(len(word) > 1 for word in words):
        raise InputError(
            f"{document.name}: the words are numbers; give Kaldi's symbol table (`symbols`)"
        )


def _rows(
    document: Document, archives: Mapping[str, _Archive], symbols: Mapping[str, str] | None
) -> Iterator[tuple[str, Hypothesis]]:
    for line in document.lines():
        where = document.where(line.number)
        key, text = split_key(line.text)
        utterance = utterance_of(key)
        if utterance is None:
            hint = "; lattices are for lmscore lattice" if key.isdecimal() else ""
            raise InputError(
                f"{where}: the key (field 1) is {key!r}, expected UTTERANCE-NUMBER{hint}"
            )
        features = {name: archive.score(key, where) for name, archive in archives.items()}
        source = KaldiLine(line.text, line.end, line.number, key)
        if symbols is not None:
            text = _spelt(text.split(), symbols, where)
        yield utterance, Hypothesis(single_spaced(text), features, source=source)


def _spelt(labels: Sequence[str], symbols: Mapping[str, str], where: str) -> str:
    for label in labels:
        if label not in symbols:
            raise InputError(f"{where}: {label!r} is not in the symbol table")
    return " ".join(symbols[label] for label in labels)


def _check_keys(document: Document, nbest: NBestList) -> None:
    seen = set()
    for line in (hypothesis.source for hypothesis in nbest.hypotheses):
        if line.key in seen:
            where = document.where(line.number)
            raise InputError(f"{where}: the key {line.key!r} was there before")
        seen.add(line.key)


class _Archive:
    """Scores `key cost`, read along with the hypotheses they belong to."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._lines = document.lines()

    def score(self, key: str, where: str) -> float:
        """The next cost, which must belong to `key`, as a log-probability in nats."""
        line = next(self._lines, None)
        if line is None:
            raise InputError(f"{self._document.name}: ends before the key {key!r} of {where}")
        found, cost = split_key(line.text)
        if found != key:
            raise InputError(
                f"{self._document.where(line.number)}: the key is {found!r}, but {where} has "
                f"{key!r}; the scores must be in the order of the list"
            )
        return parse_score(cost, self._document.where(line.number, "cost (field 2)"), unit=-1.0)

    def finish(self, list_name: str) -> None:
        """Raise InputError where there is a score left."""
        for line in self._lines:
            where = self._document.where(line.number)
            raise InputError(f"{where}: {list_name} ends before this score")


def _render(nbest: NBestList) -> str:
    """The lines, or, where there is a new feature, the lines of a score archive."""
    if any(h.added for h in nbest.hypotheses):
        return "".join(f"{h.source.key} {_cost(h)!r}\n" for h in nbest.hypotheses)
    return rendered_lines(nbest, lambda hypothesis: hypothesis.source.text)


def _cost(hypothesis: Hypothesis) -> float:
    if len(hypothesis.added) != 1:
        raise OptionError(
            f"a Kaldi score archive holds one score, not {', '.join(hypothesis.added)}; "
            "write one archive each"
        )
    return 0.0 - hypothesis.features[hypothesis.added[0]]  # rather than -x: there is no cost of -0


def _recognises(head: Head) -> Surety:
    """Keys number the hypotheses of each utterance from 1, and the texts are words.

    The order of the numbers is that of the decoder, or that of `sort` (1, 10, 2).
    """
    rows = [split_key(line) for line in head.lines]
    keys = [(utterance_of(key), key) for key, _ in rows]
    if keys[0][0] is None or sum(utterance is not None for utterance, _ in keys) < len(keys) / 2:
        return Surety.NO
    groups = [
        [int(key.rpartition("-")[2]) for _, key in group]
        for utterance, group in groupby(keys, key=itemgetter(0))
        if utterance is not None
    ]
    *whole, last = groups  # the head may end within the last one
    numbered = sum(sorted(group) == list(range(1, len(group) + 1)) for group in whole)
    numbered += 1 in last and len(set(last)) == len(last)
    if numbered < len(groups) / 2:
        return Surety.NO
    if sum(_DECIMAL.match(text) is not None for _, text in rows) > len(rows) / 2:
        return Surety.NO  # columns of scores
    # Kaldi's own tools write a blank after the key; with a tab it may be an id of `tsv`.
    return Surety.POSSIBLE if "\t" in head.first else Surety.LIKELY


KALDI = Format(
    "kaldi",
    _recognises,
    _read,
    _render,
    options=frozenset({"scores", "symbols"}),
    score=None,
    are_costs=True,
)
