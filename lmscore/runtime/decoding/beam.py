"""Beam search: the likeliest continuations of a prompt that a beam of hypotheses finds.

Letters in shapes: B live hypotheses, V vocabulary, K best tokens after each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from lmscore.errors import OptionError
from lmscore.runtime.arguments import check_count, check_lines, check_stop
from lmscore.runtime.decoding.constraint import Constraint, ConstraintState
from lmscore.runtime.decoding.never import never_generated
from lmscore.runtime.decoding.result import FinishReason, Sample
from lmscore.runtime.decoding.text import Continuation, Prompt, after_line_end
from lmscore.runtime.engine import Engine, Step, Top
from lmscore.runtime.text import Ids, TextTokenizer

_MAX_PENALTY = 10  # so that num_tokens ** length_penalty stays a float


@dataclass(frozen=True)
class BeamOptions:
    """The options of `LanguageModel.beam_search`, checked.

    Raises:
        OptionError: an option has an impossible value; says which.
    """

    beam_size: int
    num_results: int
    max_tokens: int
    length_penalty: float
    stop: Sequence[str]
    unk: bool = False  # whether <unk> may come
    max_lines: int = 1

    def __post_init__(self) -> None:
        for name in ("beam_size", "num_results", "max_tokens"):
            check_count(name, getattr(self, name))
        check_lines(self.max_lines, constrained=False)
        check_stop(self.stop)
        if self.num_results > self.beam_size:
            raise OptionError(
                f"num_results must be at most beam_size ({self.beam_size}), not {self.num_results}"
            )
        penalty: object = self.length_penalty
        if not isinstance(penalty, int | float) or not abs(penalty) <= _MAX_PENALTY:
            raise OptionError(
                f"length_penalty must be a number in -{_MAX_PENALTY}..{_MAX_PENALTY}, "
                f"not {penalty!r}"
            )

    def rank(self, log_prob: float, num_tokens: int) -> float:
        """The value that orders finished hypotheses: the higher, the better."""
        return log_prob / math.pow(num_tokens, self.length_penalty)

    def best_rank(self, log_prob: float, num_tokens: int) -> float:
        """The rank of a live hypothesis if all tokens to come were certain.

        The rank is monotone in the number of tokens, so one of the two ends is the best.
        """
        return max(self.rank(log_prob, num_tokens + 1), self.rank(log_prob, self.max_tokens))


@dataclass(frozen=True, slots=True)
class _Hypothesis:
    """A continuation so far."""

    tokens: tuple[int, ...] = ()
    log_probs: tuple[float, ...] = ()  # nats, of each
    log_prob: float = 0.0  # their sum
    constraint: ConstraintState | None = None  # after all tokens of a live hypothesis
    text: Continuation | None = None  # of all tokens, where a stop string may end it

    def child(self, token: int, log_prob: float) -> _Hypothesis:
        """Append one token."""
        return replace(
            self,
            text=None if self.text is None else self.text.extended(token, log_prob),
            tokens=(*self.tokens, token),
            log_probs=(*self.log_probs, log_prob),
            log_prob=self.log_prob + log_prob,
        )

    def going_on(self) -> _Hypothesis:
        """Advance the constraint by the last token, which does not end the hypothesis."""
        if self.constraint is None:
            return self
        return replace(self, constraint=self.constraint.advance(self.tokens[-1]))


class _Finished(NamedTuple):
    hypothesis: _Hypothesis
    reason: FinishReason
    rank: float  # results are ordered by it, best first


@dataclass(eq=False)
class BeamSearch:
    """A prompt, the live hypotheses that continue it, and the finished ones."""

    _engine: Engine
    _tokenizer: TextTokenizer
    _prompt: Prompt
    _options: BeamOptions
    _constraint: Constraint | None = None
    _live: list[_Hypothesis] = field(default_factory=list, init=False)
    _finished: list[_Finished] = field(default_factory=list, init=False)

    def run(self) -> list[Sample]:
        """Search until no live hypothesis could change the results.

        Raises:
            OptionError: the vocabulary cannot spell what the constraint wants.
            ModelError: the model yields nan or inf.
        """
        start = None if self._constraint is None else self._constraint.start(self._prompt)
        nothing = _Hypothesis(constraint=start)
        text = self._continuation(nothing) if self._options.stop else None
        self._live = [replace(nothing, text=text)]
        top = self._best(self._prompt.step(self._engine))
        parents = self._keep(top)
        while self._live and not self._is_decided():
            top = self._read(top, parents)
            parents = self._keep(top)
        return [self._sample(finished) for finished in self._results()]

    @property
    def _width(self) -> int:
        """The number of hypotheses that may live: the beam shrinks as they finish."""
        return self._options.beam_size - len(self._finished)

    @property
    def _num_best(self) -> int:
        """K: the hypotheses that may live, and one more for each token that is never generated."""
        return min(self._engine.config.vocab_size, self._width + len(self._never))

    @property
    def _never(self) -> list[int]:
        """The tokens that are never generated: <s>, and <unk> unless it was asked for."""
        return never_generated(self._engine.config, unk=self._options.unk)

    def _read(self, top: Top, parents: Ids) -> Top:
        """Let each live hypothesis read its last token."""
        tokens = np.array([hypothesis.tokens[-1] for hypothesis in self._live])
        tokens = after_line_end(tokens, self._engine.config)
        if self._constraint is None:
            return self._engine.top(tokens, top.state, self._num_best, parents)
        return self._best(self._engine.step(tokens, top.state, parents))

    def _best(self, step: Step) -> Top:
        """The best tokens that the constraint allows."""
        if self._constraint is None:
            return Top.of(step, self._num_best)
        states = [one.constraint for one in self._live if one.constraint is not None]
        allowed = np.stack([state.allowed() for state in states])  # [B, V]
        if not self._finished and not allowed.any():
            raise self._constraint.dead_end(self._continuation(self._live[0]).text)
        log_probs = np.where(allowed, step.log_probs, np.float32(-np.inf))
        return Top.of(Step(log_probs, step.state), self._num_best)

    def _keep(self, top: Top) -> Ids:
        """Keep the best hypotheses; those that end leave the beam.

        Returns:
            parents int64 [B]: the row that each live hypothesis came from.
        """
        live, parents = [], []
        for row, column in self._order(top):
            token, log_prob = top.tokens[row, column], top.log_probs[row, column]
            child = self._live[row].child(int(token), float(log_prob))
            reason = self._finish_reason(child)
            if reason is None:
                live.append(child.going_on())
                parents.append(row)
            else:
                rank = self._options.rank(child.log_prob, len(child.tokens))
                self._finished.append(_Finished(child, reason, rank))
        self._live = live
        return np.array(parents, np.int64)

    def _order(self, top: Top) -> list[tuple[int, int]]:
        """Rows and columns of the best candidates, best first; among equals, the first of them."""
        log_probs = top.log_probs + np.array([[one.log_prob] for one in self._live])
        log_probs[np.isin(top.tokens, self._never)] = -np.inf
        best = np.argsort(-log_probs, axis=None, kind="stable")[: self._width]
        best = best[np.isfinite(log_probs.flat[best])]
        rows, columns = np.unravel_index(best, log_probs.shape)
        return list(zip(rows.tolist(), columns.tolist(), strict=True))

    def _finish_reason(self, hypothesis: _Hypothesis) -> FinishReason | None:
        eos = self._engine.config.eos_token_id
        is_over = hypothesis.tokens[-1] == eos
        if is_over and hypothesis.tokens.count(eos) == self._options.max_lines:
            return "eos"
        if hypothesis.text is not None and hypothesis.text.stopped:
            return "stop"
        return "length" if len(hypothesis.tokens) == self._options.max_tokens else None

    def _is_decided(self) -> bool:
        """Return whether no live hypothesis can still beat the worst of the results."""
        results = self._results()
        return len(results) == self._options.num_results and all(
            self._options.best_rank(one.log_prob, len(one.tokens)) <= results[-1].rank
            for one in self._live
        )

    def _results(self) -> list[_Finished]:
        """The best finished hypotheses, best first; among equals, the first to finish."""
        ranked = sorted(self._finished, key=lambda one: one.rank, reverse=True)
        return ranked[: self._options.num_results]

    def _sample(self, finished: _Finished) -> Sample:
        continuation = self._continuation(finished.hypothesis)
        continuation.finish()
        return continuation.sample(finished.reason)

    def _continuation(self, hypothesis: _Hypothesis) -> Continuation:
        """The text of a hypothesis, from its first token on."""
        continuation = Continuation(
            self._tokenizer,
            self._prompt,
            unk_id=self._engine.config.unk_token_id,
            stop=self._options.stop,
            eos=self._engine.config.eos_token_id,
            max_lines=self._options.max_lines,
        )
        for token, log_prob in zip(hypothesis.tokens, hypothesis.log_probs, strict=True):
            continuation.add(token, log_prob)
        return continuation
