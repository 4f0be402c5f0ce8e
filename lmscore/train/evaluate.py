"""Perplexity of held-out text under the network that is being trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmscore.bundle import Config
from lmscore.forks import lazy
from lmscore.runtime.scoring import Summary
from lmscore.train.batches import Batches, DocumentBatches, SentenceBatches
from lmscore.train.corpus import Corpus, CorpusCounts, join_corpora
from lmscore.train.loss import run_batch
from lmscore.train.losses import Losses, sum_of
from lmscore.train.network import RecurrentLM, State
from lmscore.train.workers import Workers

# A document is read in so many tracks at once; each track begins without context.
_ROWS = 16
_BPTT = 128

_TOKENS = 4096  # of sentences at once

_ALONE = Workers()


@dataclass(frozen=True)
class HeldOut:
    """The held-out texts by name, and all of them as one."""

    texts: Mapping[str, Corpus]

    @lazy
    def whole(self) -> Corpus:
        """All texts, one after another."""
        return join_corpora(list(self.texts.values()))

    @property
    def sha256(self) -> str:
        """The SHA-256 of all token ids."""
        return self.whole.sha256


def held_out_samples(text: HeldOut, config: Config, most_tokens: int) -> dict[str, Batches]:
    """Batches of about `most_tokens` tokens of all texts together, by their names."""
    share = most_tokens / text.whole.counts.tokens
    return {
        name: held_out_batches(corpus, config, max(1, round(share * corpus.counts.tokens)))
        for name, corpus in text.texts.items()
    }


def held_out_batches(corpus: Corpus, config: Config, most_tokens: int | None = None) -> Batches:
    """Batches of a corpus, or of about `most_tokens` of it, taken evenly from everywhere."""
    if config.context == "document" and corpus.heads is None:
        return DocumentBatches(corpus, config, rows=_ROWS, bptt=_BPTT, most_tokens=most_tokens)
    lines = None
    if most_tokens is not None and most_tokens < corpus.counts.tokens:
        share = most_tokens / corpus.counts.tokens
        count = max(1, int(corpus.counts.lines * share))
        lines = np.linspace(0, corpus.counts.lines - 1, count).astype(np.int64)
    return SentenceBatches(corpus, config, tokens=_TOKENS, seed=None, lines=lines)


@torch.no_grad()
def measure(
    network: RecurrentLM,
    batches: Batches,
    *,
    dtype: torch.dtype = torch.float32,
    workers: Workers = _ALONE,
    report: Callable[[int], None] = lambda _: None,
) -> Losses:
    """The losses of all tokens of the batches; `workers` share the work.

    `report` is called with the number of tokens of each batch.
    """
    unk, head = network.config.unk_token_id, network.head
    total = oov = oovs = 0.0
    for features, targets in _evaluated(network, batches, dtype, workers):
        unknown = targets == unk if unk is not None else targets < 0
        if unknown.any():
            lost = float(head.loss(features[unknown], targets[unknown], dtype))
            total, oov, oovs = total + lost, oov + lost, oovs + float(unknown.sum())
        known = ~unknown
        if known.any():
            total += float(head.loss(features[known], targets[known], dtype))
        report(len(targets))
    return Losses(workers.sum(total), batches.tokens, workers.sum(oov), round(workers.sum(oovs)))


@torch.no_grad()
def mean_log_z(
    network: RecurrentLM, batches: Batches, *, dtype: torch.dtype = torch.float32
) -> float:
    """The mean over tokens of log Z, the log of the sum of exp(logit) (nats)."""
    evaluated = _evaluated(network, batches, dtype, _ALONE)
    total = sum(float(network.head.log_z(features, dtype).sum()) for features, _ in evaluated)
    return total / batches.tokens


def _evaluated(
    network: RecurrentLM, batches: Batches, dtype: torch.dtype, workers: Workers
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield features [N, E] and targets [N] of each batch, without dropout."""
    was_training = network.training
    network.eval()
    state: State | None = None
    for batch in batches.epoch(0):
        features, targets, outputs = run_batch(network, workers.share(batch), state, dtype)
        yield features, targets
        state = outputs.state
    network.train(was_training)


def held_out(
    network: RecurrentLM, text: HeldOut, *, report: Callable[[int], None] = lambda _: None
) -> dict[str, Any]:
    """Measure held-out text in float32; the figures have their names in config.json.

    Of several texts there are the figures of all together, and of each in `texts`. `report` is
    called with the number of tokens of each batch.
    """
    losses = {
        name: measure(network, held_out_batches(corpus, network.config), report=report).scaled(
            corpus.num_targets
        )
        for name, corpus in text.texts.items()
    }
    # Document tracks leave up to _ROWS - 1 tokens unread; the others stand for them.
    whole = sum_of(losses)
    found: dict[str, Any] = figures(whole, text.whole.counts)
    if len(losses) > 1:
        found["texts"] = {
            name: {**asdict(corpus.counts), **figures(losses[name], corpus.counts)}
            for name, corpus in text.texts.items()
        }
    return found


def figures(losses: Losses, counts: CorpusCounts) -> dict[str, float | None]:
    """Perplexities from the losses of a text; None if one is undefined or too large for a float.

    perplexity is per token, perplexity_excluding_oovs per token that is not `<unk>`,
    perplexity_per_word counts one `</s>` a line as a word, and bits_per_character one newline a
    line as a character.
    """
    summary = Summary(
        sentences=counts.lines,
        ends=counts.lines,
        words=counts.words,
        tokens=losses.tokens,
        oovs=losses.oovs,
        characters=counts.characters,
        log_prob=-losses.total,
        oov_log_prob=-losses.oov,
    ).as_dict()
    return {
        "log_prob": summary["log_prob"],
        "perplexity": summary["perplexity"],
        "perplexity_excluding_oovs": summary["perplexity_excluding_oovs"],
        "perplexity_per_word": summary["ppl"],
        "bits_per_character": summary["bits_per_character"],
    }
