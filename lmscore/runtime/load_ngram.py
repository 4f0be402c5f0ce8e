"""An n-gram model in an ARPA file as a language model like any other."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lmscore.bundle import Bundle
from lmscore.errors import DeviceError, ModelError, OptionError, VariantError
from lmscore.files import open_input
from lmscore.runtime.engine import Engine, NgramGraph
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.ngram import UNKNOWN_LOG_PROB, read_arpa
from lmscore.runtime.text import word_tokenizer

KENLM_BINARY = b"mmap lm http://kheafield.com/code"
"""How the binary files of KenLM begin."""


def is_arpa_path(path: Path) -> bool:
    """Whether a path leads to a file: model directories are the other kind."""
    with suppress(OSError):  # too long a name, a folder that may not be entered
        return path.is_file()
    return False


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
    with open_input(path) as file:
        if file.read(len(KENLM_BINARY)) == KENLM_BINARY:
            raise ModelError(
                f"{path}: a binary file of KenLM; take the ARPA file that it was made of (only "
                "rescoring reads binary files, by the package kenlm)"
            )
    cost = -UNKNOWN_LOG_PROB if unk_penalty is None else float(unk_penalty)
    model = read_arpa(path, unknown_log_prob=-cost)
    graph = NgramGraph(model, path)
    engine = Engine(graph, reopen=lambda: Engine(graph))  # nothing in it is lost by a fork
    tokenizer = word_tokenizer(model.words, graph.config, source=str(path))
    again = functools.partial(load_ngram, path.absolute(), unk_penalty=unk_penalty)
    return LanguageModel(
        Bundle(path, graph.config),
        engine,
        tokenizer,
        reload=again,
        unk_penalty=None if model.has_unknown else cost,
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
