"""Models that adapt to a document while they read it: a word cache, and weights that learn on.

Letters in shapes: N tokens of a document, T of a piece of it, M in a cache, H hidden, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmscore.bundle import WEIGHTS_FILE, Bundle
from lmscore.errors import OptionError, TrainingError
from lmscore.runtime.text import Ids, TextTokenizer
from lmscore.train.inherit import load_weights_into
from lmscore.train.memory import keep_freed_memory
from lmscore.train.network import Outputs, RecurrentLM

Floats = NDArray[np.float64]

_PIECE = 128  # tokens read at once by a cache


@dataclass(frozen=True, kw_only=True)
class Cache:
    """A neural cache: words that followed similar states are more likely (Grave et al. 2017).

    p(w) = (1 - weight) p_network(w) + weight p_cache(w), where p_cache(w) is proportional to the
    sum of exp(flatness * h_t . h_i) over the last `size` places i whose next word was w (their
    eq. 2 and 3; h is the last layer's hidden state, flatness their theta, weight their lambda).
    """

    size: int = 2000  # tokens remembered
    flatness: float = 0.3
    weight: float = 0.2

    def log_probs(self, network: RecurrentLM, document: Ids) -> Floats:
        """The log-probabilities (nats) of a document's tokens, float64 [N].

        Raises OptionError if flatness is so large that the cache has no finite probabilities.
        """
        return np.concatenate([_numpy(found) for found in self._pieces(network, document)])

    @torch.no_grad()
    def _pieces(self, network: RecurrentLM, document: Ids) -> Iterator[Tensor]:
        keys: Tensor | None = None
        words = torch.zeros(0, dtype=torch.int64, device=network.device)
        for outputs, targets in _read(network, document, _PIECE):
            hidden = outputs.hidden[:, 0]  # [T, H], or what dense connections join
            keys = hidden if keys is None else torch.cat([keys, hidden])
            words = torch.cat([words, targets])
            in_cache = self._probs(hidden, keys, words, targets)
            static = _target_log_probs(network, outputs, targets).double().exp()
            mixed = (1 - self.weight) * static + self.weight * in_cache
            if len(keys) == len(hidden):  # the cache is empty at the first token
                mixed[0] = static[0]
            if mixed.isnan().any():
                raise OptionError(
                    f"cache: flatness {self.flatness:g} is too large for this model's states"
                )
            yield mixed.log()
            keys, words = keys[-self.size :], words[-self.size :]

    def _probs(self, hidden: Tensor, keys: Tensor, words: Tensor, targets: Tensor) -> Tensor:
        """The cache's probability [T] of the targets; NaN for the first token of the document.

        keys [M + T, H] and words [M + T] end with the piece itself; a token sees earlier places.
        """
        T, places = len(hidden), torch.arange(len(keys), device=keys.device)
        now = places[-T:, None]
        remembered = (places < now) & (places >= now - self.size)  # [T, M + T]
        scores = (self.flatness * hidden @ keys.T).masked_fill(~remembered, -torch.inf)
        found: Tensor = (scores.double().softmax(-1) * (words == targets[:, None])).sum(-1)
        return found


@dataclass(frozen=True, kw_only=True)
class Dynamic:
    """Dynamic evaluation: the weights learn from tokens once predicted (Krause et al. 2018).

    After every `tokens` tokens, w <- w - rate * gradient of their mean loss + decay * (w_0 - w).
    This is their gradient descent with decay towards the trained weights w_0, without the scales
    that their RMS variant takes from the training text.
    """

    rate: float = 0.2
    decay: float = 0.001
    tokens: int = 20

    def log_probs(self, network: RecurrentLM, document: Ids) -> Floats:
        """The log-probabilities (nats) of a document's tokens, float64 [N]; changes the network.

        Raises TrainingError if a log-probability is NaN or infinite.
        """
        weights = list(network.parameters())
        trained = [weight.detach().clone() for weight in weights]
        found = []
        for outputs, targets in _read(network, document, self.tokens):
            log_probs = _target_log_probs(network, outputs, targets)
            gradients = torch.autograd.grad(-log_probs.mean(), weights)
            with torch.no_grad():
                for weight, gradient, first in zip(weights, gradients, trained, strict=True):
                    weight.lerp_(first, self.decay).sub_(gradient, alpha=self.rate)
            found.append(_numpy(log_probs.detach()))
            if not np.isfinite(found[-1]).all():
                raise TrainingError(
                    f"dynamic evaluation: the loss is no longer finite after {len(found)} updates; "
                    f"take a lower rate (now {self.rate:g})"
                )
        return np.concatenate(found)


def _read(network: RecurrentLM, document: Ids, size: int) -> Iterator[tuple[Outputs, Tensor]]:
    """Run a network over a document in pieces: yields the outputs of each, and its targets [T]."""
    network.eval()
    device = network.device
    targets = torch.from_numpy(document).to(device)
    inputs = torch.cat([targets.new_tensor([network.config.bos_token_id]), targets[:-1]])
    state = network.initial_state(1)
    for start in range(0, len(document), size):
        piece = slice(start, start + size)
        outputs = network.run(inputs[piece, None], state)
        yield outputs, targets[piece]
        state = tuple(part.detach() for part in outputs.state)


def _target_log_probs(network: RecurrentLM, outputs: Outputs, targets: Tensor) -> Tensor:
    log_probs = network.log_probs(outputs.features[:, 0])
    return log_probs.gather(1, targets[:, None])[:, 0]


def _numpy(tensor: Tensor) -> Floats:
    return tensor.double().cpu().numpy()


def adaptive_log_probs(
    bundle: Bundle,
    texts: Sequence[str],
    method: Cache | Dynamic,
    *,
    device: torch.device,
    threads: int | None = None,
    trust: bool = False,
) -> tuple[float, float]:
    """The log-probability (nats) of a document, and of its unknown words alone.

    `texts` are the lines of the document; `</s>` follows each. `threads` of the CPU default to
    PyTorch's choice; `trust` is as in `lmscore.load`.

    Raises:
        ModelError: the weights or the tokenizer are damaged.
        InputError: the vocabulary cannot spell a text.
        OptionError, TrainingError: the method has no finite log-probabilities.
    """
    keep_freed_memory()  # gradients as large as the weights come and go every few tokens
    if threads is not None:
        torch.set_num_threads(threads)
    config = bundle.config
    network = RecurrentLM(config).to(device)
    load_weights_into(network, bundle)
    end = np.array([config.eos_token_id])
    rows = TextTokenizer.load(bundle, trust=trust).encode_batch(texts)
    document = np.concatenate([end[:0], *(part for row in rows for part in (row, end))])
    log_probs = method.log_probs(network, document) if len(document) else np.zeros(0)
    unknown = log_probs[document == config.unk_token_id]
    return float(log_probs.sum()), float(unknown.sum())


def check_adaptable(bundle: Bundle) -> None:
    """Raise an error if a model cannot adapt.

    Raises:
        OptionError: the model was trained on sentences or pairs, not on documents.
        ModelNotFoundError: its weights are missing.
    """
    config = bundle.config
    if config.context != "document" or config.learnt_pairs:
        texts = "pairs" if config.learnt_pairs else "sentences"
        raise OptionError(
            f"{bundle.path}: was trained on {texts}; only a model of documents can adapt to one"
        )
    bundle.file(WEIGHTS_FILE)
