"""Measurements of a network while it learns: vanishing or exploding gradients, dead units."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils import get_total_norm

from lmscore.bundle import Config
from lmscore.train.batches import PADDING, Batch, time_first
from lmscore.train.corpus import Corpus
from lmscore.train.network import Outputs, RecurrentLM
from lmscore.train.workers import Workers

_ROWS, _LAGS = 16, 32  # the rows and tokens of text through which gradients are followed back
_DEAD = 1e-3  # a unit is dead if its output varies by less than this over a batch


def gradient_norms(network: RecurrentLM) -> dict[str, float]:
    """The norm of the gradient of each part of a network before clipping: `layer_0` and so on."""
    parts = {"embedding": [network.embedding.weight]}
    for index, layer in enumerate(network.layers):
        parts[f"layer_{index}"] = list(layer.parameters())
    if network.projection is not None:
        parts["projection"] = [network.projection.weight]
    parts["output"] = list(network.head.parameters())  # without the embedding, if tied
    return {
        name: float(get_total_norm([w.grad for w in weights if w.grad is not None]))
        for name, weights in parts.items()
    }


@torch.no_grad()
def dead_units(outputs: Outputs, targets: Tensor, workers: Workers) -> list[float]:
    """The share of each layer's units whose output is the same for every token of a batch.

    targets int64 [T, B] are PADDING after the end of a row. Targets and outputs are this worker's
    share of the batch, which may hold no token.
    """
    counted = targets != PADDING
    shares = []
    for hidden in outputs.layers:
        units = hidden[counted].float()  # [N, H]
        none = units.new_full((1, 2 * units.size(1)), -torch.inf)
        extremes = torch.cat([none, torch.cat([units, -units], 1)]).amax(0)
        highest, minus_lowest = workers.largest_of_each(extremes).chunk(2)
        moves = highest + minus_lowest
        shares.append(float((moves < _DEAD).float().mean()))
    return shares


def gradient_by_lag(network: RecurrentLM, probe: Batch) -> dict[str, list[list[float]]]:
    """The norm of d loss_t / d state_{t-k} for k = 1, 2, ...: how far back the loss reaches.

    The loss is on the last token of each row; the norm is over a layer's units, its mean over
    rows. The zeros before the first token are left out: a gated cell multiplies what it keeps of
    them, so there the gradient lacks the paths through the gates, and would drop by a factor of 1.3
    to 3 that says nothing of how far the loss reaches. A network without recurrence gives an empty
    dict.

    Returns:
        For each state tensor, for each layer, a norm per k.
    """
    if not network.config.cell_spec.is_recurrent:
        return {}
    device, was_training = network.device, network.training
    network.eval()
    tokens, targets = probe.inputs.to(device), probe.targets[-1].to(device)
    states = [tuple(part.requires_grad_() for part in network.initial_state(tokens.size(1)))]
    for step in range(len(tokens)):
        features, after = network(tokens[step : step + 1], states[-1])
        states.append(after)
    loss = F.nll_loss(network.log_probs(features[0]), targets, reduction="sum")
    before = states[-2:0:-1]  # lag 1 first
    network.train(was_training)
    return {
        tensor.name: _norms(loss, [state[index] for state in before])
        for index, tensor in enumerate(network.config.cell_state)
    }


def _norms(loss: Tensor, parts: list[Tensor]) -> list[list[float]]:
    if not parts:  # a text of one token
        return []
    gradients = torch.autograd.grad(loss, parts, retain_graph=True)
    by_lag = torch.stack([gradient.norm(dim=-1).mean(-1) for gradient in gradients])  # [K, L]
    norms: list[list[float]] = by_lag.T.tolist()
    return norms


@torch.no_grad()
def recurrent_matrices(network: RecurrentLM) -> dict[str, list[list[float]]]:
    """The spectral norm and the spectral radius of the recurrent matrix of each gate, by layer.

    The radius is the largest size of an eigenvalue, the norm the largest singular value. In an
    Elman network whose units do not saturate, a gradient can grow without bound only if the radius
    is above 1, and vanishes if the norm is below 1 (Pascanu et al. 2013, section 2.1). A network
    without such a matrix gives an empty dict.
    """
    spec = network.config.cell_spec
    if not spec.has_recurrent_matrix:
        return {}
    norms, radii = [], []
    for layer in network.layers:
        weights = dict(layer.named_parameters())
        gates = weights["weight_hh"].float().cpu().chunk(spec.gates)
        found = [_norm_and_radius(gate) for gate in gates]
        norms.append([norm for norm, _ in found])
        radii.append([radius for _, radius in found])
    return {"recurrent_norm": norms, "recurrent_radius": radii}


def _norm_and_radius(matrix: Tensor) -> tuple[float, float]:
    """Both of a matrix; nan if it is not finite, for which LAPACK may end the process."""
    if not matrix.isfinite().all():
        return math.nan, math.nan
    radius = torch.linalg.eigvals(matrix).abs().max()
    return float(torch.linalg.matrix_norm(matrix, 2)), float(radius)


def make_probe(corpus: Corpus, config: Config) -> Batch:
    """A few rows of text without padding, for `gradient_by_lag`.

    From a document, stretches from everywhere; from sentences, the longest, cut to one length.
    """
    lengths = np.diff(corpus.starts)
    if config.context == "document":
        T = min(_LAGS, len(corpus.tokens))
        starts = np.linspace(0, len(corpus.tokens) - T, _ROWS).astype(np.int64)
    else:
        lines = np.argsort(-lengths, kind="stable")[:_ROWS]
        T = min(_LAGS, int(lengths[lines].min()))
        starts = corpus.starts[lines]
    targets = np.stack([corpus.tokens[start : start + T] for start in starts]).astype(np.int64)
    inputs = np.roll(targets, 1, axis=1)
    inputs[:, 0] = config.bos_token_id
    return Batch(time_first(inputs), time_first(targets), targets.size, continues=False)
