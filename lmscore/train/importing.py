"""A model directory of weights that another program trained."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch

from lmscore.bundle import (
    TOKENIZER_FILE,
    Bundle,
    Cell,
    Config,
    Context,
    save_weights,
)
from lmscore.errors import InputError, ModelError, OptionError
from lmscore.files import atomic_write_bytes, make_directory, read_files
from lmscore.runtime.text import TextTokenizer, read_tokenizer
from lmscore.train.corpus import Corpus, CorpusCounts
from lmscore.train.foreign_weights import PARTS, ForeignNetwork, read_state_dict, recognise
from lmscore.train.network import RecurrentLM
from lmscore.train.record import check_unused
from lmscore.train.samples import make_parity
from lmscore.train.tokenizers import SpecialTokens, Vocabulary, load_tokenizer, vocabulary_of
from lmscore.train.word_lists import (
    BEGINS,
    ENDS,
    UNKNOWN,
    Entry,
    find_name,
    is_graph_symbol,
    read_word_list,
    word_tokenizer,
)

_SAMPLED_LINES, _SAMPLED_TOKENS = 64, 40
_SEED = 1

_log = logging.getLogger("lmscore")


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """The properties of a model that the file of its weights does not tell."""

    vocabulary: str | None = None  # a list of words in the order of their ids, or with their ids
    tokenizer: str | None = None  # or a tokenizer.json
    trust: bool = False  # take the tokenizer.json whatever its steps may do to a text
    approximate_tokenizer: bool = False  # take a unigram SentencePiece model, too
    cell: Cell | None = None  # of an nn.RNN
    context: Context = "sentence"
    bos_token: str | None = None  # these three by default by their usual names
    eos_token: str | None = None
    unk_token: str | None = None
    mapping: Mapping[str, str] | None = None  # names of modules, by `foreign_weights.PARTS`
    text: tuple[str, ...] = ()  # on which export compares; by default drawn from the model

    def __post_init__(self) -> None:
        """Raise OptionError if the options alone are not enough, or contradict each other."""
        if (self.vocabulary is None) == (self.tokenizer is None):
            raise OptionError(
                "give `vocabulary`, a list of words, or a tokenizer.json with `tokenizer`"
            )
        if unknown := (self.mapping or {}).keys() - set(PARTS):
            raise OptionError(f"`mapping` names {min(unknown)!r}, expected {', '.join(PARTS)}")


def import_weights(weights: str | Path, output: str | Path, options: ImportOptions) -> Bundle:
    """Write a model directory for a PyTorch state dict: weights, tokenizer and parity.npz.

    Raises:
        OptionError: the options do not fit the weights, or the directory is taken.
        InputError, InputFileError, ModelError: a file cannot be read or used.
        OutputFileError: the directory cannot be written.
    """
    folder = Path(output)
    check_unused(folder, options.tokenizer)
    tensors = read_state_dict(weights)
    found = recognise(tensors, source=str(weights), cell=options.cell, mapping=options.mapping)
    vocabulary = _vocabulary(options, found.vocab_size)
    if vocabulary.size != found.vocab_size:
        raise ModelError(
            f"{options.vocabulary or options.tokenizer}: {vocabulary.size:,} tokens, but the "
            f"weights in {weights} are of {found.vocab_size:,}"
        )
    data = vocabulary.tokenizer.to_str(pretty=True).encode()
    config = _config(found, vocabulary, options, Path(weights).name, sha256(data).hexdigest())
    network = RecurrentLM(config).eval()
    network.load_weights({name: weight.numpy() for name, weight in found.weights.items()})
    parity = make_parity(network, _sample(network, data, options))
    make_directory(folder)  # now that nothing can be wrong with what is given
    bundle = Bundle(folder, config)
    atomic_write_bytes(folder / TOKENIZER_FILE, data)
    parity.save(folder)
    save_weights(folder, network.to_weights())
    bundle.write_config()
    return bundle


def _config(
    found: ForeignNetwork, vocabulary: Vocabulary, options: ImportOptions, name: str, sha: str
) -> Config:
    E, H = found.embedding_size, found.hidden_size
    return Config(
        cell=found.cell,
        vocab_size=found.vocab_size,
        hidden_size=H,
        embedding_size=None if E == H else E,
        num_hidden_layers=found.layers,
        tie_word_embeddings=found.tied,
        bos_token_id=vocabulary.bos,
        eos_token_id=vocabulary.eos,
        unk_token_id=vocabulary.unk,
        context=options.context,
        tokenizer=vocabulary.kind,
        tokenizer_sha256=sha,
        training={"imported_from": name, "torch": torch.__version__},
    )


def _vocabulary(options: ImportOptions, size: int) -> Vocabulary:
    """The given tokenizer, or one of the given words, with its special tokens found."""
    if options.tokenizer is not None:
        tokenizer = load_tokenizer(
            Path(options.tokenizer),
            trust=options.trust,
            approximate=options.approximate_tokenizer,
        )
        names = _names(tokenizer.get_vocab(with_added_tokens=True), options)
        return vocabulary_of(tokenizer, "custom", names, source=options.tokenizer)
    path = str(options.vocabulary)
    ids = _ids(read_word_list(path), path, size)
    names = _names(ids, options)
    if names.unk not in ids:
        raise ModelError(
            f"{path}: no word for unknown words, such as <unk>, so that no other word can be read; "
            "name one with `unk_token`"
        )
    special = [name for name in (names.bos, names.eos, names.unk) if name in ids]
    tokenizer = word_tokenizer(ids, names.unk, list(dict.fromkeys(map(str, special))))
    return vocabulary_of(tokenizer, "word", names, source=path)


def _names(words: Iterable[str], options: ImportOptions) -> SpecialTokens:
    """The given names of the special tokens, or the usual ones among the words."""
    words = list(words)
    eos = options.eos_token or find_name(words, ENDS) or "</s>"
    bos = options.bos_token or find_name(words, BEGINS)
    unk = options.unk_token or find_name(words, UNKNOWN) or "<unk>"
    if options.context == "document":
        bos = None
    _log.info(
        "a sentence begins with %s and ends with %s; the unknown word is %s", bos or eos, eos, unk
    )
    return SpecialTokens(bos, eos, unk)


def _ids(entries: list[Entry], path: str, size: int) -> dict[str, int]:
    """The id of each word: the number beside it if all have one, else its place in the list.

    Symbols of decoding graphs behind the last row of the weights are left out.
    """
    words = {
        entry.word: entry.number if entry.number is not None else place
        for place, entry in enumerate(entries)
    }
    if sorted(words.values()) != list(range(len(words))):  # counts
        words = {entry.word: place for place, entry in enumerate(entries)}
    ids = {
        word: number for word, number in words.items() if number < size or not is_graph_symbol(word)
    }
    if len(ids) != size:
        raise InputError(
            f"{path}: {len(ids):,} words, but the weights are of {size:,}; list every word, in the "
            "order of the ids or with its id"
        )
    return ids


def _sample(network: RecurrentLM, tokenizer_json: bytes, options: ImportOptions) -> Corpus:
    """The text on which graphs are compared with PyTorch: the given one, or one that it draws."""
    if not options.text:
        return _joined(_draw(network))
    config, end = network.config, network.config.eos_token_id
    read = read_tokenizer(tokenizer_json, TOKENIZER_FILE, trust=options.trust)
    tokenizer = TextTokenizer(read, config, source=TOKENIZER_FILE)
    rows = [[*ids.tolist(), end] for ids in tokenizer.encode_batch(list(read_files(options.text)))]
    if not rows:
        raise InputError(f"{', '.join(options.text)}: the text is empty")
    return _joined(rows)


@torch.no_grad()
def _draw(network: RecurrentLM) -> list[list[int]]:
    """Lines drawn from the network, each ended by `</s>`."""
    config, random = network.config, torch.Generator().manual_seed(_SEED)
    state = network.initial_state(_SAMPLED_LINES)
    tokens = torch.full((1, _SAMPLED_LINES), config.bos_token_id)
    drawn = []
    for _ in range(_SAMPLED_TOKENS):
        features, state = network(tokens, state)
        probs = network.log_probs(features[0]).exp()  # [lines, V]
        tokens = torch.multinomial(probs, 1, generator=random).T
        drawn.append(tokens[0])
    end = config.eos_token_id
    rows = torch.stack(drawn, 1).tolist()
    return [[*row[: row.index(end) if end in row else len(row)], end] for row in rows]


def _joined(rows: list[list[int]]) -> Corpus:
    tokens = np.array([token for row in rows for token in row], np.uint32)
    starts = np.cumsum([0, *map(len, rows)])
    return Corpus(tokens, starts, CorpusCounts(len(rows), 0, 0, len(tokens), 0))
