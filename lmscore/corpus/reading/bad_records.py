"""What happens to records that cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from lmscore.corpus.reading.record import Record
from lmscore.errors import LmscoreError
from lmscore.names import OnError


class BadRecords:
    """A rule for records with an error, and their number.

    Attributes:
        count: the bad records so far.
        first: the first record, bad or not; it tells what a file of none of them would be.
        reject: called with each bad record that is not raised; may be set later.
    """

    def __init__(
        self,
        on_error: OnError = "stop",
        *,
        max_errors: int | None = None,
    ) -> None:
        """Make a rule.

        Args:
            on_error: "stop" raises the error, "skip" leaves the record out, "keep" passes it on
                with its error and without a text.
            max_errors: more bad records than this raise the error of the last of them.
        """
        self.count = 0
        self.first: Record | None = None
        self._on_error = on_error
        self._max_errors = max_errors
        self.reject: Callable[[Record], object] | None = None

    def handled(self, records: Iterable[Record]) -> Iterator[Record]:
        """Pass records on, the bad ones by the rule; raises the error of one that stops."""
        for record in records:
            self.first = self.first or record
            if record.error is None:
                yield record
                continue
            self.count += 1
            self._check(record.error)
            if self.reject is not None:
                self.reject(record)
            if self._on_error == "keep":
                yield record

    def _check(self, error: LmscoreError) -> None:
        if self._on_error == "stop":
            advice = "on_error='skip' goes on without it"
        elif self._max_errors is not None and self.count > self._max_errors:
            advice = f"this is one bad record more than max_errors={self._max_errors}"
        else:
            return
        raise type(error)(f"{error}; {advice}") from error
