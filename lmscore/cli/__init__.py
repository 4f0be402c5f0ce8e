"""The entry point of the command `lmscore`. Nothing heavy is imported before a verb needs it."""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from lmscore.cli import streams
from lmscore.errors import LmscoreError, OptionError

# Exit statuses; docs/cli.md has the rule.
FAILED = 1
USAGE = 2
SIGNALLED = 128  # and the number of the signal: 143 for SIGTERM, 129 for SIGHUP
INTERRUPTED = SIGNALLED + signal.SIGINT
CLOSED_PIPE = 141  # what a shell shows for a program that SIGPIPE ended


@dataclass
class Settings:
    """The options before the verb, and the state of the running command."""

    debug: bool = False
    signal: int = signal.SIGINT  # the one that interrupted the verb, if one did
    verb: Any = None  # the command, of a class that typer keeps to itself
    path: str = "lmscore"  # the words of the command line as far as the verb


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status.

    Args:
        argv: the words after the program's name. Default: `sys.argv[1:]`.
    """
    settings = Settings()
    streams.fill_closed()
    try:
        try:
            with _interruptible(settings):
                status = _run(sys.argv[1:] if argv is None else list(argv), settings)
            # Typer makes the status of Ctrl-C of every KeyboardInterrupt.
            return SIGNALLED + settings.signal if status == INTERRUPTED else status
        finally:
            streams.flush()
    except streams.ClosedPipeError:
        streams.abandon_output()
        return CLOSED_PIPE
    except KeyboardInterrupt:
        return SIGNALLED + settings.signal
    except (LmscoreError, OSError, MemoryError, ImportError) as error:
        if settings.debug:
            traceback.print_exc()
        if _ended_an_import(error):
            return SIGNALLED + settings.signal
        if isinstance(error, ImportError) and not isinstance(error, LmscoreError):
            raise  # a bug
        message, status = _explained(error, settings)
        streams.note(f"error: {' '.join(message.splitlines())}")
        streams.abandon_output()
        return status


def _run(argv: list[str], settings: Settings) -> int:
    from lmscore.cli.app import make_command
    from lmscore.cli.usage import UsageError

    command = make_command(argv)
    try:
        status = command(argv, prog_name="lmscore", obj=settings, standalone_mode=False)
    except Exception as raised:
        error: Any = raised  # perhaps a usage error of typer's, whose class it keeps to itself
        if getattr(error, "exit_code", None) != USAGE:
            raise
        if not argv:
            error.show()  # the help
            return USAGE
        raise UsageError(error.format_message()) from None
    return status or 0


@contextmanager
def _interruptible(settings: Settings) -> Iterator[None]:
    """Treat SIGTERM and SIGHUP as Ctrl-C; a signal that is ignored (nohup) stays ignored."""

    def handle(number: int, frame: FrameType | None) -> None:
        settings.signal = number
        interrupt = signal.getsignal(signal.SIGINT)
        if not callable(interrupt):  # ignored, as in the background of a script
            raise KeyboardInterrupt
        interrupt(number, frame)

    names = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    is_main = threading.current_thread() is threading.main_thread()  # no other one gets signals
    taken = [n for n in numbers if is_main and signal.getsignal(n) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _ended_an_import(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error: modules in C make an ImportError of it."""
    while error is not None:
        reason = error.__cause__ or error.__context__
        if isinstance(error, ImportError) and isinstance(reason, KeyboardInterrupt):
            return True
        error = reason
    return False


def _explained(error: Exception, settings: Settings) -> tuple[str, int]:
    """The message and the exit status for an error."""
    from lmscore.cli.usage import UsageError, flags_of, with_flags

    if isinstance(error, UsageError) and error.__cause__ is None:  # the shell's own
        path = settings.path if settings.verb else "lmscore"
        return f"{error} (Usage: {path} --help)", USAGE
    if isinstance(error, MemoryError):
        return f"out of memory: {error}" if str(error) else "out of memory", FAILED
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}", FAILED
    flags = flags_of(settings.verb) if settings.verb else {}
    message = with_flags(str(error), flags, bare=isinstance(error, OptionError))
    return message, USAGE if isinstance(error, UsageError) else FAILED
