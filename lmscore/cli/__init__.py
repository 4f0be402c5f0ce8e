"""The shell door: `lmscore VERB`. Nothing heavy is imported before a verb needs it."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from lmscore.cli import streams
from lmscore.errors import LmscoreError

FAILED = 1
INTERRUPTED = 130
CLOSED_PIPE = 141  # what a shell shows for a program that SIGPIPE ended


@dataclass
class Settings:
    """What the options before the verb set."""

    debug: bool = False


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status.

    Args:
        argv: the words after the program's name. Default: those of this process.
    """
    settings = Settings()
    try:
        try:
            return _run(argv, settings)
        finally:
            streams.flush()
    except streams.ClosedPipeError:
        streams.abandon_output()
        return CLOSED_PIPE
    except KeyboardInterrupt:
        return INTERRUPTED
    except (LmscoreError, OSError, MemoryError) as error:
        if settings.debug:
            traceback.print_exc()
        streams.note(f"error: {_one_line(error)}")
        streams.abandon_output()
        return FAILED


def _run(argv: Sequence[str] | None, settings: Settings) -> int:
    from lmscore.cli.app import make_command

    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        make_command(argv)(argv, prog_name="lmscore", obj=settings)
    except SystemExit as end:  # how typer ends, well or with a usage error
        return int(end.code or 0)
    return 0


def _one_line(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return f"out of memory: {error}" if str(error) else "out of memory"
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    return " ".join(str(error).split("\n"))
