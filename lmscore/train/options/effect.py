"""Options of a training run that others leave without effect."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

from lmscore.bundle import TOKENIZER_KINDS
from lmscore.errors import OptionError

_BYTE_LEVEL = ("bpe", "unigram")
_OF_VOCABULARIES = ("vocabulary", "vocab_size", "min_count", "normalization", "unk_share")


def without_effect(values: Mapping[str, Any]) -> dict[str, str]:
    """The options that have no effect beside the others: the reason of each, by its name.

    Args:
        values: options by name; the missing ones have their defaults.
    """
    idle = dict(_without_vocabulary(values))
    if values.get("average", "none") != "ema":
        idle["average_decay"] = "it is the decay of average='ema'"
    if not values.get("teacher"):
        for name in ("teacher_share", "temperature"):
            idle[name] = "there is no teacher"
    if values.get("split") != "sentences":
        idle["language"] = "it is that of split='sentences'"
    if values.get("on_error", "stop") == "stop":
        idle["max_errors"] = "on_error='stop' ends at the first"
    if values.get("context") == "document":
        idle["order"] = "a document is read from its beginning to its end"
    if values.get("init_from"):
        idle["recurrent_init"] = "init_from brings its weights along"
    if values.get("layers", None if values.get("init_from") else 1) == 1:
        idle["layer_dropout"] = "there is one layer"
    return idle


def check_effect(values: Mapping[str, Any], *, given: Container[str] | None = None) -> None:
    """Raise OptionError if an option is given that has no effect beside the others.

    `given` are the names of the options that were given. Default: all of `values`.
    """
    for option, reason in without_effect(values).items():
        is_given = given is None or option in given
        if is_given and values.get(option) is not None:
            raise OptionError(
                f"{option} is {values[option]!r} and has no effect: {reason}; leave it out"
            )


def _without_vocabulary(values: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """The options of a vocabulary that is not made, or of a kind that does not need them."""
    tokenizer = values.get("tokenizer") or "bpe"
    if values.get("init_from"):
        reason = "init_from brings its tokenizer along"
        chosen = {"min_count"} if values.get("extend_vocabulary") else set()
        return [(name, reason) for name in _OF_VOCABULARIES if name not in chosen]
    if values.get("vocabulary"):
        return [(name, "vocabulary lists the words") for name in ("vocab_size", "min_count")]
    if tokenizer not in TOKENIZER_KINDS:
        return [(name, f"the tokenizer {tokenizer} is given") for name in _OF_VOCABULARIES]
    if tokenizer in _BYTE_LEVEL:
        reason = f"tokenizer={tokenizer!r} has no unknown words"
        return [(name, reason) for name in ("min_count", "unk_share", "unk_token")]
    return []
