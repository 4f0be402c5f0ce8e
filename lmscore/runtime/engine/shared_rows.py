"""Rows of tokens scored along their prefix trees, or flat where that is cheaper.

A tree is walked level by level. With many texts in it, a level has enough nodes to keep the matrix
products busy: measured, from 32 on a node costs no more than a token of a long sequence. Where
levels are thin, in short or single lists, it is the runs of the graph that cost; so levels between
which nothing branches or ends are run as sequences. To run every branch as a sequence, whatever
its neighbours do, takes more: counted on real lists, the sequences are of so many lengths that
padding or further runs cost more than the levels they save.
"""

from __future__ import annotations

from math import ceil
from typing import Literal

import numpy as np

from lmscore.runtime.engine.batching import TokenRows, start_rows
from lmscore.runtime.engine.engine import Engine
from lmscore.runtime.engine.prefix_tree import Level, PrefixTree, prefix_trees
from lmscore.runtime.engine.state import State, Tensor
from lmscore.runtime.text import Ids

SharingMethod = Literal["auto", "tree", "flat"]
SHARING_METHODS: tuple[SharingMethod, ...] = ("auto", "tree", "flat")

_RUN_COST = 10  # tokens: what a run of the graph costs by itself; measured 8 to 10, int8 and fp32
_MAX_STATE_FLOATS = 4 << 20  # of the states of a level: 16 MiB


def score_shared(
    engine: Engine, rows: TokenRows, state: State, parents: Ids, *, method: SharingMethod
) -> tuple[Tensor, int]:
    """The log-probability of every target, read once for all rows that share its beginning.

    Args:
        rows: the tokens, R rows.
        state: S rows.
        parents: int64 [R], the row of `state` that each goes on from.
        method: "tree", "flat", or "auto" for the one that counting finds cheaper.

    Returns:
        log_probs float32 [N] (nats), and the number of tokens that were read for them.
    """
    budget, N = engine.target_budget, len(rows.inputs)
    trees = None if method == "flat" else _trees(engine, rows, parents, budget, method)
    if trees is None:
        return start_rows(engine, rows, state, parents=parents).result().log_probs, N
    log_probs = np.empty(N, np.float32)
    for tree in trees:
        _walk(engine, tree, state, budget, log_probs)
    return log_probs, sum(level.num_nodes for tree in trees for level in tree)


def _trees(
    engine: Engine, rows: TokenRows, parents: Ids, budget: int, method: SharingMethod
) -> list[PrefixTree] | None:
    """The trees of some rows, or None where reading all N tokens of them costs less.

    A token costs the same in both, but flat scoring takes few runs of the graph, a tree nearly one
    for each level. So where levels would be thin even if nothing were shared, as in a 5-best list
    scored by itself, it is not even worth the time to build the tree.
    """
    N = len(rows.inputs)
    if method == "auto" and (1 + _RUN_COST) * rows.lengths.max() > N:
        return None
    max_rows = max(1, _MAX_STATE_FLOATS // max(1, engine.config.state_size))  # unigrams have none
    trees = list(prefix_trees(rows, parents, max_rows=max_rows, max_nodes=budget))
    levels = [level for tree in trees for level in tree]
    cost = sum(level.num_nodes + _RUN_COST * _runs(engine, level, budget) for level in levels)
    return None if method == "auto" and cost > N else trees


def _runs(engine: Engine, level: Level, budget: int) -> int:
    # Without the softmax it is the rows of all targets that take the memory. (Levels that were put
    # together are within the budget, and have one target a node, but for the last.)
    cut_by_targets = engine.unnormalized and level.tokens.shape[1] == 1
    rows = level.num_targets if cut_by_targets else level.num_nodes
    return min(len(level), ceil(rows / budget))


def _walk(engine: Engine, tree: PrefixTree, state: State, budget: int, log_probs: Tensor) -> None:
    """Read a tree from the top; write the log-probs of its positions in place."""
    for level in tree:
        states = []
        for part in level.parts(_runs(engine, level, budget)):
            found, after = engine.targets(
                part.tokens, part.target_table(), state, parents=part.parents
            )
            log_probs[part.positions] = found[part.nodes, part.times, part.slots]
            states.append(after)
        state = State.concat(states)
