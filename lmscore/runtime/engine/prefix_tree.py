"""The prefix tree of many texts, as levels of nodes in flat arrays.

A node is a distinct beginning: what the texts below it have read so far. The tree comes from
sorting: in sorted order the texts that share a beginning stand side by side, so a node is a run of
neighbours, at every level, and nothing has to be looked up.

Letters in shapes: B nodes side by side, T nodes one below the other, P positions (tokens of a text,
each read and followed by a target), K distinct targets of the node that has most.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmscore.runtime.engine.batching import TokenRows
from lmscore.runtime.text import Ids

_SORTABLE = np.dtype(">u4")  # its bytes compare as the numbers do


@dataclass(frozen=True)
class Level:
    """The nodes at one depth, or at T depths between which none branches or ends."""

    tokens: Ids  # [B, T], what each node reads
    parents: Ids  # [B], the row of the level above; at the top, that of the starting state
    positions: Ids  # [P], of the texts that pass through, in the flat arrays of `TokenRows`
    targets: Ids  # [P], what follows at each
    nodes: Ids  # [P], the row of the node that stands for each; ascending where T is 1
    times: Ids  # [P], its column
    slots: Ids  # [P], the number of its target among the distinct ones of its node

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def num_nodes(self) -> int:
        """B * T."""
        return self.tokens.size

    @property
    def num_targets(self) -> int:
        """B * T * K, with K the most distinct targets of any node."""
        return self.num_nodes * (int(self.slots.max()) + 1)

    def target_table(self) -> Ids:
        """The distinct targets of each node, int64 [B, T, K]; where there are fewer, zeros."""
        table = np.zeros((*self.tokens.shape, self.slots.max() + 1), np.int64)
        table[self.nodes, self.times, self.slots] = self.targets
        return table

    def follows(self, above: Level) -> bool:
        """Whether each node of the level above has just one below it."""
        return len(self) == len(above) and bool((self.parents == np.arange(len(self))).all())

    def parts(self, count: int) -> Iterator[Level]:
        """Cut a level of T = 1 into `count` levels of about the same number of nodes."""
        if count == 1:
            yield self
            return
        cuts = np.linspace(0, len(self), count + 1).astype(np.int64)
        for begin, end in zip(cuts.tolist(), cuts[1:].tolist(), strict=False):
            some = slice(*np.searchsorted(self.nodes, (begin, end)))
            yield Level(
                self.tokens[begin:end],
                self.parents[begin:end],
                self.positions[some],
                self.targets[some],
                self.nodes[some] - begin,
                self.times[some],
                self.slots[some],
            )


PrefixTree = tuple[Level, ...]
"""The levels, from the top."""


def prefix_trees(
    rows: TokenRows, starts: Ids, *, max_rows: int, max_nodes: int
) -> Iterator[PrefixTree]:
    """Merge rows into trees, each of at most `max_rows` rows; empty rows are in none.

    Neighbours in sorted order go into the same tree: what the cuts undo is next to nothing.

    Args:
        rows: the tokens of the texts.
        starts: int64 [R], the row of the starting state that each begins from. Those that begin
            from the same one share what they read.
        max_rows: bounds the rows of a level, and so the states that have to be kept.
        max_nodes: B * T up to which levels are put together.
    """
    order = _sorted(rows, starts)
    for first in range(0, len(order), max_rows):
        part = order[first : first + max_rows]
        yield tuple(_together(_levels(rows, part, starts[part]), max_nodes))


def _sorted(rows: TokenRows, starts: Ids) -> Ids:
    """The rows that are not empty, sorted by start, first input and targets."""
    inputs, targets = (ids.astype(_SORTABLE).tobytes() for ids in (rows.inputs, rows.targets))
    size = _SORTABLE.itemsize
    keys = []
    table = zip(starts.tolist(), rows.starts.tolist(), rows.lengths.tolist(), strict=True)
    for row, (start, begin, length) in enumerate(table):
        first, last = size * begin, size * (begin + length)
        if length:
            keys.append((start, inputs[first : first + size], targets[first:last], row))
    return np.array([row for *_, row in sorted(keys)], np.int64)


def _levels(rows: TokenRows, order: Ids, parents: Ids) -> Iterator[Level]:
    """The levels of the tree of sorted rows, none of them empty; `parents` are their starts."""
    positions, left = rows.starts[order], rows.lengths[order]
    while len(positions):
        tokens, targets = rows.inputs[positions], rows.targets[positions]
        first = _differ(parents, tokens)
        nodes = np.cumsum(first) - 1
        times, slots = np.zeros_like(nodes), _slots(nodes, targets)
        yield Level(tokens[first][:, None], parents[first], positions, targets, nodes, times, slots)
        going_on = left > 1
        positions, left, parents = positions[going_on] + 1, left[going_on] - 1, nodes[going_on]


def _together(levels: Iterable[Level], max_nodes: int) -> Iterator[Level]:
    """Levels between which nothing branches or ends, put together."""
    chain: list[Level] = []
    for level in levels:
        fits = len(level) * (len(chain) + 1) <= max_nodes
        if chain and not (fits and level.follows(chain[-1])):
            yield _joined(chain)
            chain = []
        chain.append(level)
    if chain:
        yield _joined(chain)


def _joined(chain: Sequence[Level]) -> Level:
    if len(chain) == 1:
        return chain[0]
    columns = ((level.positions, level.targets, level.nodes, level.slots) for level in chain)
    positions, targets, nodes, slots = map(np.concatenate, zip(*columns, strict=True))
    tokens = np.concatenate([level.tokens for level in chain], axis=1)
    times = np.repeat(np.arange(len(chain)), [len(level.nodes) for level in chain])
    return Level(tokens, chain[0].parents, positions, targets, nodes, times, slots)


def _slots(nodes: Ids, targets: Ids) -> Ids:
    """Number the distinct targets of each node from 0; equal ones are neighbours."""
    edges = np.cumsum(_differ(nodes, targets)) - 1
    first = edges[_differ(nodes)]
    return edges - first[nodes]


def _differ(*columns: Ids) -> NDArray[np.bool_]:
    """Whether each row of the columns differs from the row before; the first one does."""
    differ = np.ones(len(columns[0]), bool)
    differ[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return differ
