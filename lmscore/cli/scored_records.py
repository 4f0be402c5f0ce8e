"""What verbs that read text share: records through a language model, one by one as they come."""

from __future__ import annotations

import os
import stat
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lmscore.bundle import Context
from lmscore.cli import streams
from lmscore.cli.progress import Progress
from lmscore.cli.records import Record
from lmscore.errors import LmscoreError
from lmscore.names import Unit

if TYPE_CHECKING:
    from lmscore.runtime.model import LanguageModel
    from lmscore.runtime.scoring import Score

Result = TypeVar("Result")

PROMPT = "type text, one sentence per line; Ctrl-D ends it"  # for whom it is `interactive`


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
    line_buffered: bool = False,
    flush: Callable[[], None] = streams.flush,
) -> Iterator[tuple[Record, Score]]:
    """Each record with its score, in order, in constant memory.

    Whenever everything read so far is scored, the output is flushed before more is read. An error
    in the input is raised after the records before it.

    Args:
        lm: the model.
        records: what to score.
        bos: start each from <s>.
        eos: score the end of each.
        context: whether the state is carried from one to the next. Default: as the model says.
        tokens: fill `Score.tokens`.
        words: fill `Score.words`.
        prefix: what each of them follows.
        own_prefixes: whether each follows its own prefix instead.
        line_buffered: score every record before the next is read, for someone who waits for it.
        flush: hands what was written to whoever reads it.
    """
    waiting: deque[Record] = deque()
    failures: list[LmscoreError] = []

    def read() -> Iterator[Record]:
        try:
            for record in records:
                waiting.append(record)
                yield record
                if not waiting:
                    flush()
        except LmscoreError as error:
            failures.append(error)

    first, second = tee(read()) if own_prefixes else (read(), ())
    for score in lm.score_stream(
        (record.text for record in first),
        bos=bos,
        eos=eos,
        context=context,
        tokens=tokens,
        words=words,
        prefix=(record.prefix or "" for record in second) if own_prefixes else prefix,
        window=1 if line_buffered else None,
    ):
        yield waiting.popleft(), score
    for failure in failures:
        raise failure


def with_progress(
    scored: Iterable[tuple[Record, Result]],
    paths: Sequence[str],
    *,
    data_on_stdout: bool,
    skipped: int = 0,
) -> Iterator[tuple[Record, Result]]:
    """The same records, under a progress bar where it does not come between the data.

    Args:
        scored: what to pass on.
        paths: what the records are read from.
        data_on_stdout: whether they are printed there.
        skipped: the bytes at the beginning of it that are not scored.
    """
    shown = not interactive(paths) and not (data_on_stdout and streams.is_terminal(sys.stdout))
    done, size = 0, total_bytes(paths)
    total = None if size is None else max(0, size - skipped)
    with Progress("scoring", total=total, shown=shown) as progress:
        for lines, (record, result) in enumerate(scored, 1):
            yield record, result
            done += len(record.text.encode()) + 1
            progress.update(done, f"{lines / progress.seconds:,.0f} lines/s")


def count(score: Score, unit: Unit, *, eos: bool) -> int:
    """How many units were scored, to divide log-probabilities by; </s> is one more of each."""
    if unit == "token":
        return score.num_tokens
    return (score.num_words if unit == "word" else len(score.text)) + eos


def interactive(paths: Sequence[str]) -> bool:
    """Whether somebody types the text."""
    return "-" in paths and streams.is_terminal(sys.stdin)


def describe(lm: LanguageModel, context: Context | None) -> str:
    """Which model a number comes from, in a few words."""
    backward = ", backward" if lm.config.direction == "backward" else ""
    softmax = ", unnormalized" if lm.unnormalized else ""
    how = f"{lm.variant}{softmax}, {context or lm.config.context} context{backward}"
    return f"{lm.path.resolve().name} ({how})"


def total_bytes(paths: Sequence[str]) -> int | None:
    """How much there is to read; None for pipes and compressed files, where nobody knows."""
    try:
        files = [os.fstat(0) if path == "-" else Path(path).stat() for path in paths]
    except OSError:
        return None
    if not all(stat.S_ISREG(file.st_mode) for file in files):
        return None
    if any(path.endswith((".gz", ".xz")) for path in paths):
        return None
    return sum(file.st_size for file in files)
