"""Preparation of a run: text files to a tokenizer, a configuration and tokenised text."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path

from lmscore.bundle import CELLS, TOKENIZER_FILE, TOKENIZER_KINDS, Bundle, Config
from lmscore.errors import InputError, InputFileError, OptionError
from lmscore.files import atomic_write_bytes, open_input, read_files, sha256_file
from lmscore.runtime.text import TextTokenizer
from lmscore.train.classes import choose_cutoffs
from lmscore.train.corpus import Corpus, build_corpus, fingerprint
from lmscore.train.inherit import FIXED, inherit_files
from lmscore.train.normalization import AUTO, choose_normalization
from lmscore.train.options import TrainOptions
from lmscore.train.tokenizers import Vocabulary, load_vocabulary, make_vocabulary

CORPUS = "corpus"

_HELD_OUT_EVERY = 100  # without held-out files, one line in so many is held out
_BIG_VOCABULARY = 10_000  # from this size on, the softmax is most of the work
_WINDOW = 5  # tokens read: an n-gram of 6, the largest of Bengio et al. 2003

_log = logging.getLogger("lmscore")


def check_readable(options: TrainOptions) -> None:
    """Find problems with a file before an hour is spent on another file.

    Raises:
        InputFileError: a file is missing, a directory, a pipe, or cannot be read.
        InputError: there is no text in the files to train on.
    """
    for path in (*options.train, *options.valid):
        if Path(path).is_fifo():  # to open it could take for ever
            raise InputFileError(f"{path}: training reads its files more than once: not a pipe")
        with open_input(path):
            pass
    if not any(line.strip() for line in lines(options, held_out=False)):
        raise InputError(f"{', '.join(options.train)}: no text to train on, only blank lines")
    if any(True for _ in lines(options, held_out=True)):
        return
    if options.valid:
        raise InputError(f"{', '.join(options.valid)}: the held-out text is empty")
    raise InputError(
        f"{', '.join(options.train)}: fewer than {_HELD_OUT_EVERY} lines, so that no line is held "
        "out; name held-out text with `valid`"
    )


def prepare(folder: Path, options: TrainOptions, *, resume: bool) -> tuple[Config, Corpus, Corpus]:
    """Make the tokenizer and tokenise the text, or open the files of the run that is resumed.

    Returns:
        The configuration, the text to train on, the held-out text.

    Raises:
        InputError, InputFileError: the text cannot be used.
        OutputFileError: a file cannot be written.
        OptionError, ModelError: the tokenizer cannot be made or used.
    """
    if options.init_from:
        config = inherit_files(folder, options, resume=resume)
    else:
        config = _make_tokenizer(folder / TOKENIZER_FILE, options, resume=resume)
    tokenizer = TextTokenizer.load(Bundle(folder, config))
    train, valid = (
        _corpus(folder / CORPUS, options, tokenizer, config, held_out=held_out)
        for held_out in (False, True)
    )
    needs_softmax = options.self_normalize or options.label_smoothing or options.init_from
    is_slow = config.vocab_size >= _BIG_VOCABULARY and not config.head_spec.has_classes
    if is_slow and not needs_softmax and not resume:
        _log.info(
            "with %s words, output_layer='classes' learns several times as fast, at about the "
            "same perplexity",
            f"{config.vocab_size:,}",
        )
    return _with_cutoffs(config, train), train, valid


def _with_cutoffs(config: Config, train: Corpus) -> Config:
    """The configuration with the requested classes, or the ones that cost least to compute."""
    if not config.head_spec.has_classes:
        return config
    V, cutoffs = config.vocab_size, config.cutoffs
    if not cutoffs:
        # The rows of all layers' matrices W and R.
        rows = 2 * config.cell_spec.gates * config.hidden_size * config.num_hidden_layers
        cutoffs = choose_cutoffs(train.token_counts(V), recurrence=rows)
    if not cutoffs:
        raise OptionError(f"a vocabulary of {V} is not worth classes: leave out output_layer")
    if cutoffs[-1] >= V:
        raise OptionError(f"cutoffs are {list(cutoffs)}, but the vocabulary ends at {V}")
    _log.info("classes begin at the ids %s", ", ".join(map(str, cutoffs)))
    return dataclasses.replace(config, cutoffs=cutoffs)


def _make_tokenizer(path: Path, options: TrainOptions, *, resume: bool) -> Config:
    if resume and path.is_file():
        vocabulary = load_vocabulary(path, options)
    else:
        _log.info("making the tokenizer")
        vocabulary = make_vocabulary(lines(options, held_out=False), _with_normalization(options))
        atomic_write_bytes(path, vocabulary.tokenizer.to_str(pretty=True).encode())
    return make_config(options, vocabulary, sha256_file(path))


def _with_normalization(options: TrainOptions) -> TrainOptions:
    """The options with the normalisation that suits the text, where it is left open."""
    if options.normalization != AUTO or options.tokenizer not in TOKENIZER_KINDS:
        return options
    chosen = choose_normalization(AUTO, lines(options, held_out=False))
    _log.info("normalization: %s", chosen)
    return dataclasses.replace(options, normalization=chosen)


def lines(options: TrainOptions, *, held_out: bool) -> Iterator[str]:
    """The lines to train on, or the held-out lines."""
    if options.valid:
        return read_files(options.valid if held_out else options.train, errors=options.errors)
    numbered = enumerate(read_files(options.train, errors=options.errors), 1)
    return (line for number, line in numbered if (number % _HELD_OUT_EVERY == 0) == held_out)


def make_config(options: TrainOptions, vocabulary: Vocabulary, tokenizer_sha256: str) -> Config:
    """The configuration of the model to train."""
    fixed = {key: getattr(options, option) for option, key in FIXED.items()}
    if not CELLS[options.cell].is_recurrent:
        fixed["window_size"] = options.window_size or _WINDOW
    return Config(
        **fixed,
        vocab_size=vocabulary.size,
        bos_token_id=vocabulary.bos,
        eos_token_id=vocabulary.eos,
        unk_token_id=vocabulary.unk,
        self_normalized=options.self_normalize > 0,
        tokenizer=vocabulary.kind,
        tokenizer_sha256=tokenizer_sha256,
    )


def _corpus(
    folder: Path,
    options: TrainOptions,
    tokenizer: TextTokenizer,
    config: Config,
    *,
    held_out: bool,
) -> Corpus:
    name = "valid" if held_out else "train"
    paths = options.valid if held_out and options.valid else options.train
    choices = (name, bool(options.valid), options.errors, config.direction)
    mark = fingerprint(paths, config.tokenizer_sha256, *choices)
    text = lines(options, held_out=held_out)
    return build_corpus(text, tokenizer, config, folder, name, mark)
