"""`--compat`: reports in the layout of another tool."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from lmscore.cli.outfile import Output
from lmscore.cli.records import Record
from lmscore.cli.usage import UsageError

if TYPE_CHECKING:
    from lmscore.names import Tool
    from lmscore.runtime.scoring import CompatReport, Score


def start_report(
    tool: Tool | None, paths: Sequence[str], *, bos: bool, eos: bool, layouts: Mapping[str, bool]
) -> CompatReport | None:
    """Start a report on some files in the layout of a tool; None if no tool is named.

    Args:
        layouts: the options that ask for another layout, and whether each was given.

    Raises:
        UsageError: another option contradicts --compat.
    """
    if tool is None:
        return None
    for option, given in layouts.items():
        if given:
            raise UsageError(f"--compat {tool} has a layout of its own: leave {option} out")
    if not bos:
        raise UsageError(
            f"--compat {tool} counts every word, and --no-bos leaves the first without a score"
        )
    from lmscore.runtime.scoring import CompatReport

    return CompatReport(tool, eos=eos, source=" ".join(paths))


def print_report(
    report: CompatReport,
    scored: Iterable[tuple[Record, Score]],
    output: Output,
    *,
    words: bool,
    summary: bool,
) -> None:
    """Print a block for each sentence (`words`: with its words), and for the text (`summary`)."""
    for _, score in scored:
        report.add(score)
        output.write(report.sentence(score, words=words))
    if summary:
        output.write(report.summary())
