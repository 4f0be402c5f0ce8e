"""The models that a run learns from: networks in model directories, and n-gram models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmscore.bundle import WEIGHTS_FILE, Bundle, Config
from lmscore.errors import OptionError
from lmscore.runtime.ngram import BOS, EOS, UNK, NgramModel, read_arpa
from lmscore.runtime.text import TextTokenizer
from lmscore.train.batches import PADDING, Batch
from lmscore.train.distillation import LinearLogits, Logits, SoftTargets, WholeLogits
from lmscore.train.inherit import load_weights_into
from lmscore.train.loss import run_batch
from lmscore.train.network import RecurrentLM, State
from lmscore.train.options import TrainOptions

_LEAST_SHARE = 0.5
"""The share of the vocabulary that an n-gram model must know, or else it counts other units."""


class Teacher(Protocol):
    """A model that reads what the network in training reads."""

    state_size: int
    """The number of tensors in its state; axis 1 of each is the row of the batch."""

    def read(self, batch: Batch, state: State | None, dtype: torch.dtype) -> tuple[Logits, State]:
        """The logits of a batch's tokens, without padding, and the state after them.

        `state` is the state after the previous batch; it is used if this batch continues that one.
        """


class Teachers:
    """The teachers of a run, and how much they count."""

    def __init__(self, teachers: Sequence[Teacher], options: TrainOptions) -> None:
        self._teachers = teachers
        self._share, self._temperature = options.teacher_share, options.temperature

    def read(
        self, batch: Batch, state: State | None, dtype: torch.dtype
    ) -> tuple[SoftTargets, State]:
        """What the teachers say of a batch's tokens, and their states, one after another."""
        logits: list[Logits] = []
        after: list[Tensor] = []
        at = 0
        for teacher in self._teachers:
            own = None if state is None else state[at : at + teacher.state_size]
            at += teacher.state_size
            read, following = teacher.read(batch, own, dtype)
            logits.append(read)
            after.extend(following)
        return SoftTargets(logits, self._share, self._temperature), tuple(after)


class NetworkTeacher:
    """A recurrent network as a teacher."""

    def __init__(self, network: RecurrentLM) -> None:
        self._network = network.eval().requires_grad_(False)
        self.state_size = len(network.config.state)

    @torch.no_grad()
    def read(self, batch: Batch, state: State | None, dtype: torch.dtype) -> tuple[Logits, State]:
        """The logits of a batch's tokens, and the state after them; see `Teacher`."""
        features, _, outputs = run_batch(self._network, batch, state, dtype)
        return self._logits(features, dtype), outputs.state

    def _logits(self, features: Tensor, dtype: torch.dtype) -> Logits:
        head = self._network.head
        if self._network.config.head_spec.has_classes:
            return WholeLogits(lambda rows: head.log_probs(features[rows].float()))
        return LinearLogits(features, head.matrix, head.bias, dtype)


class NgramTeacher:
    """An n-gram model of tokens as a teacher; its state is the last tokens, as in its graph."""

    state_size = 1

    def __init__(self, model: NgramModel, words: NDArray[np.int64], device: torch.device) -> None:
        """Take a model, and its number of each token of the vocabulary [V]; 0 is <unk>.

        Tokens that the model does not know share the probability of its <unk>.
        """
        self._model, self._words, self._device = model, words, device
        unknown = words == UNK
        share = math.log(max(int(np.count_nonzero(unknown)), 1))
        self._shares = np.where(unknown, share, 0.0).astype(np.float32)

    def read(
        self,
        batch: Batch,
        state: State | None,
        dtype: torch.dtype,  # noqa: ARG002  # it has no products
    ) -> tuple[Logits, State]:
        """The log-probabilities of a batch's tokens, and the state after them; see `Teacher`."""
        words = self._words[batch.inputs.T.cpu().numpy()]  # [B, T]
        places = self._model.order - 1
        before = np.full((len(words), places), -1, np.int64)
        if state is not None and batch.continues:
            before = state[0][:, :, 0].T.long().cpu().numpy() - 1
        window = np.concatenate([before, words], axis=1)  # [B, places + T]
        counted = (batch.targets != PADDING).flatten().numpy()
        contexts = [
            found[:, places:].T.reshape(-1)[counted] for found in self._model.suffixes(window)
        ]
        # A row with padding has ended, and what follows it is not read again.
        last = torch.from_numpy(window[:, window.shape[1] - places :].T.copy() + 1)

        def whole(rows: slice) -> Tensor:
            chosen = [found[rows] for found in contexts]
            log_probs = self._model.distributions_after(chosen, len(counted[counted][rows]))
            return torch.from_numpy(log_probs[:, self._words] - self._shares).to(self._device)

        return WholeLogits(whole), (last.float()[:, :, None].to(self._device),)


def check_teachers(options: TrainOptions) -> None:
    """Find problems with the teachers that show before the text is read.

    Raises:
        OptionError: a teacher reads otherwise than the model.
        ModelNotFoundError, ModelError: it is missing or damaged.
    """
    reads = {
        "context": options.model_context,
        "direction": options.direction,
        "reversed_prefix": options.reverse_prefix,
    }
    for path in options.teacher:
        if not Path(path).is_file():
            bundle = Bundle.read(path)
            bundle.file(WEIGHTS_FILE)  # or an error now
            for key, ours in reads.items():
                theirs = getattr(bundle.config, key)
                if theirs != ours:
                    raise OptionError(f"teacher {path}: its {key} is {theirs}, the model's {ours}")
        elif (options.context, options.direction) != ("sentence", "forward"):
            raise OptionError(
                f"teacher {path}: an n-gram model reads sentences forward, the model has "
                f"context {options.context} and direction {options.direction}"
            )


def load_teachers(
    options: TrainOptions, folder: Path, config: Config, device: torch.device
) -> Teachers | None:
    """Load the teachers of a run; None if it has none.

    `config` is of the model in training, whose tokenizer is in `folder`.

    Raises:
        OptionError: a teacher has another vocabulary.
        ModelNotFoundError, ModelError, InputFileError: it is missing or damaged.
    """
    if not options.teacher:
        return None
    tokenizer = TextTokenizer.load(Bundle(folder, config), trust=options.trust)
    vocabulary = [tokenizer.token(index) for index in range(config.vocab_size)]
    teachers: list[Teacher] = []
    for path in options.teacher:
        if Path(path).is_file():
            teachers.append(_load_ngram(path, config, vocabulary, device))
        else:
            teachers.append(_load_network(path, vocabulary, options, device))
    return Teachers(teachers, options)


def _load_network(
    path: str, vocabulary: list[str], options: TrainOptions, device: torch.device
) -> NetworkTeacher:
    bundle = Bundle.read(path)
    tokenizer = TextTokenizer.load(bundle, trust=options.trust)
    theirs = [tokenizer.token(index) for index in range(bundle.config.vocab_size)]
    if theirs != vocabulary:
        raise OptionError(
            f"teacher {path}: its vocabulary is another one; train with its tokenizer: "
            f"tokenizer={str(bundle.tokenizer_file())!r}"
        )
    network = RecurrentLM(bundle.config)
    load_weights_into(network, bundle)
    return NetworkTeacher(network.to(device))


def _load_ngram(
    path: str, config: Config, vocabulary: list[str], device: torch.device
) -> NgramTeacher:
    model = read_arpa(path)
    numbers = {word: number for number, word in enumerate(model.words)}
    words = np.array([numbers.get(token, UNK) for token in vocabulary])
    words[config.bos_token_id], words[config.eos_token_id] = BOS, EOS
    known = np.count_nonzero(words) / len(words)
    if known < _LEAST_SHARE:
        raise OptionError(
            f"teacher {path}: it knows {known:.0%} of the vocabulary's tokens; count tokens, "
            "with the `tokenizer` of the model"
        )
    return NgramTeacher(model, words, device)
