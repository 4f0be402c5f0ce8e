"""The log of the library as notes for the user of a verb."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lmscore.cli import streams
from lmscore.cli.usage import Flags, flags_of, with_flags


@contextmanager
def library_notes(command: Any) -> Iterator[None]:
    """Write the library's log as notes on standard error, with the flags of a verb's command."""
    log, handler = logging.getLogger("lmscore"), _Notes()
    handler.flags = flags_of(command)
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


class _Notes(logging.Handler):
    flags: Flags

    def emit(self, record: logging.LogRecord) -> None:
        warns = "warning: " if record.levelno >= logging.WARNING else ""
        streams.note(warns + with_flags(record.getMessage(), self.flags))
