"""The number of tokens that fit into one run of a graph."""

from __future__ import annotations

from lmscore.bundle import Config

# The widest arrays in the graph have 12 MiB each, so that an operator finds its input in the cache;
# measured, twice as much is no quicker, half as much is slower.
_MAX_FLOATS = 3 << 20
_MIN_TOKENS = 64  # fewer leave the matrix products waiting for the weights


def token_budget(config: Config) -> int:
    """The tokens B * T of one graph run that keep its widest arrays at about 12 MiB each."""
    return _budget(config, config.vocab_size)


def target_budget(config: Config, *, unnormalized: bool) -> int:
    """Like `token_budget`, for runs that score targets alone, as the output layer allows."""
    head = config.head_spec
    if head.targets_need_whole and not unnormalized:
        return token_budget(config)
    return _budget(config, head.target_width(config))


def _budget(config: Config, output_width: int) -> int:
    """The tokens of a run whose output layer has arrays of `output_width` floats a token."""
    read = (config.window_size or 0) * config.embedding_dim
    width = output_width + config.cell_spec.gates * config.hidden_size + read
    return max(_MIN_TOKENS, _MAX_FLOATS // width)
