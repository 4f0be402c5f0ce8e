"""The shell door: `lmscore VERB`. Nothing heavy is imported before a verb needs it."""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from lmscore.cli import streams
from lmscore.errors import LmscoreError

FAILED = 1
SIGNALLED = 128  # and the number of the signal: 143 for SIGTERM, 129 for SIGHUP
INTERRUPTED = SIGNALLED + signal.SIGINT
CLOSED_PIPE = 141  # what a shell shows for a program that SIGPIPE ended


@dataclass
class Settings:
    """What the options before the verb set."""

    debug: bool = False
    signal: int = signal.SIGINT  # the one that interrupted the verb, if one did


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status.

    Args:
        argv: the words after the program's name. Default: those of this process.
    """
    settings = Settings()
    try:
        try:
            with _interruptible(settings):
                status = _run(argv, settings)
            # Typer makes the one of Ctrl-C from every KeyboardInterrupt.
            return SIGNALLED + settings.signal if status == INTERRUPTED else status
        finally:
            streams.flush()
    except streams.ClosedPipeError:
        streams.abandon_output()
        return CLOSED_PIPE
    except KeyboardInterrupt:
        return SIGNALLED + settings.signal
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


@contextmanager
def _interruptible(settings: Settings) -> Iterator[None]:
    """Let SIGTERM and SIGHUP do what Ctrl-C does; where they are ignored (nohup), they stay so."""

    def handle(number: int, frame: FrameType | None) -> None:
        settings.signal = number
        interrupt = signal.getsignal(signal.SIGINT)
        if not callable(interrupt):  # ignored, as in the background of a script
            raise KeyboardInterrupt
        interrupt(number, frame)

    names = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():  # only that one gets signals
        numbers = []
    taken = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _one_line(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return f"out of memory: {error}" if str(error) else "out of memory"
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    return " ".join(str(error).split("\n"))
