"""Records in config.json: JSON objects checked key by key, and the measurements of an export.

Every problem is a ModelError that names the file and the key.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from lmscore.errors import ModelError

_VARIANT_NAME = re.compile(r"[a-z0-9_]+")  # part of a file name: no dots or slashes


@dataclass(frozen=True)
class LogZRecord:
    """The distance of a self-normalised graph's scores from log-probabilities, on held-out text.

    Z is the sum of exp(score) over the vocabulary, so a score is a log-probability plus log Z.
    """

    mean: float  # of log Z over tokens, nats
    std: float  # its standard deviation, nats
    rank_agreement: float  # Kendall's tau of sentences by score and by log-prob, per token


@dataclass(frozen=True)
class GraphRecord:
    """The measurements of export on one variant's graph, and the hash of its file."""

    sha256: str
    size_bytes: int
    quantized: tuple[str, ...]  # the parts that are stored in 8 bits; empty for fp32
    max_log_prob_difference: float  # nats, against PyTorch over the parity grid
    max_batching_difference: float  # nats, between a token scored alone and in a batch
    perplexity_change: float  # relative, on the held-out sample: 0.01 is one per cent worse
    checked_with: str  # "onnxruntime 1.31.1"
    log_z: LogZRecord | None = None  # of self-normalised models
    in_fp32: tuple[str, ...] = ()  # matrices of model.safetensors that int8 leaves in float32


def parse_object(text: str, source: str) -> dict[str, Any]:
    """Parse a text as one JSON object in which no key stands twice; `source` names it in errors."""
    try:
        document = json.loads(text, object_pairs_hook=_unique_keys)
    except json.JSONDecodeError as error:
        raise ModelError(f"{source}, line {error.lineno}: not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:  # a key twice, too many digits, too deep
        raise ModelError(f"{source}: cannot be used: {error}") from error
    if not isinstance(document, dict):
        raise ModelError(f"{source}: expected a JSON object")
    return document


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for key, value in pairs:
        if key in document:
            raise ValueError(f"key {key!r} is there twice")
        document[key] = value
    return document


def is_int(value: object) -> bool:
    """Whether a value is an integer and not a bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def check_keys(
    document: Mapping[str, Any], record: type[Any], where: str, optional: tuple[str, ...] = ()
) -> None:
    """Raise ModelError if a key is not a field of `record`, or a required field has no key."""
    known = {f.name for f in dataclasses.fields(record)}
    for key in document:
        if key not in known:
            raise ModelError(f"{where}: unknown key {key!r}")
    for key in sorted(known - document.keys() - set(optional)):
        raise ModelError(f"{where}: key {key!r} is missing")


def is_variant_name(name: str) -> bool:
    """Whether a key may name a variant, which is a part of the names of files."""
    return bool(_VARIANT_NAME.fullmatch(name))


def graph_record(document: object, variant: str, source: str) -> GraphRecord:
    """Convert the JSON object about a variant's graph in config.json into a GraphRecord."""
    where = f"{source}: graphs.{variant}"
    if not is_variant_name(variant):
        raise ModelError(f"{source}: graphs has {variant!r}, which is no name of a variant")
    fields = {"in_fp32": [], **document} if isinstance(document, dict) else document
    fields = dict(checked_fields(fields, GraphRecord, where, optional=("log_z",)))
    for name in ("quantized", "in_fp32"):
        fields[name] = tuple(fields[name])
    if fields.get("log_z") is not None:
        fields["log_z"] = LogZRecord(
            **checked_fields(fields["log_z"], LogZRecord, f"{where}.log_z")
        )
    return GraphRecord(**fields)


def checked_fields(
    document: object, record: type[Any], where: str, optional: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Check the keys and types of a JSON object that holds a record, and return the object.

    Values of `optional` keys are not checked.
    """
    if not isinstance(document, dict):
        raise ModelError(f"{where} must be an object")
    check_keys(document, record, where, optional)
    for f in dataclasses.fields(record):
        if f.name in optional:
            continue
        value = document[f.name]
        fits = {
            "str": isinstance(value, str),
            "int": is_int(value),
            "float": isinstance(value, float) or is_int(value),
            "tuple[str, ...]": isinstance(value, list)
            and all(isinstance(item, str) for item in value),
        }[cast(str, f.type)]
        if not fits:
            raise ModelError(f"{where}.{f.name} is {value!r}, expected {f.type}")
    return document
