"""What `score` and `ppl` share: records through a language model, one by one as they come."""

from __future__ import annotations

import os
import stat
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lmscore.bundle import Context
from lmscore.cli import streams
from lmscore.cli.progress import Progress
from lmscore.cli.records import Record
from lmscore.errors import LmscoreError

if TYPE_CHECKING:
    from lmscore.runtime.model import LanguageModel
    from lmscore.runtime.score import Score

PROMPT = "type text, one sentence per line; Ctrl-D ends it"  # for whom it is `interactive`


def score_records(
    lm: LanguageModel,
    records: Iterable[Record],
    *,
    bos: bool,
    eos: bool,
    context: Context | None,
    line_buffered: bool = False,
) -> Iterator[tuple[Record, Score]]:
    """Each record with its score, in order, in constant memory.

    Whenever everything read so far is scored, standard output is flushed before more is read. An
    error in the input is raised after the records before it.

    Args:
        line_buffered: score every record before the next is read, for someone who waits for it.
    """
    waiting: deque[Record] = deque()
    failures: list[LmscoreError] = []

    def texts() -> Iterator[str]:
        try:
            for record in records:
                waiting.append(record)
                yield record.text
                if not waiting:
                    streams.flush()
        except LmscoreError as error:
            failures.append(error)

    window = 1 if line_buffered else None
    for score in lm.score_stream(
        texts(), bos=bos, eos=eos, context=context, tokens=False, window=window
    ):
        yield waiting.popleft(), score
    for failure in failures:
        raise failure


def with_progress(
    scored: Iterable[tuple[Record, Score]], paths: Sequence[str], *, data_on_stdout: bool
) -> Iterator[tuple[Record, Score]]:
    """The same records, under a progress bar where it does not come between the data."""
    shown = not interactive(paths) and not (data_on_stdout and streams.is_terminal(sys.stdout))
    done = 0
    with Progress("scoring", total=_total_bytes(paths), shown=shown) as progress:
        for lines, (record, score) in enumerate(scored, 1):
            yield record, score
            done += len(record.text.encode()) + 1
            progress.update(done, f"{lines / progress.seconds:,.0f} lines/s")


def interactive(paths: Sequence[str]) -> bool:
    """Whether somebody types the text."""
    return "-" in paths and streams.is_terminal(sys.stdin)


def describe(lm: LanguageModel, context: Context | None) -> str:
    """Which model a number comes from, in a few words."""
    return f"{lm.path.resolve().name} ({lm.variant}, {context or lm.config.context} context)"


def _total_bytes(paths: Sequence[str]) -> int | None:
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
