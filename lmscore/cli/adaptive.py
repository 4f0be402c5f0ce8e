"""`lmscore ppl --cache` and `--dynamic`: the perplexity of a text under a model that adapts."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmscore.bundle import Bundle
from lmscore.cli.options import ModelOptions
from lmscore.cli.usage import UsageError
from lmscore.errors import needs_extra

if TYPE_CHECKING:
    from lmscore.runtime.scoring import Summary


DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "cache": {"size": 2000, "flatness": 0.3, "weight": 0.2},
    "dynamic": {"rate": 0.2, "decay": 0.001, "tokens": 20},
}
"""The settings of each method where none are given."""


def check_options(
    names: Collection[str],
    settings: Mapping[str, Mapping[str, float]],
    *,
    compat: str | None,
    bos: bool,
    eos: bool,
    context: str | None,
) -> None:
    """Raise UsageError if --cache or --dynamic (`names`) is given with an option it excludes.

    Also if a setting of one of them is given without it; `settings` are those of both.
    """
    for name, values in settings.items():
        for key, value in values.items():
            if name not in names and value != DEFAULTS[name][key]:
                raise UsageError(f"--{name}-{key} goes with --{name}")
    refused = {
        "--compat": compat is not None,
        "--no-bos": not bos,
        "--no-eos": not eos,
        "--context sentence": context == "sentence",
    }
    for name in names:
        for option, given in refused.items():
            if given:
                raise UsageError(
                    f"--{name} reads a document as the model was trained on it, from the beginning "
                    f"and with every </s>: it does not go with {option}"
                )


def check_model(path: Path) -> None:
    """Raise an error, before the text is scored, if a model cannot adapt.

    Raises:
        MissingExtraError: PyTorch is not installed.
        OptionError, ModelNotFoundError: the model was trained on sentences, or has no weights.
    """
    with needs_extra("train"):
        from lmscore.train import check_adaptable
    check_adaptable(Bundle.read(path))


def adapted(
    path: Path,
    texts: Sequence[str],
    summary: Summary,
    name: str,
    settings: Mapping[str, Any],
    model: ModelOptions,
) -> Summary:
    """Compute the log-probabilities of a text while the model adapts to it.

    Returns:
        `summary`, the figures of the same text, with the new log-probabilities.
    """
    from lmscore.train import Cache, Dynamic, adaptive_log_probs, torch_device

    method = Cache(**settings) if name == "cache" else Dynamic(**settings)
    log_prob, oov_log_prob = adaptive_log_probs(
        Bundle.read(path),
        texts,
        method,
        device=torch_device(model.device),
        threads=model.threads,
        trust=model.trust,
    )
    return dataclasses.replace(summary, log_prob=log_prob, oov_log_prob=oov_log_prob)


def describe_adapted(name: str, settings: Mapping[str, float]) -> str:
    """A line that names the method and its settings."""
    values = ", ".join(f"{key} {value:g}" for key, value in settings.items())
    what = {"cache": "with a cache", "dynamic": "with dynamic evaluation"}[name]
    return f"{what} ({values}; PyTorch, fp32)"
