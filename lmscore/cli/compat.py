"""`--compat`: reports in the layout of another tool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lmscore.cli.usage import UsageError

if TYPE_CHECKING:
    from lmscore.names import Tool
    from lmscore.runtime.scoring import CompatReport


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
