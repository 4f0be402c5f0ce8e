"""A progress bar on standard error, for what takes longer than two seconds on a terminal."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from lmscore.cli import streams

if TYPE_CHECKING:
    import rich.progress

_DELAY = 2.0  # seconds: what is done sooner needs no bar, nor the time to import one


class Progress:
    """A bar, the share that is done, a text, and the time left; a context manager.

    It appears after two seconds, and only where standard error is a terminal.
    """

    def __init__(self, description: str, *, total: float | None, shown: bool = True) -> None:
        """`total` is what `update` counts up to, None if unknown; `shown=False` keeps it away."""
        self._description = description
        self._total = total
        self._shown = shown and streams.is_terminal(sys.stderr)
        self._start = time.monotonic()
        self._bar: rich.progress.Progress | None = None

    @property
    def seconds(self) -> float:
        """Since the start; never 0."""
        return max(time.monotonic() - self._start, 1e-9)

    def update(self, done: float, text: str = "", *, seconds_left: float | None = None) -> None:
        """Show how far it is.

        Args:
            done: of the total.
            text: shown behind the bar: a rate, a loss.
            seconds_left: if it is known better than by the rate so far.
        """
        if not self._shown or self.seconds < _DELAY:
            return
        if self._bar is None:
            self._bar = self._open()
        if seconds_left is None and self._total and done:
            seconds_left = self.seconds * max(0.0, self._total / done - 1)
        left = "" if seconds_left is None else f"{duration(seconds_left)} left"
        self._bar.update(self._bar.task_ids[0], completed=done, text=text, left=left)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _open(self) -> rich.progress.Progress:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(show_speed=False),
            TextColumn("{task.fields[text]}"),
            TextColumn("{task.fields[left]}"),
            console=Console(stderr=True),
            transient=True,
            refresh_per_second=4,
            redirect_stdout=False,  # data, not ours to move
        )
        bar.add_task(self._description, total=self._total, text="", left="")
        bar.start()
        return bar


def duration(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
