"""Scoring records as they are read, with a progress bar: shared by the verbs that read text."""

from __future__ import annotations

import math
import os
import stat
import sys
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import groupby, tee
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lmscore.bundle import Context
from lmscore.cli import streams
from lmscore.cli.progress import Progress
from lmscore.compression import SUFFIXES
from lmscore.corpus.reading import Record
from lmscore.errors import LmscoreError
from lmscore.names import Segmentation, Split

if TYPE_CHECKING:
    from lmscore.runtime.bidirectional import BidirectionalModel
    from lmscore.runtime.model import LanguageModel
    from lmscore.runtime.scoring import Score, TextMeasures

Result = TypeVar("Result")

_NO_TEXT = (*SUFFIXES, ".parquet", ".arrow", ".feather")  # their size is not that of the text
PROMPT = "type text, one sentence per line; Ctrl-D ends it"  # shown if the input is `interactive`


def score_records(
    lm: LanguageModel,
    records: Iterable[Record],
    *,
    bos: bool,
    eos: bool,
    context: Context | None,
    tokens: bool = False,
    words: bool = False,
    prefix: str | None = None,
    own_prefixes: bool = False,
    joiner: str | None = None,
    split: Split = "none",
    language: str = "en",
    oov_cost: float | LanguageModel | None = None,
    segmentation: Segmentation = "auto",
    document_of: Callable[[Record], Hashable] = lambda record: record.file,
    line_buffered: bool = False,
    flush: Callable[[], None] = streams.flush,
) -> Iterator[tuple[Record, Score]]:
    """Score records, in order, in constant memory.

    The output is flushed whenever all records read so far are scored and more are to be read. An
    error in the input is raised after the records before it. A record that has an `error` comes
    with the score nan.

    Args:
        prefix: a text that every record follows.
        own_prefixes: whether each record follows its own prefix instead.
        document_of: in document context, the state is carried between records with the same key.
        line_buffered: score each record before the next is read.
        flush: flushes the output.

    The other options are those of `LanguageModel.score_stream`.
    """
    carry = (context or lm.config.context) == "document" and prefix is None and not own_prefixes

    def score_apart(read: Iterator[Record]) -> Iterator[Score]:
        for _, document in groupby(read, document_of):
            yield from score(document)

    def score(read: Iterator[Record]) -> Iterator[Score]:
        first, second = tee(read) if own_prefixes else (read, ())
        return lm.score_stream(
            (record.text for record in first),
            bos=bos,
            eos=eos,
            context=context,
            tokens=tokens,
            words=words,
            prefix=(record.prefix or "" for record in second) if own_prefixes else prefix,
            joiner=joiner,
            split=split,
            language=language,
            oov_cost=oov_cost,
            segmentation=segmentation,
            window=1 if line_buffered else None,
        )

    return _beside(records, score_apart if carry else score, flush, _unscored)


def score_both_ways(
    both: BidirectionalModel,
    records: Iterable[Record],
    *,
    tokens: bool = False,
    words: bool = False,
    line_buffered: bool = False,
    flush: Callable[[], None] = streams.flush,
) -> Iterator[tuple[Record, Score]]:
    """Score records as `score_records` does, each token given what is before and after it."""

    def score(read: Iterator[Record]) -> Iterator[Score]:
        return both.score_stream(
            (record.text for record in read),
            tokens=tokens,
            words=words,
            window=1 if line_buffered else None,
        )

    return _beside(records, score, flush, _unscored)


def measure_records(
    measure: Callable[..., Iterator[TextMeasures]],
    records: Iterable[Record],
    *,
    line_buffered: bool,
    flush: Callable[[], None],
) -> Iterator[tuple[Record, TextMeasures]]:
    """Score and measure records as `score_records` scores them.

    `measure` is a model's `measure_stream`, with options of its own.
    """

    def measured(read: Iterator[Record]) -> Iterator[TextMeasures]:
        texts = (record.text for record in read)
        return measure(texts, window=1 if line_buffered else None)

    return _beside(records, measured, flush, _unmeasured)


def _beside(
    records: Iterable[Record],
    function: Callable[[Iterator[Record]], Iterator[Result]],
    flush: Callable[[], None],
    unscored: Callable[[], Result],
) -> Iterator[tuple[Record, Result]]:
    """Each record with the result of its text, or with `unscored` if it has an error.

    `function` reads some records ahead.
    """
    waiting: deque[Record] = deque()
    failures: list[LmscoreError] = []

    def read() -> Iterator[Record]:
        try:
            for record in records:
                waiting.append(record)
                if record.error is None:
                    yield record
                if not waiting:
                    flush()
        except LmscoreError as error:
            failures.append(error)

    for result in function(read()):
        while waiting[0].error is not None:
            yield waiting.popleft(), unscored()
        yield waiting.popleft(), result
    while waiting:
        yield waiting.popleft(), unscored()
    for failure in failures:
        raise failure


def _unscored() -> Score:
    from lmscore.runtime.scoring import Score

    return Score("", math.nan, 0, 0, 0, 0.0)


def _unmeasured() -> TextMeasures:
    from lmscore.runtime.scoring import TextMeasures

    return TextMeasures("", (), (), _unscored())


def with_progress(
    scored: Iterable[tuple[Record, Result]],
    paths: Sequence[str],
    *,
    data_on_stdout: bool,
    skipped: int = 0,
) -> Iterator[tuple[Record, Result]]:
    """Pass records on under a progress bar.

    See `input_progress` for the options.
    """
    done = 0
    with input_progress(
        "scoring", paths, data_on_stdout=data_on_stdout, skipped=skipped
    ) as progress:
        for lines, (record, result) in enumerate(scored, 1):
            yield record, result
            done += record.size
            progress.update(done, f"{lines / progress.seconds:,.0f} lines/s")


def input_progress(
    description: str, paths: Sequence[str], *, data_on_stdout: bool, skipped: int = 0
) -> Progress:
    """A progress bar over the bytes of some files, hidden where it would disturb a terminal.

    Args:
        data_on_stdout: whether data are printed on standard output.
        skipped: the bytes at the beginning of the files that do not count.
    """
    shown = not interactive(paths) and not (data_on_stdout and streams.is_terminal(sys.stdout))
    size = total_bytes(paths)
    total = None if size is None else max(0, size - skipped)
    return Progress(description, total=total, shown=shown)


def interactive(paths: Sequence[str]) -> bool:
    """Whether the text is typed at a terminal."""
    return "-" in paths and streams.is_terminal(sys.stdin)


def describe(
    lm: LanguageModel,
    context: Context | None,
    both: BidirectionalModel | None = None,
    oov_cost: float | LanguageModel | None = None,
    segmentation: Segmentation = "auto",
) -> str:
    """The name of a model, and in brackets how it scores; or those of a model of each direction.

    `oov_cost`: what unknown words cost, or the model that spells them. `segmentation`: what a word
    is; it is said where words are characters.
    """
    if both is not None:
        return f"{describe(both.forward, context)} and {describe(both.backward, context)}"
    unknown = "" if lm.unk_penalty is None else f", {unknown_words(lm.unk_penalty)}"
    backward = ", backward" if lm.config.direction == "backward" else ""
    softmax = ", unnormalized" if lm.unnormalized else ""
    how = f"{lm.variant}{softmax}, {context or lm.config.context} context{backward}{unknown}"
    if "characters" in (segmentation, lm.segmentation) and segmentation != "spaces":
        how += ", words are characters"
    if isinstance(oov_cost, float):
        how += f", OOVs cost {oov_cost:g} nats more"
    elif oov_cost is not None:
        how += f", OOVs spelt by {oov_cost.path.resolve().name}"
    return f"{lm.path.resolve().name} ({how})"


def unknown_words(penalty: float) -> str:
    """What is said of an n-gram model in which an unknown word has no probability of its own."""
    return f"no <unk>: an unknown word costs {penalty:.4g} nats"


def total_bytes(paths: Sequence[str]) -> int | None:
    """The size of some files; None if one is a pipe or compressed, whose size is not known."""
    try:
        files = [os.fstat(0) if path == "-" else Path(path).stat() for path in paths]
    except OSError:
        return None
    known = all(stat.S_ISREG(file.st_mode) for file in files)
    if not known or any(path.endswith(_NO_TEXT) for path in paths):
        return None
    return sum(file.st_size for file in files)
