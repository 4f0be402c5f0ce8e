"""Standard output, for data only, and standard error, for everything else."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TextIO

from lmscore.errors import OutputFileError


class ClosedPipeError(Exception):
    """The reader of standard output has gone; the program ends without a message."""


def fill_closed() -> None:
    """Put the null device in the place of standard descriptors that the parent process closed.

    The next file that is opened would get the number, and whatever a library in C then writes to
    its standard error would be written into that file.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # has the lowest free number, which is this one


def write(text: str) -> None:
    """Write to standard output, in UTF-8 whatever the locale; raises what `write_bytes` raises."""
    # File names that are not UTF-8 have lone surrogates, which JSON escapes represent exactly.
    write_bytes(text.encode(errors="backslashreplace"))


def write_bytes(data: bytes) -> None:
    """Write to standard output; Ctrl-C cannot cut data that fit into Python's buffer.

    Raises:
        ClosedPipeError: the reader has gone.
        OutputFileError: the data cannot be written, for example because the disk is full.
    """
    if sys.stdout is None:  # closed by the parent: `>&-`
        raise OutputFileError("standard output: is closed")
    try:
        sys.stdout.buffer.write(data)
    except OSError as error:
        raise _translated(error) from error


def flush() -> None:
    """Flush standard output; raises what `write_bytes` raises."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError as error:
        raise _translated(error) from error


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal; a stream that the parent process closed is None."""
    return stream is not None and stream.isatty()


def note(message: str) -> None:
    """Print a message on standard error; nothing happens if it is closed."""
    with suppress(OSError, AttributeError):  # closed pipe; None where `2>&-`
        # Some replacements of sys.stderr raise for characters that they cannot encode.
        writable = message.encode(errors="backslashreplace").decode()
        sys.stderr.write(f"lmscore: {writable}\n")
        sys.stderr.flush()


def abandon_output() -> None:
    """Direct standard output to the null device, so that Python's last flush cannot fail."""
    with suppress(OSError, AttributeError, io.UnsupportedOperation):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)


def _translated(error: OSError) -> Exception:
    if isinstance(error, BrokenPipeError):
        return ClosedPipeError()
    return OutputFileError(f"standard output: cannot be written: {error.strerror or error}")
