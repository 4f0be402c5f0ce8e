"""An n-gram model in an ARPA file as a language model like any other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

from lmscore.bundle import Bundle
from lmscore.errors import DeviceError, ModelError, OptionError, VariantError
from lmscore.files import open_input
from lmscore.runtime.engine import Engine, NgramGraph
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.ngram import UNKNOWN_LOG_PROB, NgramModel, read_arpa
from lmscore.runtime.text import word_tokenizer

KENLM_BINARY = b"mmap lm http://kheafield.com/code"
"""How the binary files of KenLM begin."""


def load_ngram(path: Path, *, unk_penalty: float | None = None) -> LanguageModel:
    """Load an ARPA file, which may be compressed; its tokens are the words between white space.

    Args:
        path: the file.
        unk_penalty: -log P(<unk>) (nats) where the file has no <unk>, else unused. Default: 230.26,
            for a probability of 10^-100.

    Raises:
        InputFileError: the file cannot be read.
        ModelError: it is no ARPA file, or a damaged one; names the line.
    """
    return _language_model(_read(path, unk_penalty), path, unk_penalty)


class _Reload:
    """Loads a model again in another process.

    What tells the model from others is computed when it is pickled: a large model takes seconds.
    """

    def __init__(self, model: NgramModel, path: Path, unk_penalty: float | None) -> None:
        self._model, self._path, self._unk_penalty = model, path, unk_penalty

    def __call__(self) -> LanguageModel:
        return _load_again(self._path, _digest(self._model), self._unk_penalty)

    def __reduce__(self) -> tuple[Callable[..., Callable[[], LanguageModel]], tuple[Any, ...]]:
        return partial, (_load_again, self._path, _digest(self._model), self._unk_penalty)


def _load_again(path: Path, digest: bytes, unk_penalty: float | None) -> LanguageModel:
    """Load a model in another process; raises ModelError if another one has taken its place."""
    model = _read(path, unk_penalty)
    if _digest(model) != digest:
        raise ModelError(
            f"{path}: holds another model than when this one was loaded, before it was pickled; "
            "load it again"
        )
    return _language_model(model, path, unk_penalty)


def _digest(model: NgramModel) -> bytes:
    """What tells a model from others."""
    digest = blake2b("\n".join(model.words).encode(), digest_size=16)
    for table in model.tables:
        for array in (table.keys, table.log_probs, table.backoffs):
            digest.update(array.tobytes())
    return digest.digest()


def _cost(unk_penalty: float | None) -> float:
    """What an unknown word costs (nats) where the file does not say."""
    return -UNKNOWN_LOG_PROB if unk_penalty is None else float(unk_penalty)


def _read(path: Path, unk_penalty: float | None) -> NgramModel:
    with open_input(path) as file:
        if file.read(len(KENLM_BINARY)) == KENLM_BINARY:
            raise ModelError(
                f"{path}: a binary file of KenLM; take the ARPA file that it was made of (only "
                "rescoring reads binary files, by the package kenlm)"
            )
    return read_arpa(path, unknown_log_prob=-_cost(unk_penalty))


def _language_model(model: NgramModel, path: Path, unk_penalty: float | None) -> LanguageModel:
    graph = NgramGraph(model, path)
    engine = Engine(graph, reopen=lambda: Engine(graph))  # nothing in it is lost by a fork
    tokenizer = word_tokenizer(model.words, graph.config, source=str(path))
    return LanguageModel(
        Bundle(path, graph.config),
        engine,
        tokenizer,
        reload=_Reload(model, path.absolute(), unk_penalty),
        unk_penalty=None if model.has_unknown else _cost(unk_penalty),
    )


def check_ngram_options(
    path: Path,
    device: str,
    variant: str | None,
    providers: Sequence[str] | None,
    *,
    unnormalized: bool,
) -> None:
    """Check the options of `load` for an ARPA file.

    Raises:
        DeviceError: another device than the CPU is asked for by name.
        VariantError: a variant is asked for.
        OptionError: unnormalized.
    """
    if device not in ("auto", "cpu") or providers is not None:
        raise DeviceError(f"{path}: an n-gram model runs on the CPU; leave `device` out")
    if variant is not None:
        raise VariantError(f"{path}: an n-gram model has no variants; leave `variant` out")
    if unnormalized:
        raise OptionError(f"{path}: an n-gram model is normalised; leave `unnormalized` out")
