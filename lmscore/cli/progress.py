"""Progress on standard error: a bar on a terminal, elsewhere a line every half minute."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

from lmscore.cli import streams

if TYPE_CHECKING:
    import rich.progress

_DELAY = 2.0  # seconds: shorter work needs no bar, nor the time to import one
_LINES = 30.0  # seconds from one line of a log to the next


class Progress:
    """A bar, the share that is done, a text, and the time left; a context manager.

    The bar appears after two seconds if standard error is a terminal. Elsewhere, as in the log of a
    job, there is a line every thirty seconds. `update` counts up to `total`, which is None if it is
    not known.

    Args:
        shown: False shows neither.
        lines: False shows the bar only, for work that has a log of its own.
    """

    def __init__(
        self, description: str, *, total: float | None, shown: bool = True, lines: bool = True
    ) -> None:
        self._description = description
        self._total = total
        self._on_terminal = streams.is_terminal(sys.stderr)
        self._shown = shown and (lines or self._on_terminal)
        self._next_line = _LINES
        self._start = time.monotonic()
        self._bar: rich.progress.Progress | None = None

    @property
    def seconds(self) -> float:
        """The time since the start; never 0."""
        return max(time.monotonic() - self._start, 1e-9)

    def update(
        self,
        done: float,
        text: str = "",
        *,
        seconds_left: float | None = None,
        description: str | None = None,
    ) -> None:
        """Show the progress.

        Args:
            done: the part of the total that is done.
            text: shown after the bar: a rate, a loss.
            seconds_left: the time left. Default: estimated from the rate so far.
            description: what is being done now. Default: as before.
        """
        self._description = description or self._description
        if not self._shown or self.seconds < (_DELAY if self._on_terminal else self._next_line):
            return
        if seconds_left is None and self._total and done:
            seconds_left = self.seconds * max(0.0, self._total / done - 1)
        left = "" if seconds_left is None else f"{duration(seconds_left)} left"
        if not self._on_terminal:
            self._next_line = self.seconds + _LINES
            self._write_line(done, text, left)
            return
        if self._bar is None:
            self._bar = self._open()
        (task,) = self._bar.task_ids
        self._bar.update(task, completed=done, description=self._description, text=text, left=left)

    def _write_line(self, done: float, text: str, left: str) -> None:
        share = f"{100 * done / self._total:.0f} %" if self._total else ""
        parts = [part for part in (share, text, left) if part]
        streams.note(f"{self._description}: {duration(self.seconds)}, {', '.join(parts)}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
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


class Steps:
    """A bar for work in a few named steps; a context manager. No time left: steps differ."""

    def __init__(self, description: str, *, total: int | None = None) -> None:
        self._progress = Progress(description, total=total, lines=False)
        self._begun = 0

    def begin(self, name: str) -> None:
        """Show that the step before is done, and the name of the next one."""
        self._progress.update(self._begun, name)
        self._begun += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.__exit__(*exception)


def duration(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
