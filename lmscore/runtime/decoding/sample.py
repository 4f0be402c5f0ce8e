"""Sampling: continuations drawn token by token, all of a batch in one step.

Letters in shapes: B live samples, P prompts, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lmscore.runtime.decoding.constraint import Constraint
from lmscore.runtime.decoding.draft import Draft, choose_tokens
from lmscore.runtime.decoding.result import Sample
from lmscore.runtime.decoding.sampling import SamplingOptions
from lmscore.runtime.decoding.text import Prompt, after_line_end
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
        pieces = self._steps(drafts, prompt.step(self.engine), np.zeros(1, np.int64))
        return (piece for piece in pieces if piece)

    def _batch(self, prompts: Sequence[Prompt], owners: Ids, numbers: Ids) -> list[Sample]:
        """Draw sample `numbers[b]` of prompt `owners[b]`, for all b at once."""
        read, parents = np.unique(owners, return_inverse=True)
        start = _joined([prompts[p].step(self.engine) for p in read.tolist()])
        drafts = [
            self._draft(prompts[owner], number)
            for owner, number in zip(owners.tolist(), numbers.tolist(), strict=True)
        ]
        for _ in self._steps(drafts, start, parents):
            pass
        return [draft.sample() for draft in drafts]

    def _draft(self, prompt: Prompt, number: int) -> Draft:
        return Draft.start(
            self.tokenizer,
            self.engine.config,
            prompt,
            self.options,
            number=number,
            constraint=self.constraint,
        )

    def _steps(self, drafts: list[Draft], step: Step, parents: Ids) -> Iterator[str]:
        """Extend B drafts until all are finished, and yield the text that becomes certain.

        `step` has P rows, one after each prompt; parents int64 [B] is the prompt of each draft. The
        text comes draft after draft and token after token.
        """
        config = self.engine.config
        log_probs = step.log_probs[parents]
        while drafts:
            tokens = choose_tokens(log_probs, drafts, config)
            drawn = log_probs[np.arange(len(drafts)), tokens].tolist()
            for draft, token, log_prob in zip(drafts, tokens.tolist(), drawn, strict=True):
                yield draft.extend(token, log_prob)
            going_on = np.flatnonzero([not draft.is_finished for draft in drafts])
            if not len(going_on):
                return
            drafts = [drafts[row] for row in going_on]
            read = after_line_end(tokens[going_on], config)
            step = self.engine.step(read, step.state, parents[going_on])
            log_probs, parents = step.log_probs, np.arange(len(drafts))


def _joined(steps: Sequence[Step]) -> Step:
    """Join several steps of one row into one of P rows."""
    log_probs = np.concatenate([step.log_probs for step in steps])
    return Step(log_probs, State.concat(step.state for step in steps))
