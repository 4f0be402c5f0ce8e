"""From text files to what a trainer reads: a tokenizer, a configuration, tokenised text."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path

from lmscore.bundle import CELLS, TOKENIZER_FILE, Bundle, Config
from lmscore.errors import InputError, InputFileError, OptionError
from lmscore.files import atomic_write_bytes, open_input, read_files, sha256_file
from lmscore.runtime.text import TextTokenizer
from lmscore.train.classes import choose_cutoffs
from lmscore.train.corpus import Corpus, build_corpus, fingerprint
from lmscore.train.inherit import inherit_files
from lmscore.train.options import TrainOptions
from lmscore.train.tokenizers import Vocabulary, load_vocabulary, make_vocabulary

CORPUS = "corpus"

# Without held-out files, one line in this many is kept from training.
_HELD_OUT_EVERY = 100

# So many words make the softmax most of the work.
_BIG_VOCABULARY = 10_000

_WINDOW = 5  # tokens read: an n-gram of 6, the largest of Bengio et al. 2003

_log = logging.getLogger("lmscore")


def check_readable(options: TrainOptions) -> None:
    """Find what is wrong with a file before an hour is spent on another.

    Raises:
        InputFileError: a file is missing, a directory, a pipe, or cannot be read.
        InputError: there is no text in the files to train on.
    """
    for path in (*options.train, *options.valid):
        # Before it is opened: that could wait for ever.
        if Path(path).is_fifo():
            raise InputFileError(f"{path}: training reads its files more than once: not a pipe")
        with open_input(path):
            pass
    if not any(line.strip() for line in lines(options, held_out=False)):
        raise InputError(f"{', '.join(options.train)}: no text to train on, only blank lines")
    if not any(True for _ in lines(options, held_out=True)):
        raise InputError(_nothing_held_out(options))


def prepare(folder: Path, options: TrainOptions, *, resume: bool) -> tuple[Config, Corpus, Corpus]:
    """Make the tokenizer and tokenise the text, or open what the run being resumed made.

    Returns:
        The configuration, the text to train on, the held-out text.

    Raises:
        InputError, InputFileError: text that cannot be used.
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
    if not resume:
        _say_what_is_quicker(config, options)
    return _with_cutoffs(config, train), train, valid


def _say_what_is_quicker(config: Config, options: TrainOptions) -> None:
    as_it_is_for_a_reason = options.self_normalize or options.label_smoothing or options.init_from
    if config.vocab_size < _BIG_VOCABULARY or as_it_is_for_a_reason:
        return
    if not config.head_spec.has_classes:
        _log.info(
            "with %s words, output_layer='classes' learns several times as fast, at about the "
            "same perplexity",
            f"{config.vocab_size:,}",
        )


def _with_cutoffs(config: Config, train: Corpus) -> Config:
    """The configuration with the classes that were asked for, or that cost least to compute."""
    if not config.head_spec.has_classes:
        return config
    cutoffs = config.cutoffs or _cheapest_cutoffs(config, train)
    if not cutoffs:
        raise OptionError(
            f"a vocabulary of {config.vocab_size} is not worth classes: leave out output_layer"
        )
    if cutoffs[-1] >= config.vocab_size:
        raise OptionError(
            f"cutoffs are {list(cutoffs)}, but the vocabulary ends at {config.vocab_size}"
        )
    _log.info("classes begin at the ids %s", ", ".join(map(str, cutoffs)))
    return dataclasses.replace(config, cutoffs=cutoffs)


def _cheapest_cutoffs(config: Config, train: Corpus) -> tuple[int, ...]:
    # A layer's matrices W and R, each of that many rows.
    rows = 2 * config.cell_spec.gates * config.hidden_size * config.num_hidden_layers
    return choose_cutoffs(train.token_counts(config.vocab_size), recurrence=rows)


def _make_tokenizer(path: Path, options: TrainOptions, *, resume: bool) -> Config:
    if resume and path.is_file():
        vocabulary = load_vocabulary(path, options)
    else:
        _log.info("making the tokenizer")
        vocabulary = make_vocabulary(lines(options, held_out=False), options)
        atomic_write_bytes(path, vocabulary.tokenizer.to_str(pretty=True).encode())
    return make_config(options, vocabulary, sha256_file(path))


def lines(options: TrainOptions, *, held_out: bool) -> Iterator[str]:
    """The lines to train on, or those held out."""
    if options.valid:
        return read_files(options.valid if held_out else options.train, errors=options.errors)
    numbered = enumerate(read_files(options.train, errors=options.errors), 1)
    return (line for number, line in numbered if (number % _HELD_OUT_EVERY == 0) == held_out)


def make_config(options: TrainOptions, vocabulary: Vocabulary, tokenizer_sha256: str) -> Config:
    """The configuration of the model that is to be trained."""
    return Config(
        cell=options.cell,
        vocab_size=vocabulary.size,
        hidden_size=options.hidden_size,
        num_hidden_layers=options.layers,
        tie_word_embeddings=options.tied,
        bos_token_id=vocabulary.bos,
        eos_token_id=vocabulary.eos,
        unk_token_id=vocabulary.unk,
        context=options.context,
        direction=options.direction,
        output_layer=options.output_layer,
        cutoffs=options.cutoffs,
        self_normalized=options.self_normalize > 0,
        embedding_size=options.embedding_size,
        residual=options.residual,
        window_size=None if CELLS[options.cell].is_recurrent else options.window_size or _WINDOW,
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
    mark = fingerprint(
        paths,
        config.tokenizer_sha256,
        name,
        bool(options.valid),
        options.errors,
        config.direction,
    )
    text = lines(options, held_out=held_out)
    return build_corpus(text, tokenizer, config, folder, name, mark)


def _nothing_held_out(options: TrainOptions) -> str:
    if options.valid:
        return f"{', '.join(options.valid)}: the held-out text is empty"
    return (
        f"{', '.join(options.train)}: fewer than {_HELD_OUT_EVERY} lines, so that no line is held "
        "out; name held-out text with `valid`"
    )
