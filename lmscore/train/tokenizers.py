"""Tokenizers, trained or given; tokenizer.json holds all preprocessing of a text."""

from __future__ import annotations

import dataclasses
import functools
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from lmscore.bundle import TOKENIZER_KINDS, TokenizerKind
from lmscore.errors import ModelError, OptionError
from lmscore.files import open_input_raw
from lmscore.runtime.text import looks_like_model, read_tokenizer, tokenizer_from_model
from lmscore.train.normalization import make_normalizer
from lmscore.train.options import TrainOptions, option_fields
from lmscore.train.word_lists import (
    UNKNOWN,
    find_name,
    read_word_list,
    word_tokenizer,
    words_of_text,
)

_BYTE_LEVEL = ("bpe", "unigram")
_CLOSED = ("word", "char")

_log = logging.getLogger("lmscore")


@dataclass(frozen=True)
class SpecialTokens:
    """The names of the special tokens of a vocabulary."""

    bos: str | None  # None in `document` context, where </s> stands for <s>
    eos: str
    unk: str

    @classmethod
    def of(cls, options: TrainOptions) -> SpecialTokens:
        """The names that the options of a run give."""
        begins = options.context != "document"
        return cls(options.bos_token if begins else None, options.eos_token, options.unk_token)


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer and the ids of its special tokens."""

    tokenizer: Tokenizer
    kind: TokenizerKind
    bos: int  # equals eos in `document` context, where </s> stands for <s>
    eos: int
    unk: int | None

    @property
    def size(self) -> int:
        """The size of the vocabulary, V."""
        return int(self.tokenizer.get_vocab_size(with_added_tokens=True))


def make_vocabulary(lines: Iterable[str], options: TrainOptions) -> Vocabulary:
    """Train the tokenizer that the options request, or load the file they name.

    Raises:
        OptionError: no such kind, or no room for the special tokens.
        ModelError: the given file is not a tokenizer, or lacks a special token.
    """
    if options.vocabulary is not None:
        return _from_list(options.vocabulary, options)
    if options.tokenizer not in (*_BYTE_LEVEL, *_CLOSED):
        path = Path(options.tokenizer)
        if path.is_file():
            return load_vocabulary(path, options)
        kinds = ", ".join((*_BYTE_LEVEL, *_CLOSED))
        raise OptionError(
            f"tokenizer is {options.tokenizer!r}, expected {kinds}, or the path of a "
            "tokenizer.json or of a SentencePiece model"
        )
    train = _train_byte_level if options.tokenizer in _BYTE_LEVEL else _train_closed
    kind = cast(TokenizerKind, options.tokenizer)
    tokenizer = train(lines, options)
    return vocabulary_of(tokenizer, kind, SpecialTokens.of(options), source=options.output)


def load_vocabulary(path: Path, options: TrainOptions) -> Vocabulary:
    """Load a tokenizer.json or a SentencePiece model for the run that the options describe.

    Raises:
        InputFileError: the file cannot be read.
        ModelError: the file is not a tokenizer, has steps that are loaded only with `trust`, or
            lacks a special token.
    """
    known = options.tokenizer in TOKENIZER_KINDS
    kind = cast(TokenizerKind, options.tokenizer) if known else "custom"
    tokenizer = load_tokenizer(path, trust=options.trust, approximate=options.approximate_tokenizer)
    return vocabulary_of(tokenizer, kind, SpecialTokens.of(options), source=str(path))


def load_tokenizer(path: Path, *, trust: bool, approximate: bool) -> Tokenizer:
    """Load a tokenizer.json or a SentencePiece model, without padding and truncation.

    `approximate` is that of `tokenizer_from_model`.

    Raises:
        InputFileError: the file cannot be read.
        ModelError: the file is not a tokenizer, has no equivalent as a tokenizer.json, has steps
            that are loaded only with `trust`, or cannot read every text.
    """
    with open_input_raw(path) as file:
        data = file.read()
    if looks_like_model(data):
        tokenizer = tokenizer_from_model(data, source=path, approximate=approximate)
    else:
        tokenizer = read_tokenizer(data, str(path), trust=trust)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    _check_ids(tokenizer, str(path))
    return tokenizer


def _from_list(path: str, options: TrainOptions) -> Vocabulary:
    """The words of a list in their order; special tokens that it lacks come before them."""
    words, left_out = words_of_text(read_word_list(path))
    options = dataclasses.replace(options, unk_token=_unknown_of_list(words, options))
    special = _special(options)
    units = [*(name for name in special if name not in words), *words]
    if left_out:
        _log.info("%s: left out what no text has: %s", path, ", ".join(left_out))
    _log.info("%s: %s words, the unknown one is %s", path, f"{len(words):,}", options.unk_token)
    ids = {unit: index for index, unit in enumerate(units)}
    tokenizer = word_tokenizer(ids, options.unk_token, special)
    _normalize(tokenizer, options)
    _warn_of_unreachable(path, [word for word in words if word not in special], tokenizer)
    return vocabulary_of(tokenizer, "word", SpecialTokens.of(options), source=path)


def _unknown_of_list(words: list[str], options: TrainOptions) -> str:
    """The name of the unknown word: the given one, or by its usual names in the list."""
    is_given = options.unk_token != option_fields()["unk_token"].default
    return options.unk_token if is_given else find_name(words, UNKNOWN) or options.unk_token


def _warn_of_unreachable(path: str, words: list[str], tokenizer: Tokenizer) -> None:
    """Warn of words in a list that a text never has once it is normalised."""
    normalizer = tokenizer.normalizer
    if normalizer is None:
        return
    changed = [word for word in words if normalizer.normalize_str(word) != word]
    if changed:
        _log.warning(
            "%s: %s words, such as %s, are never read, because `normalization` spells texts "
            "otherwise",
            *(path, f"{len(changed):,}", changed[0]),
        )


def _check_ids(tokenizer: Tokenizer, source: str) -> None:
    """Raise ModelError unless the ids are whole, and a closed vocabulary has an unknown token."""
    ids = sorted(tokenizer.get_vocab(with_added_tokens=True).values())
    hole = next((index for index, token in enumerate(ids) if index != token), None)
    if hole is not None:
        raise ModelError(
            f"{source}: no token has the id {hole}, but others have higher ones; number the "
            f"{len(ids)} tokens from 0 to {len(ids) - 1}"
        )
    if isinstance(tokenizer.model, models.WordLevel):
        name = tokenizer.model.unk_token
        if tokenizer.token_to_id(name) is None:
            raise ModelError(
                f"{source}: its words have no unknown token, so that no other word can be read; "
                f"add {name!r}, which its unk_token names, to the vocabulary"
            )


def vocabulary_of(
    tokenizer: Tokenizer, kind: TokenizerKind, names: SpecialTokens, *, source: str
) -> Vocabulary:
    """A tokenizer with the ids of its special tokens.

    Raises ModelError if it lacks one; `source` names it in the error.
    """

    def find(name: str, option: str) -> int:
        token = _find(tokenizer, name)
        if token is None:
            raise ModelError(
                f"{source}: no token {name!r} in the vocabulary; name it with `{option}`"
            )
        return token

    eos = find(names.eos, "eos_token")
    bos = eos if names.bos is None else find(names.bos, "bos_token")
    unk = _unknown_id(tokenizer, kind, names)
    if unk in (bos, eos):
        raise ModelError(
            f"{source}: {tokenizer.id_to_token(unk)!r} stands for unknown words and for the begin "
            "or end of a sentence; name others with `bos_token` and `eos_token`"
        )
    return Vocabulary(tokenizer, kind, bos, eos, unk)


def _unknown_id(tokenizer: Tokenizer, kind: TokenizerKind, names: SpecialTokens) -> int | None:
    if kind in _BYTE_LEVEL:
        return None  # even if it learnt a piece that is spelt like <unk>
    # A given tokenizer has its own name for the token.
    name = getattr(tokenizer.model, "unk_token", None) or names.unk
    return _find(tokenizer, name)


def _find(tokenizer: Tokenizer, name: str) -> int | None:
    """The id of a special token; those of SentencePiece have a space in front of their names."""
    ids = (tokenizer.token_to_id(spelt) for spelt in (name, f" {name}"))
    return next((int(token) for token in ids if token is not None), None)


def _special(options: TrainOptions) -> list[str]:
    """The special tokens, in the order of their ids."""
    names = [] if options.context == "document" else [options.bos_token]
    names.append(options.eos_token)
    if options.tokenizer in _CLOSED:
        names.append(options.unk_token)
    return list(dict.fromkeys(names))


def _normalize(tokenizer: Tokenizer, options: TrainOptions) -> None:
    normalizer = make_normalizer(options.normalization)
    if normalizer is not None:
        tokenizer.normalizer = normalizer


def _train_byte_level(lines: Iterable[str], options: TrainOptions) -> Tokenizer:
    """Train pieces of words as bytes, with a space before each word: no text has OOVs."""
    special, alphabet = _special(options), pre_tokenizers.ByteLevel.alphabet()
    # The unigram trainer overshoots unless there is room for a piece beside the bytes.
    least = len(alphabet) + len(special) + (options.tokenizer == "unigram")
    if options.vocab_size < least:
        raise OptionError(
            f"vocab_size is {options.vocab_size}; a {options.tokenizer} tokenizer needs {least} "
            "or more for the bytes and special tokens"
        )
    tokenizer = Tokenizer(models.BPE() if options.tokenizer == "bpe" else models.Unigram())
    _normalize(tokenizer, options)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    make_trainer: Callable[..., trainers.Trainer] = trainers.UnigramTrainer
    if options.tokenizer == "bpe":  # a pair seen once is no piece worth a row of the matrix
        make_trainer = functools.partial(trainers.BpeTrainer, min_frequency=2)
    trainer = make_trainer(
        vocab_size=options.vocab_size,
        special_tokens=special,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    _learn(tokenizer, lines, trainer)
    return tokenizer


def _learn(tokenizer: Tokenizer, lines: Iterable[str], trainer: trainers.Trainer) -> None:
    """Train a tokenizer; Ctrl-C ends the training at the next line.

    The training takes minutes outside Python, so it runs in another thread: this thread gets the
    signals.
    """
    done: Future[None] = Future()
    interrupted = threading.Event()

    def until_interrupted() -> Iterator[str]:
        for line in lines:
            if interrupted.is_set():
                raise KeyboardInterrupt
            yield line

    def work() -> None:
        try:
            tokenizer.train_from_iterator(until_interrupted(), trainer)
            done.set_result(None)
        except BaseException as error:  # raised again by done.result()
            done.set_exception(error)

    worker = threading.Thread(target=work)
    try:
        worker.start()
        while worker.is_alive():
            worker.join(0.2)  # a signal just before a wait does not end it
    except KeyboardInterrupt:
        interrupted.set()
        raise
    done.result()


def _train_closed(lines: Iterable[str], options: TrainOptions) -> Tokenizer:
    """Keep the most frequent words or characters, ties alphabetical; the others are `<unk>`."""
    special = _special(options)
    if options.vocab_size <= len(special):
        raise OptionError(
            f"vocab_size is {options.vocab_size}: no room beside {', '.join(special)}"
        )
    counting = _closed(options, {})
    trainer = trainers.WordLevelTrainer(
        # Room for special tokens that occur in the text as words; they are removed below.
        vocab_size=options.vocab_size + len(special),
        min_frequency=options.min_count,
        show_progress=False,
    )
    _learn(counting, lines, trainer)
    # The trainer puts a special token that also occurs in the text among the words, and leaves a
    # hole in the ids; so the vocabulary is numbered here.
    by_rank = sorted(counting.get_vocab().items(), key=lambda item: item[1])
    units = special + [unit for unit, _ in by_rank if unit not in special]
    tokenizer = _closed(
        options, {unit: index for index, unit in enumerate(units[: options.vocab_size])}
    )
    tokenizer.add_special_tokens(special)
    return tokenizer


def _closed(options: TrainOptions, vocabulary: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=options.unk_token))
    _normalize(tokenizer, options)
    if options.tokenizer == "word":
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        tokenizer.decoder = decoders.Fuse()
    return tokenizer
