"""Perplexity of held-out text under the network that is being trained."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from lmscore.bundle import Config
from lmscore.runtime.scoring import Summary, perplexity_of
from lmscore.train.batches import Batches, DocumentBatches, SentenceBatches
from lmscore.train.corpus import Corpus, CorpusCounts
from lmscore.train.loss import run_batch
from lmscore.train.network import RecurrentLM, State
from lmscore.train.workers import Workers

# A document is read in so many tracks at once; each track begins without context.
_ROWS = 16
_BPTT = 128

_TOKENS = 4096  # of sentences at once

_ALONE = Workers()


def held_out_batches(corpus: Corpus, config: Config, most_tokens: int | None = None) -> Batches:
    """Batches of a corpus, or of about `most_tokens` of it, taken evenly from everywhere."""
    if config.context == "document":
        return DocumentBatches(corpus, config, rows=_ROWS, bptt=_BPTT, most_tokens=most_tokens)
    lines = None
    if most_tokens is not None and most_tokens < corpus.counts.tokens:
        share = most_tokens / corpus.counts.tokens
        count = max(1, int(corpus.counts.lines * share))
        lines = np.linspace(0, corpus.counts.lines - 1, count).astype(np.int64)
    return SentenceBatches(corpus, config, tokens=_TOKENS, seed=None, lines=lines)


def mean_loss(
    network: RecurrentLM,
    batches: Batches,
    *,
    dtype: torch.dtype = torch.float32,
    workers: Workers = _ALONE,
) -> float:
    """The mean negative log-likelihood per token (nats); `workers` share the work."""
    return _mean(network.head.loss, network, batches, dtype, workers)


def mean_log_z(
    network: RecurrentLM, batches: Batches, *, dtype: torch.dtype = torch.float32
) -> float:
    """The mean over tokens of log Z, the log of the sum of exp(logit) (nats)."""

    def log_z(features: torch.Tensor, _: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        return network.head.log_z(features, dtype).sum()

    return _mean(log_z, network, batches, dtype, _ALONE)


@torch.no_grad()
def _mean(
    total: Callable[[torch.Tensor, torch.Tensor, torch.dtype], torch.Tensor],
    network: RecurrentLM,
    batches: Batches,
    dtype: torch.dtype,
    workers: Workers,
) -> float:
    """The mean per token of `total`, which sums a value over features [N, E] and targets [N]."""
    was_training = network.training
    network.eval()
    found = 0.0
    state: State | None = None
    for batch in batches.epoch(0):
        features, targets, outputs = run_batch(network, workers.share(batch), state, dtype)
        found += float(total(features, targets, dtype))
        state = outputs.state
    network.train(was_training)
    return workers.sum(found) / batches.tokens


def held_out(network: RecurrentLM, corpus: Corpus) -> dict[str, float | None]:
    """Measure a corpus in float32; the figures have their names in config.json."""
    return figures(mean_loss(network, held_out_batches(corpus, network.config)), corpus.counts)


def figures(loss: float, counts: CorpusCounts) -> dict[str, float | None]:
    """Perplexities from a mean loss (nats per token); None if one is too large for a float.

    perplexity is per token, perplexity_per_word counts one `</s>` a line as a word, and
    bits_per_character one newline a line as a character.
    """
    # Document tracks leave up to _ROWS - 1 tokens unread; the mean stands for them.
    summary = Summary(
        sentences=counts.lines,
        words=counts.words,
        tokens=counts.tokens,
        characters=counts.characters,
        log_prob=-loss * counts.tokens,
    ).as_dict()
    return {
        "log_prob": summary["log_prob"],
        "perplexity": summary["perplexity"],
        "perplexity_per_word": summary["ppl"],
        "bits_per_character": summary["bits_per_character"],
    }


def perplexity(loss: float) -> float:
    """The perplexity of a mean loss (nats per token); inf if it is too large for a float."""
    return perplexity_of(-loss, 1)
