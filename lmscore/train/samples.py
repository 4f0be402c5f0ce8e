"""parity.npz: the trained network's results, which export reproduces without torch."""

from __future__ import annotations

import numpy as np
import torch

from lmscore.bundle import MAX_COLUMNS, Config, Parity
from lmscore.train.corpus import Corpus
from lmscore.train.network import RecurrentLM, State

_LENGTHS = (1, 2, 3, 5, 8, 13, 21)
_HELD_OUT_LINES = 256
_HELD_OUT_LENGTH = 64


@torch.no_grad()
def make_parity(network: RecurrentLM, corpus: Corpus) -> Parity:
    """Run the network in float32 over a few sequences and a sample of held-out lines."""
    config = network.config
    inputs, targets, lengths = _rows(config, _sequences(corpus))
    V = config.vocab_size
    columns = np.unique(np.linspace(0, V - 1, min(MAX_COLUMNS, V)).astype(np.int64))
    log_probs, target_log_probs = _log_probs(network, inputs, targets, columns)
    held_inputs, held_targets, held_lengths = _rows(config, _held_out(corpus))
    _, held_log_probs = _log_probs(network, held_inputs, held_targets, columns[:1])
    return Parity(
        inputs=inputs,
        targets=targets,
        lengths=lengths,
        columns=columns,
        log_probs=log_probs,
        target_log_probs=target_log_probs,
        final_state=_final_state(network, inputs, lengths),
        heldout_inputs=held_inputs,
        heldout_targets=held_targets,
        heldout_lengths=held_lengths,
        heldout_target_log_probs=held_log_probs,
        heldout_target_scores=_scores(network, held_inputs, held_targets)
        if config.head_spec.has_scores
        else None,
    )


def _sequences(corpus: Corpus) -> list[np.ndarray]:
    """Stretches of text of several lengths; a short text is read around its end."""
    lines = np.linspace(0, corpus.counts.lines - 1, len(_LENGTHS)).astype(np.int64)
    return [
        np.take(corpus.tokens, np.arange(start, start + length), mode="wrap")
        for start, length in zip(corpus.starts[lines], _LENGTHS, strict=True)
    ]


def _held_out(corpus: Corpus) -> list[np.ndarray]:
    count = min(_HELD_OUT_LINES, corpus.counts.lines)
    lines = np.linspace(0, corpus.counts.lines - 1, count).astype(np.int64)
    ends = np.minimum(corpus.starts[lines + 1], corpus.starts[lines] + _HELD_OUT_LENGTH)
    return [corpus.tokens[start:end] for start, end in zip(corpus.starts[lines], ends, strict=True)]


def _rows(config: Config, rows: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs and targets int64 [N, T] padded with 0, and lengths int32 [N]."""
    lengths = np.array([len(row) for row in rows], np.int32)
    targets = np.zeros((len(rows), lengths.max()), np.int64)
    inputs = np.zeros_like(targets)
    for index, row in enumerate(rows):
        targets[index, : len(row)] = row
        inputs[index, 0] = config.prefix_token_id
        inputs[index, 1 : len(row)] = row[:-1]
    return inputs, targets, lengths


def _log_probs(
    network: RecurrentLM, inputs: np.ndarray, targets: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities of `columns` [N, T, C] and of the targets [N, T], float32, nats."""
    some, of_targets = [], []
    for start in range(0, len(inputs), 16):  # a few rows at once: [16, T, V] must fit in memory
        rows = slice(start, start + 16)
        log_probs = network.log_probs(_run(network, inputs[rows])[0])  # [n, T, V]
        index = torch.from_numpy(targets[rows, :, None]).to(network.device)
        some.append(log_probs[:, :, torch.from_numpy(columns).to(network.device)].cpu().numpy())
        of_targets.append(log_probs.gather(2, index).squeeze(2).cpu().numpy())
    return np.concatenate(some), np.concatenate(of_targets)


def _scores(network: RecurrentLM, inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The targets' own logits [N, T], float32: log-probabilities plus log Z."""
    features, _ = _run(network, inputs)
    index = torch.from_numpy(targets).to(network.device)
    scores: np.ndarray = network.head.scores(features, index).cpu().numpy()
    return scores


def _final_state(
    network: RecurrentLM, inputs: np.ndarray, lengths: np.ndarray
) -> tuple[np.ndarray, ...]:
    """The state of every row after its own length, float32 [L, N, H] each."""
    states = (_run(network, inputs[[row], :length])[1] for row, length in enumerate(lengths))
    return tuple(torch.cat(parts, dim=1).cpu().numpy() for parts in zip(*states, strict=True))


def _run(network: RecurrentLM, inputs: np.ndarray) -> tuple[torch.Tensor, State]:
    """Run a network over inputs [n, T] -> features [n, T, D], the state after the last token."""
    tokens = torch.from_numpy(inputs.T.copy()).to(network.device)
    features, state = network(tokens, network.initial_state(len(inputs)))
    return features.transpose(0, 1), state
