"""A comparison of a graph with PyTorch's results, in every way in which the runtime uses graphs.

Letters in shapes: N sequences, T their longest length, C kept vocabulary columns, L layers,
H hidden, M held-out sentences of at most T2 tokens, V vocabulary, K targets per position.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import FP16, FP32, LogZRecord, Parity
from lmscore.runtime.checking.log_z import measure_log_z
from lmscore.runtime.checking.runs import (
    Floats,
    Heldout,
    Run,
    alone,
    heldout_scores,
    in_chunks,
    within,
)
from lmscore.runtime.engine import Engine

MAX_DIFFERENCE = 1e-3
"""The limit for an fp32 graph's log-probs (nats) and states against PyTorch; 1e-5 is usual."""

MAX_DIFFERENCES = {FP32: MAX_DIFFERENCE, FP16: 0.05}
"""The limits of log-probs and states against PyTorch by variant; int8 has no limit.

float16 rounds a logit between 32 and 64 by up to 1/64. If every product and sum of the bundled
model is rounded, which the CPU does not do, its log-probs move by 0.01 at most.
"""

MAX_HEAD_DIFFERENCE = 1e-5
"""The limit for target and top log-probs and for entropies, relative to 1 + entropy (nats), against
the log-probs of the same run; ranks must be equal."""

MAX_PERPLEXITY_CHANGE = 0.10
"""The limit for the rise of a quantised graph's perplexity; quantising should cost far less."""

MAX_HALF_PERPLEXITY_CHANGE = 1e-3
"""The limit for the rise of an fp16 graph's perplexity; a hundredth of it is usual."""

MAX_LOG_Z_CHANGE = 0.1
"""The limit for mean and standard deviation of log Z (nats) against PyTorch, in any graph."""

_FINITE = sys.float_info.max
_CHUNK_SIZES = (1, 2, 5)
_MOST_TARGETS = 3
_LARGEST_K = 5


@dataclass(frozen=True)
class Difference:
    """A largest difference and its place; it is infinite if any compared value was NaN."""

    value: float
    where: str


@dataclass(frozen=True)
class GraphCheck:
    """The largest differences that `check_graph` measured; of log-probs in nats."""

    log_probs: Difference  # from PyTorch
    state: Difference  # from PyTorch, relative to 1 + |value|
    steps: Difference  # chunks and single steps with carried state, from whole sequences
    parents: Difference  # rows re-ordered, repeated and dropped, from the rows in their order
    heads: Difference  # targets, top tokens, entropies and ranks, from the log-probs of the run
    batching: Difference  # a token scored alone, from the same token in a padded batch
    perplexity: float  # of the held-out sample, per token
    perplexity_change: float  # relative to PyTorch's: 0.01 is one per cent worse
    scores: Difference = Difference(0.0, "no scores")  # without the softmax, from PyTorch
    log_z: LogZRecord | None = None  # for self-normalised models
    log_z_change: float = 0.0  # of its mean or its deviation, the larger change, from PyTorch

    def failure(self, variant: str) -> str | None:
        """The reason why a graph of this variant is not fit for use, or None if it is fit."""
        for what, difference in (
            ("log-probs differ", self.log_probs),
            ("states differ", self.state),
            ("log-probs of steps differ", self.steps),
            ("log-probs of picked rows differ", self.parents),
            ("log-probs in a batch differ", self.batching),
            ("scores differ", self.scores),
            ("outputs disagree", self.heads),
        ):
            limit = MAX_DIFFERENCES.get(variant, _FINITE)
            if difference is self.heads:
                limit = MAX_HEAD_DIFFERENCE
            if difference.value > limit:
                return f"{what} by {difference.value:.3g} at {difference.where}, limit {limit:g}"
        limit = MAX_HALF_PERPLEXITY_CHANGE if variant == FP16 else MAX_PERPLEXITY_CHANGE
        if not self.perplexity_change <= limit:
            return (
                f"held-out perplexity is {self.perplexity_change:.1%} worse than PyTorch's, "
                f"limit {limit:.1%}"
            )
        if not self.log_z_change <= MAX_LOG_Z_CHANGE:
            return (
                f"mean or deviation of log Z is {self.log_z_change:.3g} nats from PyTorch's, "
                f"limit {MAX_LOG_Z_CHANGE:g}"
            )
        return None


@np.errstate(invalid="ignore", over="ignore")  # values that are not finite show up as differences
def check_graph(engine: Engine, parity: Parity) -> GraphCheck:
    """Compare a graph with PyTorch on whole sequences, chunks and single steps with carried state.

    Rows run padded in a batch and alone; `parents` permutes, repeats and drops rows; there are 0
    to 3 targets, and k from 0 to 5. The held-out sample gives the perplexity.
    """
    whole, single = in_chunks(engine, parity, parity.inputs.shape[1]), alone(engine, parity)
    steps = {f"chunks of {size}": in_chunks(engine, parity, size) for size in _CHUNK_SIZES}
    runs = {"whole sequences": whole, "one by one": single, **steps}
    from_pytorch, from_whole = _parents_differences(engine, parity, whole)
    heldout = Heldout.run(engine, parity)
    mean = heldout.mean(heldout.batched)
    report = GraphCheck(
        log_probs=_worst(
            *(_difference(run, parity, parity, where) for where, run in runs.items()),
            from_pytorch,
            _largest(heldout.batched - parity.heldout_target_log_probs, heldout.mask, "held-out"),
        ),
        state=_worst(*(_state_difference(run, parity, where) for where, run in runs.items())),
        steps=_worst(*(_difference(run, whole, parity, where) for where, run in steps.items())),
        parents=from_whole,
        heads=_heads_difference(engine, parity),
        batching=_worst(
            _difference(whole, single, parity, "parity"),
            _largest(heldout.batched - heldout.alone, heldout.mask, "held-out"),
        ),
        perplexity=float(np.exp(-mean)),
        perplexity_change=float(np.expm1(heldout.mean(parity.heldout_target_log_probs) - mean)),
    )
    expected = parity.heldout_target_scores
    return report if expected is None else _with_scores(report, engine, parity, expected, heldout)


def _with_scores(
    report: GraphCheck, engine: Engine, parity: Parity, expected: Floats, heldout: Heldout
) -> GraphCheck:
    """Add the comparison of scores without the softmax to a report; `expected` are PyTorch's."""
    scores = heldout_scores(engine, parity)
    found = measure_log_z(scores, heldout.batched, heldout.mask)
    reference = measure_log_z(expected, parity.heldout_target_log_probs, heldout.mask)
    return replace(
        report,
        scores=_largest(scores - expected, heldout.mask, "held-out"),
        log_z=found,
        log_z_change=max(abs(found.mean - reference.mean), abs(found.std - reference.std)),
    )


@np.errstate(invalid="ignore")
def compare_graphs(engine: Engine, other: Engine, parity: Parity) -> Difference:
    """The largest difference between the log-probs of two variants of a model, in nats."""
    one, two = (in_chunks(e, parity, parity.inputs.shape[1]) for e in (engine, other))
    return _difference(one, two, parity, "whole sequences")


def _worst(*differences: Difference) -> Difference:
    return max(differences, key=lambda difference: difference.value)


def _largest(difference: Floats, mask: NDArray[np.bool_], where: str) -> Difference:
    """The largest absolute value of a difference [N, T] or [N, T, C] where mask [N, T] holds."""
    size = _size(difference).reshape(*mask.shape, -1)
    per_token = np.where(mask, size.max(axis=2, initial=0), 0)
    row, token = np.unravel_index(per_token.argmax(), per_token.shape)
    return Difference(float(per_token[row, token]), f"{where}, sequence {row}, token {token}")


def _size(difference: Floats) -> Floats:
    """Absolute values, with infinity for NaN, which no comparison would find."""
    return np.where(np.isnan(difference), np.float32(np.inf), np.abs(difference))


def _difference(run: Run, reference: Run | Parity, parity: Parity, where: str) -> Difference:
    mask = within(parity.inputs, parity.lengths)
    return _worst(
        _largest(run.log_probs - reference.log_probs, mask, where),
        _largest(run.target_log_probs - reference.target_log_probs, mask, where),
    )


def _state_difference(run: Run, parity: Parity, where: str) -> Difference:
    # The rnn-relu state has no bound, so its rounding grows with its size.
    differences = [
        float(_size((ours - theirs) / (1 + np.abs(theirs))).max())
        for ours, theirs in zip(run.state, parity.final_state, strict=True)
    ]
    return Difference(max(differences), f"final state, {where}")


def _parents_differences(
    engine: Engine, parity: Parity, whole: Run
) -> tuple[Difference, Difference]:
    """Reverse, repeat and drop rows by `parents`, and compare the log-probs of the next token.

    Returns:
        The largest difference from PyTorch, and from the run of whole sequences.
    """
    rows = np.flatnonzero(parity.lengths >= 2)
    if not rows.size:
        return Difference(0.0, "parents"), Difference(0.0, "parents")
    first = engine.distributions(parity.inputs[rows, :1], engine.initial_state(len(rows)))
    places = np.arange(len(rows), dtype=np.int64)
    parents = np.concatenate([places[::-1], places[:1], places[::2]])
    picked = rows[parents]
    found = engine.distributions(parity.inputs[picked, 1:2], first.state, parents=parents)
    log_probs, mask = found.log_probs[..., parity.columns], np.ones((len(picked), 1), np.bool_)
    from_pytorch, from_whole = (
        _largest(log_probs - reference.log_probs[picked, 1:2], mask, "parents")
        for reference in (parity, whole)
    )
    return from_pytorch, from_whole


def _heads_difference(engine: Engine, parity: Parity) -> Difference:
    """Compare outputs for all numbers of targets and best tokens, on a corner of the sequences."""
    tokens, first = parity.inputs[:2, :4], parity.targets[:2, :4, None]
    V = engine.config.vocab_size
    differences: list[Difference] = []
    for k in range(min(_LARGEST_K, V) + 1):
        targets = (first + np.arange(min(k, _MOST_TARGETS), dtype=np.int64)) % V
        log_probs, of_targets, best, best_tokens, _ = engine.distributions(
            tokens, engine.initial_state(len(tokens)), targets=targets, k=k
        )
        found = engine.measures(tokens, targets, engine.initial_state(len(tokens)), k=k)
        alone, _ = engine.targets(tokens, targets, engine.initial_state(len(tokens)))
        entropies = -np.sum(np.exp(log_probs) * log_probs, axis=2, dtype=np.float64)
        expected = np.take_along_axis(log_probs, targets, 2)
        likelier = log_probs[:, :, None, :] > expected[..., None]
        ranks = 1 + np.count_nonzero(likelier, axis=3)
        everywhere = np.ones(tokens.shape, np.bool_)
        differences += [
            _largest(output - reference, everywhere, f"k = {k}")
            for output, reference in (
                (of_targets, expected),
                (alone, expected),
                (best, -np.sort(-log_probs, axis=2)[..., :k]),
                (best, np.take_along_axis(log_probs, best_tokens, 2)),
                (found.target_log_probs, expected),
                (found.entropies / (1 + entropies), entropies / (1 + entropies)),
                (found.target_ranks, ranks),
            )
        ]
    return _worst(*differences)
