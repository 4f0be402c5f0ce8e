"""How many tokens fit into one run of a graph."""

from __future__ import annotations

from lmscore.bundle import GATES, Config

# Of the widest arrays in the graph: 12 MiB each, so that what one operator writes the next finds in
# the cache; measured, twice as much is no quicker, half as much is slower.
_MAX_FLOATS = 3 << 20
_IN_CLASSES = 32  # of the words outside the head, this part is computed for a token, on average
_MIN_TOKENS = 64  # fewer leave the matrix products waiting for the weights


def token_budget(config: Config) -> int:
    """The tokens B * T of one graph run that keep its widest arrays at about 12 MiB each."""
    return _budget(config, config.vocab_size)


def target_budget(config: Config, *, unnormalized: bool) -> int:
    """Like `token_budget`, for runs that score targets alone, as the output layer allows."""
    if unnormalized:
        width = 2 * config.output_dim  # a target's row, and its products with the hidden state
    elif config.output_layer == "classes":
        head = config.cutoffs[0]
        width = head + (config.vocab_size - head) // _IN_CLASSES
    else:
        return token_budget(config)
    return _budget(config, width)


def _budget(config: Config, output_width: int) -> int:
    """The tokens of a run whose output layer has arrays of so many floats a token."""
    read = (config.window_size or 0) * config.embedding_dim
    width = output_width + GATES[config.cell] * config.hidden_size + read
    return max(_MIN_TOKENS, _MAX_FLOATS // width)
