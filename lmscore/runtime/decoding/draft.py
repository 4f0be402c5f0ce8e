"""Drafts: samples that are not finished, and the choice of their next tokens.

Letters in shapes: B drafts, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import Config
from lmscore.runtime.decoding.constraint import Constraint, ConstraintState
from lmscore.runtime.decoding.never import never_generated
from lmscore.runtime.decoding.result import FinishReason, Sample
from lmscore.runtime.decoding.sampling import SamplingOptions, draw, random_stream
from lmscore.runtime.decoding.text import Continuation, Prompt
from lmscore.runtime.text import Ids, TextTokenizer


@dataclass(eq=False)
class Draft:
    """An unfinished sample. What becomes of it does not depend on the drafts beside it."""

    options: SamplingOptions
    continuation: Continuation
    random: np.random.Generator
    seen: NDArray[np.bool_]  # [V], tokens of the prompt and of the continuation
    tokens_left: int
    constraint: Constraint | None = None
    constrained: ConstraintState | None = None
    reason: FinishReason = "length"  # unless something else ends it
    is_finished: bool = False

    @classmethod
    def start(
        cls,
        tokenizer: TextTokenizer,
        config: Config,
        prompt: Prompt,
        options: SamplingOptions,
        *,
        number: int = 0,
        constraint: Constraint | None = None,
    ) -> Draft:
        """Begin sample `number` of a prompt."""
        seen = np.zeros(config.vocab_size, np.bool_)
        seen[prompt.all_ids] = True
        return cls(
            options,
            Continuation(
                tokenizer,
                prompt,
                unk_id=config.unk_token_id,
                stop=options.stop,
                eos=config.eos_token_id,
                max_lines=options.max_lines,
            ),
            random_stream(options.seed, number, prompt.all_ids),
            seen,
            options.max_tokens,
            constraint,
            constraint.start(prompt) if constraint else None,
        )

    def extend(self, token: int, log_prob: float) -> str:
        """Append a token (`log_prob` in nats); return the text now certain."""
        text = self.continuation.add(token, log_prob)
        self.seen[token] = True
        self.tokens_left -= 1
        if self.continuation.ended:
            self.reason = "eos"
        elif self.continuation.stopped:
            self.reason = "stop"
        self.is_finished = self.tokens_left == 0 or self.reason != "length"
        if self.is_finished:
            return text + self.continuation.finish()
        if self.constrained is not None:
            self.constrained = self.constrained.advance(token)
        return text

    def sample(self) -> Sample:
        """The finished sample."""
        return self.continuation.sample(self.reason)


def choose_tokens(log_probs: NDArray[np.float32], drafts: Sequence[Draft], config: Config) -> Ids:
    """The next token of each draft, int64 [B], from log-probs [B, V], which may be changed.

    Tokens that may not come next are set to -inf: <s>, <unk>, what a constraint forbids.

    Raises:
        OptionError: the vocabulary cannot spell what a constraint wants.
    """
    groups: dict[int, list[int]] = {}
    for row, draft in enumerate(drafts):
        groups.setdefault(id(draft.options), []).append(row)
    if len(groups) == 1:
        return _choose(log_probs, drafts, config)
    chosen = np.empty(len(drafts), np.int64)
    for rows in groups.values():
        chosen[rows] = _choose(log_probs[rows], [drafts[row] for row in rows], config)
    return chosen


def _choose(log_probs: NDArray[np.float32], drafts: Sequence[Draft], config: Config) -> Ids:
    """As `choose_tokens`, for drafts with the same options."""
    options = drafts[0].options
    log_probs[:, never_generated(config, unk=options.unk)] = -np.inf
    for draft, row in zip(drafts, log_probs, strict=True):
        _constrain(draft, row)
    warped = options.warp(log_probs, [draft.seen for draft in drafts])
    if options.is_greedy:
        return np.asarray(np.argmax(warped, axis=1))
    return draw(warped, [draft.random for draft in drafts])


def _constrain(draft: Draft, log_probs: NDArray[np.float32]) -> None:
    """Set the tokens that a draft's constraint forbids to -inf, in log-probs [V]."""
    if draft.constraint is None:
        return
    if draft.constrained is not None:
        log_probs[~draft.constrained.allowed()] = -np.inf
    if not np.isfinite(log_probs).any():
        raise draft.constraint.dead_end(draft.continuation.text)
