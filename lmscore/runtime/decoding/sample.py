"""Sampling: continuations drawn token by token, all of a batch in one step.

Letters in shapes: B live samples, P prompts, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmscore.runtime.decoding.constraint import Constraint, ConstraintState
from lmscore.runtime.decoding.never import never_generated
from lmscore.runtime.decoding.result import FinishReason, Sample
from lmscore.runtime.decoding.sampling import SamplingOptions, draw, random_stream
from lmscore.runtime.decoding.text import Continuation, Prompt
from lmscore.runtime.engine import Engine, State, Step
from lmscore.runtime.text import Ids, TextTokenizer

_ARRAYS = 8  # arrays [B, V] that warping and drawing need, beside those of the graph


@dataclass(frozen=True)
class Sampler:
    """A model, and the options to draw from it."""

    engine: Engine
    tokenizer: TextTokenizer
    options: SamplingOptions
    constraint: Constraint | None = None

    def sample(self, prompts: Sequence[Prompt]) -> list[list[Sample]]:
        """The samples of each prompt; none depends on the others of its batch.

        Raises:
            OptionError: the vocabulary cannot spell what the constraint wants.
            ModelError: the model yields nan or inf.
        """
        n = self.options.num_samples
        rows = np.arange(len(prompts) * n)
        size = max(1, self.engine.token_budget // _ARRAYS)
        samples: list[Sample] = []
        for start in range(0, len(rows), size):
            samples += self._batch(prompts, *np.divmod(rows[start : start + size], n))
        return [samples[start : start + n] for start in range(0, len(rows), n)]

    def stream(self, prompt: Prompt) -> Generator[str, None, None]:
        """Yield the first sample's text in pieces, as soon as each is certain."""
        drafts = [self._draft(prompt, 0)]
        pieces = self._steps(drafts, self.engine.read(prompt.ids), np.zeros(1, np.int64))
        return (piece for piece in pieces if piece)

    def _batch(self, prompts: Sequence[Prompt], owners: Ids, numbers: Ids) -> list[Sample]:
        """Draw sample `numbers[b]` of prompt `owners[b]`, for all b at once."""
        read, parents = np.unique(owners, return_inverse=True)
        start = _joined([self.engine.read(prompts[p].ids) for p in read.tolist()])
        drafts = [
            self._draft(prompts[owner], number)
            for owner, number in zip(owners.tolist(), numbers.tolist(), strict=True)
        ]
        for _ in self._steps(drafts, start, parents):
            pass
        return [draft.continuation.sample(draft.reason) for draft in drafts]

    def _draft(self, prompt: Prompt, number: int) -> _Draft:
        config = self.engine.config
        seen = np.zeros(config.vocab_size, np.bool_)
        seen[prompt.ids] = True
        return _Draft(
            Continuation(
                self.tokenizer, prompt, unk_id=config.unk_token_id, stop=self.options.stop
            ),
            random_stream(self.options.seed, number, prompt.ids),
            seen,
            self.constraint.start(prompt) if self.constraint else None,
        )

    def _steps(self, drafts: list[_Draft], step: Step, parents: Ids) -> Iterator[str]:
        """Extend B drafts until all are finished, and yield the text that becomes certain.

        `step` has P rows, one after each prompt; parents int64 [B] is the prompt of each draft. The
        text comes draft after draft and token after token.
        """
        log_probs = step.log_probs[parents]
        for left in range(self.options.max_tokens, 0, -1):
            tokens = self._choose(log_probs, drafts)
            drawn = log_probs[np.arange(len(drafts)), tokens].tolist()
            for draft, token, log_prob in zip(drafts, tokens.tolist(), drawn, strict=True):
                yield self._extend(draft, token, log_prob, is_last=left == 1)
            going_on = np.flatnonzero([not draft.is_finished for draft in drafts])
            if not len(going_on):
                return
            drafts = [drafts[row] for row in going_on]
            step = self.engine.step(tokens[going_on], step.state, parents[going_on])
            log_probs, parents = step.log_probs, np.arange(len(drafts))

    def _choose(self, log_probs: NDArray[np.float32], drafts: Sequence[_Draft]) -> Ids:
        """The next token of each draft, int64 [B], from log-probs [B, V], which may be changed."""
        self._forbid(log_probs, drafts)
        warped = self.options.warp(log_probs, [draft.seen for draft in drafts])
        if self.options.is_greedy:
            return np.asarray(np.argmax(warped, axis=1))
        return draw(warped, [draft.random for draft in drafts])

    def _forbid(self, log_probs: NDArray[np.float32], drafts: Sequence[_Draft]) -> None:
        """Set tokens that may not come next to -inf: <s>, <unk>, what the constraint forbids."""
        log_probs[:, never_generated(self.engine.config, unk=self.options.unk)] = -np.inf
        if self.constraint is not None:
            for draft, row in zip(drafts, log_probs, strict=True):
                if draft.constraint is not None:
                    row[~draft.constraint.allowed()] = -np.inf
                if not np.isfinite(row).any():
                    raise self.constraint.dead_end(draft.continuation.text)

    def _extend(self, draft: _Draft, token: int, log_prob: float, *, is_last: bool) -> str:
        """Append a token to a draft; return the text that became certain."""
        text = draft.continuation.add(token, log_prob)
        draft.seen[token] = True
        if token == self.engine.config.eos_token_id:
            draft.reason = "eos"
        elif draft.continuation.stopped:
            draft.reason = "stop"
        draft.is_finished = is_last or draft.reason != "length"
        if draft.is_finished:
            return text + draft.continuation.finish()
        if draft.constraint is not None:
            draft.constraint = draft.constraint.advance(token)
        return text


@dataclass(eq=False)
class _Draft:
    """An unfinished sample."""

    continuation: Continuation
    random: np.random.Generator
    seen: NDArray[np.bool_]  # [V], tokens of the prompt and of the continuation
    constraint: ConstraintState | None
    reason: FinishReason = "length"  # unless something else ends it
    is_finished: bool = False


def _joined(steps: Sequence[Step]) -> Step:
    """Join several steps of one row into one of P rows."""
    log_probs = np.concatenate([step.log_probs for step in steps])
    return Step(log_probs, State.concat(step.state for step in steps))
