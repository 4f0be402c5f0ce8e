"""A run that goes on from a model: it takes over the weights, tokenizer and sizes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmscore.bundle import CONFIG_FILE, Bundle, Config
from lmscore.errors import OptionError
from lmscore.files import atomic_write_bytes, open_input_raw

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lmscore.train.network import RecurrentLM
    from lmscore.train.options import TrainOptions

_log = logging.getLogger("lmscore")

FIXED = {
    "cell": "cell",
    "hidden_size": "hidden_size",
    "embedding_size": "embedding_size",
    "window_size": "window_size",
    "connections": "connections",
    "learn_initial_state": "learned_initial_state",
    "layers": "num_hidden_layers",
    "tied": "tie_word_embeddings",
    "context": "context",
    "direction": "direction",
    "output_layer": "output_layer",
    "cutoffs": "cutoffs",
}
"""The options that a model fixes, and their keys in its config.json."""


def with_inherited(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in missing options that the model `init_from` fixes.

    Raises:
        OptionError: an option differs from the model's, a tokenizer is given, or the model learnt
            pairs, with which no run goes on.
        ModelNotFoundError, ModelError: there is no such model, or it is damaged.
    """
    if not isinstance(values.get("init_from"), str | Path):  # None, or `TrainOptions` complains
        return dict(values)
    bundle = Bundle.read(values["init_from"])
    if bundle.config.learnt_pairs:
        raise OptionError(f"init_from is {bundle.path}, which learnt pairs: no run goes on with it")
    tokenizer = str(bundle.tokenizer_file())
    if values.get("tokenizer", tokenizer) != tokenizer:
        raise OptionError(
            f"tokenizer is {values['tokenizer']!r}, but init_from brings that of {bundle.path}; "
            "leave one of them out"
        )
    _check_fixed(values, bundle)
    return {**values, **_fixed(bundle, trust=bool(values.get("trust"))), "tokenizer": tokenizer}


def inherit_files(
    folder: Path, options: TrainOptions, lines: Iterable[str], *, resume: bool
) -> Config:
    """Copy the model's tokenizer, and return the configuration of the model to train.

    `extend_vocabulary` adds units of the lines to train on. A resumed run has both already, and
    the model may be gone.

    Raises:
        OptionError: the options are not the model's, which `with_inherited` fills in, or the
            vocabulary cannot be extended.
        InputError, InputFileError: the text cannot be used.
        ModelNotFoundError, ModelError: there is no such model, or it is damaged.
        OutputFileError: the folder cannot be written.
    """
    there = resume and (folder / CONFIG_FILE).is_file()
    bundle = Bundle.read(folder if there else str(options.init_from))
    _check_fixed(options.to_dict(), bundle)
    config = bundle.config
    if not there:
        with open_input_raw(bundle.tokenizer_file()) as file:
            data = file.read()
        if options.extend_vocabulary is not None:
            data, V = _extended(data, bundle, options, lines)
            config = replace(config, vocab_size=V, tokenizer_sha256=sha256(data).hexdigest())
        atomic_write_bytes(folder / bundle.tokenizer_file().name, data)
    self_normalized = options.self_normalize > 0
    if config.self_normalized and not self_normalized:
        _log.info(
            "%s can be scored without its softmax; without `self_normalize` the new model cannot",
            bundle.path,
        )
    return replace(config, self_normalized=self_normalized, training={}, graphs={})


def _extended(
    data: bytes, bundle: Bundle, options: TrainOptions, lines: Iterable[str]
) -> tuple[bytes, int]:
    """The bytes and the size of a tokenizer.json with units of the text to train on."""
    from lmscore.runtime.text import read_tokenizer
    from lmscore.train.extend import extend_tokenizer

    tokenizer = extend_tokenizer(
        read_tokenizer(data, str(bundle.tokenizer_file()), trust=options.trust),
        lines,
        size=options.extend_vocabulary or 0,
        min_count=options.min_count,
        source=str(bundle.tokenizer_file()),
    )
    V, old = tokenizer.get_vocab_size(with_added_tokens=True), bundle.config.vocab_size
    first = ", ".join(str(tokenizer.id_to_token(index)) for index in range(old, min(V, old + 5)))
    _log.info(
        "vocabulary: %s of the model and %s of the text%s",
        *(f"{old:,}", f"{V - old:,}", f" ({first}, ...)" if first else ""),
    )
    return tokenizer.to_str(pretty=True).encode(), V


def load_initial_weights(
    network: RecurrentLM, options: TrainOptions, counts: NDArray[np.int64]
) -> None:
    """Load the weights of the model that a run goes on from, with rows for units it lacks.

    `counts` are the frequencies of the ids in the text to train on, [V].

    Raises ModelNotFoundError or ModelError if they are missing or damaged.
    """
    from lmscore.bundle import load_weights
    from lmscore.runtime.text import read_tokenizer
    from lmscore.train.extend import extended_weights

    bundle, config = Bundle.read(str(options.init_from)), network.config
    weights = load_weights(bundle)
    if config.vocab_size > bundle.config.vocab_size:
        path = Path(options.output) / bundle.tokenizer_file().name
        tokenizer = read_tokenizer(path.read_bytes(), str(path), trust=options.trust)
        weights = extended_weights(weights, tokenizer, config, counts)
    network.load_weights(weights)


def _check_fixed(values: Mapping[str, Any], bundle: Bundle) -> None:
    for option, value in _fixed(bundle, trust=bool(values.get("trust"))).items():
        if values.get(option, value) != value:
            raise OptionError(
                f"{option} is {values[option]!r}, but the model {bundle.path} that init_from "
                f"names has {value!r}; leave it out"
            )


def _fixed(bundle: Bundle, *, trust: bool) -> dict[str, Any]:
    """The options that a model fixes: its sizes, and the names of its special tokens."""
    from lmscore.runtime.text import TextTokenizer  # options, read from here, need no tokenizers

    config, tokenizer = bundle.config, TextTokenizer.load(bundle, trust=trust)
    fixed = {option: getattr(config, key) for option, key in FIXED.items()}
    fixed["eos_token"] = tokenizer.token(config.eos_token_id)
    if config.bos_token_id != config.eos_token_id:
        fixed["bos_token"] = tokenizer.token(config.bos_token_id)
    if config.unk_token_id is not None:
        fixed["unk_token"] = tokenizer.token(config.unk_token_id)
    return fixed


def load_weights_into(network: RecurrentLM, bundle: Bundle) -> None:
    """Load the weights of a model directory into a network.

    Raises ModelNotFoundError or ModelError if they are missing or damaged.
    """
    from lmscore.bundle import load_weights  # options, which import this module, need no numpy

    network.load_weights(load_weights(bundle))
