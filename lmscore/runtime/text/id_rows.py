"""Rows of token ids of any length, in one flat array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class IdRows:
    """R rows of N token ids in all, one after another."""

    ids: Ids  # [N]
    lengths: Ids  # [R], summing to N

    @classmethod
    def of(cls, rows: Sequence[Ids]) -> IdRows:
        """Join rows, int64 [n] each."""
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        return cls(np.concatenate(rows) if rows else np.empty(0, np.int64), lengths)

    @classmethod
    def repeated(cls, row: Ids, count: int) -> IdRows:
        """The same row int64 [n], `count` times."""
        return cls(np.tile(row, count), np.full(count, len(row), np.int64))

    @property
    def ends(self) -> Ids:
        """Where each row ends, int64 [R]."""
        return np.cumsum(self.lengths)

    @property
    def starts(self) -> Ids:
        """Where each row begins, int64 [R]."""
        return self.ends - self.lengths

    def split(self) -> list[Ids]:
        """The rows, int64 [n] each; they share the memory of the flat array."""
        bounds = zip(self.starts.tolist(), self.ends.tolist(), strict=True)
        return [self.ids[start:end] for start, end in bounds]

    def backward(self) -> IdRows:
        """The same rows, each from its end."""
        mirrored = np.repeat(self.starts + self.ends - 1, self.lengths) - np.arange(len(self.ids))
        return IdRows(self.ids[mirrored], self.lengths)


def places(starts: Ids, lengths: Ids) -> Ids:
    """The places of ranges int64 [R] in a flat array, one range after another, int64 [N]."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))
