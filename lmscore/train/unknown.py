"""Words that stand for `<unk>` in training, so that the model learns where unknown words are."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lmscore.bundle import Config
from lmscore.forks import lazy
from lmscore.runtime.text import Ids
from lmscore.train.batches import Batch
from lmscore.train.corpus import Corpus
from lmscore.train.options import TrainOptions

_CLOSED = ("word", "char")  # tokenizers whose vocabulary leaves words out


@dataclass
class StandIns:
    """Words seen once, a share of which stands for `<unk>`: other ones in each epoch.

    Each of them occurs once, so a share of the words is a share of their occurrences.
    """

    words: Ids  # their ids
    unk: int
    share: float
    seed: int
    vocab_size: int

    @property
    def expected(self) -> int:
        """How many tokens of an epoch are `<unk>`, on average."""
        return round(self.share * len(self.words))

    def in_place(self, batch: Batch, epoch: int) -> Batch:
        """The batch with `<unk>` in the place of the words drawn for an epoch."""
        table = self._table(epoch)
        return replace(batch, inputs=table[batch.inputs], targets=table[batch.targets])

    def _table(self, epoch: int) -> Tensor:
        """The id to read for every id; PADDING, which is -1, reads the last entry: itself."""
        if self._drawn[0] != epoch:
            random = np.random.default_rng((self.seed, epoch, 1))  # not those of the lines
            drawn = self.words[random.random(len(self.words)) < self.share]
            table = torch.cat([torch.arange(self.vocab_size), torch.tensor([-1])])
            table[torch.from_numpy(drawn)] = self.unk
            self._drawn = (epoch, table)
        return self._drawn[1]

    @lazy
    def _drawn(self) -> tuple[int, Tensor]:
        return -1, torch.empty(0)


def find_stand_ins(corpus: Corpus, config: Config, options: TrainOptions) -> StandIns | None:
    """The stand-ins of a run; None if `<unk>` is learnt without them, or there can be none.

    If the vocabulary leaves out as many occurrences as there are words seen once in it, unknown
    words are common enough to be learnt.
    """
    unk = config.unk_token_id
    if unk is None or config.tokenizer not in _CLOSED or options.init_from:
        return None
    once = np.flatnonzero(corpus.token_counts(config.vocab_size) == 1)
    once = once[~np.isin(once, (unk, config.bos_token_id, config.eos_token_id))]
    if not options.unk_share or len(once) <= corpus.counts.oov:
        return None
    return StandIns(once, unk, options.unk_share, options.seed, config.vocab_size)
