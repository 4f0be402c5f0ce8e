"""What a program must know to run a model's graph itself: inputs, outputs, types, rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lmscore.bundle import Bundle, Config, Value, graph_file, graph_inputs, graph_outputs
from lmscore.cli.table import table

_LETTERS = {
    "B": "rows of the batch, 1 or more",
    "T": "tokens of a row, 1 or more; 1 is a single step",
    "K": "targets at each position; 0 looks up none",
    "S": "rows of the incoming state, 1 or more",
    "F": "the value of `distributions`, 0 to B",
    "M": "the value of `measured`, 0 to B (to F, where there is F)",
    "top": "the value of `k`, 0 to the size of the vocabulary",
}

_RULES = {
    "tokens": "ids in 0 <= id < vocab_size; a negative id wraps around without an error",
    "targets": "ids as in tokens",
    "lengths": "the tokens that count in each row, 1 to T; the rest of a row is padding, any id",
    "parents": "the row of the incoming state that each row continues, 0 <= row < S",
}
_OPTIONAL = "may be left out: then F is B; graphs of older versions lack it"


def signature_document(bundle: Bundle) -> dict[str, Any]:
    """The signature as an object for JSON."""
    config = bundle.config
    return {
        "files": {name: graph_file(name) for name in bundle.variants()},
        "inputs": [_as_object(value) for value in graph_inputs(config)],
        "outputs": [_as_object(value) for value in graph_outputs(config)],
        "state": {tensor.name: tensor.next for tensor in config.state},
        "initial_state": "zeros, then one step on the token `start`",
        "start": config.bos_token_id,
        "end": config.eos_token_id,
        "sizes": {letter: _LETTERS[letter] for letter in _letters(config)},
        "rules": _rules(config),
    }


def signature_text(bundle: Bundle) -> str:
    """The signature as text to read or to paste."""
    config = bundle.config
    rows = [("input", "type", "shape"), *map(_row, graph_inputs(config)), ("", "", "")]
    rows += [("output", "type", "shape"), *map(_row, graph_outputs(config))]
    files = ", ".join(map(graph_file, bundle.variants())) or "none: lmscore export makes them"
    pairs = ", ".join(f"{tensor.next} is the next {tensor.name}" for tensor in config.state)
    facts = [
        ("files", files),
        ("state", f"{pairs}; zeros at the start"),
        ("start", f"token {config.bos_token_id} is read first, from a state of zeros"),
        ("end", f"token {config.eos_token_id} is the last target of a sentence"),
    ]
    sizes = [(letter, _LETTERS[letter]) for letter in _letters(config)]
    blocks: list[Iterable[Sequence[object]]] = [facts, rows, sizes, _rules(config).items()]
    return "\n".join(table(block) for block in blocks)


def _rules(config: Config) -> dict[str, str]:
    """What no type says, by the name of the input."""
    state = dict.fromkeys((tensor.name for tensor in config.state), "float32; axis 1 is the row")
    optional = {value.name: _OPTIONAL for value in graph_inputs(config) if value.has_default}
    return {**_RULES, **optional, **state}


def _letters(config: Config) -> list[str]:
    used = {
        size for value in (*graph_inputs(config), *graph_outputs(config)) for size in value.shape
    }
    return [letter for letter in _LETTERS if letter in used]


def _as_object(value: Value) -> dict[str, Any]:
    optional = {"optional": True} if value.has_default else {}
    return {"name": value.name, "dtype": value.dtype, "shape": list(value.shape), **optional}


def _row(value: Value) -> tuple[str, str, str]:
    return value.name, value.dtype, f"[{', '.join(map(str, value.shape))}]"
