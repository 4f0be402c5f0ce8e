"""A network whose first text is read by an encoder: layers of its own (Sutskever et al. 2014).

The encoder reads from a first `</s>` to the `<s>` before the second text, and its state is where
the other layers begin. It predicts nothing: its features are zeros. A row that begins otherwise has
no first text.

Letters in shapes: T time (tokens), B batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lmscore.bundle import FRESH, READING, WRITING, Config
from lmscore.train.cells import State


@dataclass(frozen=True)
class Outputs:
    """The outputs of a network for a batch."""

    features: Tensor  # [T, B, D]: the input of the output matrix, `Config.output_dim`
    state: State  # after the last token
    layers: tuple[Tensor, ...]  # [T, B, H], each layer's output without connections past it
    hidden: Tensor  # [T, B, H], or E + L * H if dense: what all layers yield, before dropout
    dropped: Tensor  # the same, after dropout


Run = Callable[[Tensor, State], Outputs]
"""A function that runs layers over tokens int64 [T, B] from a state."""


def read_in_halves(
    config: Config, tokens: Tensor, state: State, *, encode: Run, decode: Run
) -> Outputs:
    """Run the encoder over the first text of each row, and the other layers over the rest.

    Rows whose first texts have one length are run together. The last part of the state is the
    phase, [1, B, 1].
    """
    *cell, phase = state
    lengths, phase = _first_texts(config, tokens, phase)
    parts, order = [], []
    for length in torch.unique(lengths).tolist():
        rows = (lengths == length).nonzero().squeeze(1)
        own = tuple(part.index_select(1, rows) for part in cell)
        parts.append(_group(tokens[:, rows], length, own, encode, decode))
        order.append(rows)
    places = torch.argsort(torch.cat(order))
    return _joined(parts, places, phase)


def _first_texts(config: Config, tokens: Tensor, phase: Tensor) -> tuple[Tensor, Tensor]:
    """How many tokens [B] of each row the encoder reads, and the phase after all of them."""
    before = phase[0, :, 0]
    begins = (before == READING) | ((before == FRESH) & (tokens[0] == config.eos_token_id))
    reading = begins & ((tokens == config.bos_token_id).cumsum(0) == 0)  # [T, B]
    after = torch.where(reading[-1], READING, WRITING).to(phase)
    return reading.sum(0), after[None, :, None]


def _group(tokens: Tensor, length: int, state: State, encode: Run, decode: Run) -> Outputs:
    """The outputs of rows [T, B] whose first `length` tokens the encoder reads."""
    if length == 0:
        return decode(tokens, state)
    first = encode(tokens[:length], state)
    if length == len(tokens):
        return _map(first, torch.zeros_like, first.state)
    rest = decode(tokens[length:], first.state)
    return _map(rest, lambda part: _after_zeros(part, length), rest.state)


def _after_zeros(part: Tensor, count: int) -> Tensor:
    return torch.cat([part.new_zeros((count, *part.shape[1:])), part])


def _map(outputs: Outputs, change: Callable[[Tensor], Tensor], state: State) -> Outputs:
    return Outputs(
        change(outputs.features),
        state,
        tuple(map(change, outputs.layers)),
        hidden=change(outputs.hidden),
        dropped=change(outputs.dropped),
    )


def _joined(parts: list[Outputs], places: Tensor, phase: Tensor) -> Outputs:
    """The outputs of all groups, each row at its place."""

    def join(found: list[Tensor]) -> Tensor:
        return torch.cat(found, 1).index_select(1, places)

    def join_each(found: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        return tuple(join(list(some)) for some in zip(*found, strict=True))

    return Outputs(
        join([part.features for part in parts]),
        (*join_each([part.state for part in parts]), phase),
        join_each([part.layers for part in parts]),
        hidden=join([part.hidden for part in parts]),
        dropped=join([part.dropped for part in parts]),
    )
