from __future__ import annotations

from itertools import accumulate

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lmscore.runtime.engine.batching import TokenRows
from lmscore.runtime.engine.prefix_tree import Level, prefix_trees

Row = tuple[int, ...]  # as written: all but the last are read, all but the first predicted

_rows = st.lists(st.lists(st.integers(0, 3), max_size=6).map(tuple), max_size=12)


def token_rows(rows: list[Row]) -> TokenRows:
    def flat(parts: list[Row]) -> np.ndarray:
        return np.array([token for part in parts for token in part], np.int64)

    lengths = np.array([max(len(row) - 1, 0) for row in rows], np.int64)
    return TokenRows(flat([row[:-1] for row in rows]), flat([row[1:] for row in rows]), lengths)


def test_a_tree_by_hand() -> None:
    rows = token_rows([(5, 7, 8), (5, 7, 9), (5,), (5, 6, 1), (5, 7, 8)])
    (tree,) = prefix_trees(rows, np.zeros(5, np.int64), max_rows=10, max_nodes=100)
    top, below = tree
    assert top.tokens.tolist() == [[5]]
    assert top.parents.tolist() == [0]
    assert top.target_table().tolist() == [[[6, 7]]]
    assert below.tokens.tolist() == [[6], [7]]
    assert below.parents.tolist() == [0, 0]
    assert below.target_table().tolist() == [[[1, 0]], [[8, 9]]]
    assert below.positions.tolist() == [5, 1, 7, 3]
    assert below.nodes.tolist() == [0, 1, 1, 1]
    assert below.slots.tolist() == [0, 0, 0, 1]


def test_rows_that_begin_from_other_states_share_nothing() -> None:
    rows = token_rows([(5, 7), (5, 7), (5, 7)])
    (tree,) = prefix_trees(rows, np.array([1, 0, 1]), max_rows=10, max_nodes=100)
    (level,) = tree
    assert level.tokens.tolist() == [[5], [5]]
    assert level.parents.tolist() == [0, 1]


def test_no_rows_make_no_tree() -> None:
    assert not list(
        prefix_trees(token_rows([(), (5,)]), np.zeros(2, np.int64), max_rows=10, max_nodes=100)
    )


def test_large_ids_are_sorted_too() -> None:
    rows = token_rows([(70_000, 1), (300, 1), (70_000, 2)])
    (tree,) = prefix_trees(rows, np.zeros(3, np.int64), max_rows=10, max_nodes=100)
    assert tree[0].tokens.tolist() == [[300], [70_000]]
    assert tree[0].target_table().tolist() == [[[1, 0]], [[1, 2]]]


@given(_rows, st.data())
def test_every_beginning_is_one_node(rows: list[Row], data: st.DataObject) -> None:
    starts = [data.draw(st.integers(0, 2)) for _ in rows]
    trees = list(
        prefix_trees(token_rows(rows), np.array(starts, np.int64), max_rows=100, max_nodes=100)
    )
    beginnings = {
        (start, *beginning)
        for start, row in zip(starts, rows, strict=True)
        for beginning in accumulate([(token,) for token in row[:-1]])
    }
    assert sum(level.num_nodes for tree in trees for level in tree) == len(beginnings)


def test_levels_that_do_not_branch_are_put_together() -> None:
    rows = token_rows([(1, 2, 3, 4, 5, 6), (1, 2, 3, 7, 8, 9)])
    (tree,) = prefix_trees(rows, np.zeros(2, np.int64), max_rows=10, max_nodes=100)
    stem, branches = tree
    assert stem.tokens.tolist() == [[1, 2, 3]]
    assert stem.target_table().tolist() == [[[2, 0], [3, 0], [4, 7]]]
    assert branches.tokens.tolist() == [[4, 5], [7, 8]]
    assert branches.parents.tolist() == [0, 0]
    assert branches.target_table().tolist() == [[[5], [6]], [[8], [9]]]
    (tree,) = prefix_trees(rows, np.zeros(2, np.int64), max_rows=10, max_nodes=2)
    assert [level.tokens.shape for level in tree] == [(1, 2), (1, 1), (2, 1), (2, 1)]


def test_a_text_that_ends_does_not_part_levels_as_long_as_another_goes_on() -> None:
    rows = token_rows([(1, 2, 0), (1, 2, 3, 0)])
    (tree,) = prefix_trees(rows, np.zeros(2, np.int64), max_rows=10, max_nodes=100)
    (level,) = tree
    assert level.tokens.tolist() == [[1, 2, 3]]
    assert level.target_table().tolist() == [[[2, 0], [0, 3], [0, 0]]]


@given(_rows, st.integers(1, 4), st.integers(1, 3), st.integers(1, 9))
def test_every_position_finds_its_text_and_target(
    rows: list[Row], max_rows: int, parts: int, max_nodes: int
) -> None:
    """Following the parents from a position up gives what its text has read so far."""
    flat = token_rows(rows)
    owners = np.repeat(np.arange(len(rows)), flat.lengths)
    starts = np.zeros(len(rows), np.int64)
    found: dict[int, Row] = {}
    for tree in prefix_trees(flat, starts, max_rows=max_rows, max_nodes=max_nodes):
        above: list[Row] = [()]
        for level in tree:
            assert len(level) <= max_rows
            one_by_one = level.tokens.shape[1] == 1
            read: list[Row] = []
            for part in level.parts(min(parts, len(level)) if one_by_one else 1):
                pairs = zip(part.parents.tolist(), part.tokens.tolist(), strict=True)
                these = [(*above[parent], *tokens) for parent, tokens in pairs]
                found |= _found(part, these)
                read += these
            assert len(read) == len(level)
            above = read
    assert found == {
        position: rows[owner][: position - flat.starts[owner] + 2]
        for position, owner in enumerate(owners)
    }


def _found(level: Level, read: list[Row]) -> dict[int, Row]:
    """What each position of a level has read, and the target it finds."""
    T, table = level.tokens.shape[1], level.target_table()
    columns = (level.positions, level.nodes, level.times, level.slots)
    return {
        position: (*read[node][: len(read[node]) - T + time + 1], int(table[node, time, slot]))
        for position, node, time, slot in zip(*(c.tolist() for c in columns), strict=True)
    }
