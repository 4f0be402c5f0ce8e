"""Ctrl-C, postponed until a run can be left."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def postponed_interrupt() -> Iterator[threading.Event]:
    """Let Ctrl-C set the event; a second Ctrl-C raises KeyboardInterrupt at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # only that one gets signals
        yield event
        return

    def handle(number: int, frame: object) -> None:  # noqa: ARG001  # the signature of a handler
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)
