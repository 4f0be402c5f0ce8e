"""Standard output, which carries data only, and standard error, which carries everything else."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TextIO

from lmscore.errors import OutputFileError


class ClosedPipeError(Exception):
    """Nobody reads standard output any more: no reason to go on, and nothing to complain about."""


def write(text: str) -> None:
    """Write to standard output, in UTF-8 whatever the locale; otherwise as `write_bytes`."""
    # File names that are not UTF-8 come with lone surrogates; as JSON escapes they are exact.
    write_bytes(text.encode(errors="backslashreplace"))


def write_bytes(data: bytes) -> None:
    """Write to standard output.

    A call's data stay whole when Ctrl-C comes in between (as far as they fit Python's buffer).

    Raises:
        ClosedPipeError: the reader has gone.
        OutputFileError: it cannot be written: disk full, for example.
    """
    if sys.stdout is None:  # closed by the parent: `>&-`
        raise OutputFileError("standard output: is closed")
    try:
        sys.stdout.buffer.write(data)
    except OSError as error:
        raise _translated(error) from error


def flush() -> None:
    """Hand what was written to whoever reads it; raises as `write` does."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError as error:
        raise _translated(error) from error


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody sits at the other end; a stream that the parent closed is None."""
    return stream is not None and stream.isatty()


def note(message: str) -> None:
    """Tell the user something, on standard error, if anybody listens."""
    with suppress(OSError, AttributeError):  # closed pipe; None where `2>&-`
        # Not every stderr has Python's own way with what it cannot encode.
        writable = message.encode(errors="backslashreplace").decode()
        sys.stderr.write(f"lmscore: {writable}\n")
        sys.stderr.flush()


def abandon_output() -> None:
    """Point standard output at nothing, so that Python's last flush cannot fail as well."""
    with suppress(OSError, AttributeError, io.UnsupportedOperation):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)


def _translated(error: OSError) -> Exception:
    if isinstance(error, BrokenPipeError):
        return ClosedPipeError()
    return OutputFileError(f"standard output: cannot be written: {error.strerror or error}")
