"""The number of tokens that fit into one run of a graph."""

from __future__ import annotations

from lmscore.bundle import Config

# The widest arrays in the graph have 12 MiB each, so that an operator finds its input in the cache;
# measured, twice as much is no quicker, half as much is slower.
_MAX_FLOATS = 3 << 20
_MIN_TOKENS = 64  # fewer leave the matrix products waiting for the weights
_TOKENS_APART = 320  # more are no quicker where logits need no room
# A GPU has no such cache and needs many rows to be busy: its widest arrays have up to 1 GiB each.
_MAX_FLOATS_ON_DEVICE = 1 << 28
_MAX_TOKENS_ON_DEVICE = 1 << 16
# A window of short lines has some 40,000 tokens. Sorted by length, a batch of a fifth of them has
# few padding tokens.
_TOKENS_OF_A_WINDOW = 1 << 13


def token_budget(config: Config) -> int:
    """The tokens B * T of one graph run that keep its widest arrays at about 12 MiB each."""
    return _budget(config, config.vocab_size)


def target_budget(
    config: Config, *, unnormalized: bool, on_cpu: bool = True, apart: bool = False
) -> int:
    """The tokens of runs that score targets alone, as the output layer allows.

    `apart`: the graph goes through the vocabulary in parts, each of which stays in the cache.
    On the CPU its arrays have the sizes of `token_budget`; on another device, which need not send
    distributions to the host, the run is as large as keeps the device busy.
    """
    head = config.head_spec
    needs_whole = head.targets_need_whole and not unnormalized
    width = config.vocab_size if needs_whole else head.target_width(config)
    if on_cpu:
        return max(_budget(config, width), _TOKENS_APART if apart else 0)
    fitting = _MAX_FLOATS_ON_DEVICE // _width(config, width)
    return max(_MIN_TOKENS, min(fitting, _MAX_TOKENS_ON_DEVICE))


def smaller_budget(failed: int) -> int | None:
    """Half of the tokens of a run for which memory was short; None if they were few already."""
    return None if failed <= _MIN_TOKENS else max(_MIN_TOKENS, failed // 2)


def window_scale(budget: int) -> int:
    """How many windows of a stream are read as one, so that a device's runs can be full."""
    return max(1, budget // _TOKENS_OF_A_WINDOW)


def _budget(config: Config, output_width: int) -> int:
    """The tokens of a run whose output layer has arrays of `output_width` floats a token."""
    return max(_MIN_TOKENS, _MAX_FLOATS // _width(config, output_width))


def _width(config: Config, output_width: int) -> int:
    """The floats a token in the widest arrays of a run."""
    read = (config.window_size or 0) * config.embedding_dim
    return output_width + config.cell_spec.gates * config.hidden_size + config.layers_dim + read
