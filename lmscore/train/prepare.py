"""Preparation of a run: text files to a tokenizer, a configuration and tokenised text."""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lmscore.bundle import CELLS, TOKENIZER_FILE, TOKENIZER_KINDS, Bundle, Config
from lmscore.errors import OptionError
from lmscore.files import atomic_write_bytes, sha256_file
from lmscore.runtime.text import TextTokenizer
from lmscore.train.classes import choose_cutoffs
from lmscore.train.corpus import Corpus, build_corpus, fingerprint
from lmscore.train.evaluate import HeldOut
from lmscore.train.inherit import FIXED, inherit_files
from lmscore.train.normalization import AUTO, choose_normalization
from lmscore.train.options import TrainOptions
from lmscore.train.report import report_ids, report_marks, report_skipped, report_texts
from lmscore.train.texts import RunText
from lmscore.train.tokenizers import Vocabulary, load_vocabulary, make_vocabulary
from lmscore.train.unknown import StandIns, find_stand_ins

CORPUS = "corpus"

_BIG_VOCABULARY = 10_000  # from this size on, the softmax is most of the work
_WINDOW = 5  # tokens read: an n-gram of 6, the largest of Bengio et al. 2003

_log = logging.getLogger("lmscore")


@dataclass(frozen=True)
class Prepared:
    """What a run trains: the model's configuration, and its texts as tokens."""

    config: Config
    train: Corpus
    valid: HeldOut
    stand_ins: StandIns | None  # for unknown words


def with_normalization(folder: Path, options: TrainOptions) -> TrainOptions:
    """The options with the normalisation that suits the text, where it is left open.

    Raises InputError or InputFileError if the text cannot be used.
    """
    is_made = (folder / TOKENIZER_FILE).is_file()  # of a run that is resumed
    if options.normalization != AUTO or options.tokenizer not in TOKENIZER_KINDS or is_made:
        return options
    chosen = choose_normalization(AUTO, RunText(options).train_lines)
    _log.info("normalization: %s", chosen)
    return dataclasses.replace(options, normalization=chosen)


def prepare(folder: Path, options: TrainOptions, *, resume: bool) -> Prepared:
    """Make the tokenizer and tokenise the text, or open the files of the run that is resumed.

    Raises:
        InputError, InputFileError: the text cannot be used.
        OutputFileError: a file cannot be written.
        OptionError, ModelError: the tokenizer cannot be made or used.
    """
    text = RunText(options)
    if options.init_from:
        config = inherit_files(folder, options, text.train_lines, resume=resume)
    else:
        config = _make_tokenizer(folder / TOKENIZER_FILE, text, options, resume=resume)
    tokenizer = TextTokenizer.load(Bundle(folder, config), trust=options.trust)
    train, valid = _tokenised(folder / CORPUS, text, options, tokenizer, config)
    report_skipped(text.skipped)
    stand_ins = find_stand_ins(train, config, options)
    if not resume:
        report_texts(
            train,
            valid,
            config,
            repeated=text.repeated_words(),
            learns_unk=bool(train.counts.oov or stand_ins),
            cure=_cure(options, new_words=train.counts.oov > 0),
        )
        report_ids(text.line_id())
        _advise_classes(config, options)
    return Prepared(_with_cutoffs(config, train), train, valid, stand_ins)


def _cure(options: TrainOptions, *, new_words: bool) -> str:
    """What leaves fewer unknown words, in the words of a warning."""
    if options.init_from and not new_words:
        return "the text to train on has none of them"
    if options.init_from:
        return "`extend_vocabulary` 1000, say, adds words of the text to train on"
    if options.vocabulary:
        return f"{options.vocabulary} lacks these words, or spells them in another case"
    if options.tokenizer not in TOKENIZER_KINDS:
        return "a tokenizer made of this text leaves fewer: leave out `tokenizer`"
    return "a larger `vocab_size`, more text or tokenizer='bpe' leaves fewer"


def _tokenised(
    folder: Path, text: RunText, options: TrainOptions, tokenizer: TextTokenizer, config: Config
) -> tuple[Corpus, HeldOut]:
    """Tokenise the text to train on, and each held-out text."""
    marks: Counter[str] = Counter()

    def build(parts: Sequence[Iterable[str]], name: str) -> Corpus:
        paths = (*text.train_paths, *text.held_out_paths)
        choices = (name, *text.choices, options.errors, config.direction)
        mark = fingerprint(paths, config.tokenizer_sha256, *choices)
        counted = [text.counting_marks(part, marks) for part in parts]
        return build_corpus(
            counted, tokenizer, config, folder, name, mark, has_pairs=text.has_pairs
        )

    train = build(text.train, "train")
    held_out = text.held_out
    names = ["valid"] if len(held_out) == 1 else [f"valid-{n}" for n in range(len(held_out))]
    valid = {
        title: build([lines], name)
        for (title, lines), name in zip(held_out.items(), names, strict=True)
    }
    report_marks(marks, config)
    return train, HeldOut(valid)


def _advise_classes(config: Config, options: TrainOptions) -> None:
    needs_softmax = options.self_normalize or options.label_smoothing or options.init_from
    is_slow = config.vocab_size >= _BIG_VOCABULARY and not config.head_spec.has_classes
    if is_slow and not needs_softmax:
        _log.info(
            "with %s words, output_layer='classes' learns several times as fast, at about the "
            "same perplexity",
            f"{config.vocab_size:,}",
        )


def _with_cutoffs(config: Config, train: Corpus) -> Config:
    """The configuration with the requested classes, or the ones that cost least to compute."""
    if not config.head_spec.has_classes:
        return config
    V, cutoffs = config.vocab_size, config.cutoffs
    if not cutoffs:
        matrices = (s for n, s in config.weight_shapes().items() if n.startswith("rnn."))
        rows = sum(shape[0] for shape in matrices if len(shape) == 2)
        cutoffs = choose_cutoffs(train.token_counts(V), recurrence=rows)
    if not cutoffs:
        raise OptionError(f"a vocabulary of {V} is not worth classes: leave out output_layer")
    if cutoffs[-1] >= V:
        raise OptionError(f"cutoffs are {list(cutoffs)}, but the vocabulary ends at {V}")
    _log.info("classes begin at the ids %s", ", ".join(map(str, cutoffs)))
    return dataclasses.replace(config, cutoffs=cutoffs)


def _make_tokenizer(path: Path, text: RunText, options: TrainOptions, *, resume: bool) -> Config:
    if resume and path.is_file():
        vocabulary = load_vocabulary(path, options)
    else:
        _log.info("making the tokenizer")
        vocabulary = make_vocabulary(text.train_lines, options)
        atomic_write_bytes(path, vocabulary.tokenizer.to_str(pretty=True).encode())
    return make_config(options, vocabulary, sha256_file(path))


def make_config(options: TrainOptions, vocabulary: Vocabulary, tokenizer_sha256: str) -> Config:
    """The configuration of the model to train."""
    fixed = {key: getattr(options, option) for option, key in FIXED.items()}
    fixed["context"] = options.model_context
    if not CELLS[options.cell].is_recurrent:
        fixed["window_size"] = options.window_size or _WINDOW
    return Config(
        **fixed,
        vocab_size=vocabulary.size,
        bos_token_id=vocabulary.bos,
        eos_token_id=vocabulary.eos,
        unk_token_id=vocabulary.unk,
        self_normalized=options.self_normalize > 0,
        reversed_prefix=options.reverse_prefix,
        separate=options.separate,
        tokenizer=vocabulary.kind,
        tokenizer_sha256=tokenizer_sha256,
    )
