"""Text, tokenised once into memory-mapped files, so that a corpus larger than memory trains."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import logging
import operator
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import Config
from lmscore.errors import InputError, InputFileError, ModelError
from lmscore.files import atomic_write, atomic_write_bytes, make_directory
from lmscore.forks import lazy
from lmscore.runtime.scoring import ahead, count_words, prefix_lead
from lmscore.runtime.text import IdRows, Ids, TextTokenizer, places

PAIR_MARK = "\0"
"""Between the two texts of a pair, in a line; in other lines it is text."""

Tokens = NDArray[np.unsignedinteger[Any]]

_LINES_AT_ONCE = 8192

# The errors from reading a missing or damaged file of a tokenised text.
_DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError)

_log = logging.getLogger("lmscore")


@dataclass(frozen=True)
class CorpusCounts:
    """The size of a text; each line's `</s>` counts as a token, its newline as a character."""

    lines: int
    words: int
    characters: int
    tokens: int
    oov: int  # tokens

    def __add__(self, other: CorpusCounts) -> CorpusCounts:
        """The counts of two texts together."""
        return CorpusCounts(*map(operator.add, astuple(self), astuple(other)))


@dataclass(frozen=True)
class Corpus:
    """The token ids of all lines in the model's reading order, each line ended by `</s>`.

    For a backward model the last token of a line comes first. A line of pairs has the tokens of
    its first text, and <s>, before those of the second.
    """

    tokens: Tokens  # uint16 or uint32 [tokens], memory-mapped
    starts: NDArray[np.int64]  # [lines + 1]: line i is tokens[starts[i]:starts[i + 1]]
    counts: CorpusCounts
    parts: tuple[int, ...] = ()  # the lines of each file
    heads: NDArray[np.int64] | None = None  # [lines], of pairs: the tokens before the second text

    @lazy
    def sha256(self) -> str:
        """The SHA-256 of the token ids in hexadecimal; reads all of them, once."""
        return hashlib.sha256(self.tokens.data).hexdigest()

    def targets(self, lines: slice | NDArray[np.int64] = slice(None)) -> NDArray[np.int64]:
        """The tokens of each line, or of some lines, that are predicted."""
        lengths = np.diff(self.starts) if self.heads is None else np.diff(self.starts) - self.heads
        return np.asarray(lengths[lines], np.int64)

    @lazy
    def num_targets(self) -> int:
        """The tokens that are predicted: all of them but the first texts of pairs."""
        return self.counts.tokens if self.heads is None else int(self.targets().sum())

    def token_counts(self, vocab_size: int) -> NDArray[np.int64]:
        """The frequency of each id, [V]."""
        counts = np.zeros(vocab_size, np.int64)
        for start in range(0, len(self.tokens), 1 << 22):  # in pieces: it may outgrow memory
            counts += np.bincount(self.tokens[start : start + (1 << 22)], minlength=vocab_size)
        return counts


def join_corpora(corpora: Sequence[Corpus]) -> Corpus:
    """Several texts as one, in memory."""
    if len(corpora) == 1:
        return corpora[0]
    lengths = np.concatenate([np.diff(corpus.starts) for corpus in corpora])
    counts = functools.reduce(operator.add, (corpus.counts for corpus in corpora))
    heads = [corpus.heads for corpus in corpora if corpus.heads is not None]
    return Corpus(
        np.concatenate([corpus.tokens for corpus in corpora]),
        np.concatenate([[0], np.cumsum(lengths)]),
        counts,
        heads=np.concatenate(heads) if heads else None,
    )


def build_corpus(
    parts: Iterable[Iterable[str]],
    tokenizer: TextTokenizer,
    config: Config,
    folder: Path,
    name: str,
    fingerprint: str,
    *,
    has_pairs: bool = False,
) -> Corpus:
    """Tokenise a text into `folder`, or open the text there if it has the same fingerprint.

    `parts` are the lines of each file; they are read one after another. `has_pairs` says whether
    each line is two texts with a `PAIR_MARK` between them.

    Raises:
        InputError: there is no line, or the vocabulary cannot spell the text.
        OutputFileError: the folder cannot be written.
    """
    record = folder / f"{name}.json"
    with suppress(*_DAMAGED):  # a damaged text is tokenised again
        if _read_record(record)[0] == fingerprint:
            return open_corpus(folder, name, config.vocab_size)
    _log.info("tokenising the %s text", name)
    make_directory(folder)
    record.unlink(missing_ok=True)  # it must not vouch for files that are being replaced
    counts, lengths = _write(parts, tokenizer, config, folder, name, has_pairs=has_pairs)
    document = {"fingerprint": fingerprint, **asdict(counts), "parts": lengths}
    document["pairs"] = has_pairs
    atomic_write_bytes(record, json.dumps(document, indent=2).encode())
    return open_corpus(folder, name, config.vocab_size)


def open_corpus(folder: Path, name: str, vocab_size: int) -> Corpus:
    """Open a text of `build_corpus`; raises ModelError if a file is missing or damaged."""
    try:
        _, counts, parts, has_pairs = _read_record(folder / f"{name}.json")
        tokens = np.memmap(folder / f"{name}.tokens", _token_type(vocab_size), "r")
        starts = np.memmap(folder / f"{name}.starts", np.int64, "r")
        heads = np.memmap(folder / f"{name}.heads", np.int64, "r") if has_pairs else None
    except _DAMAGED as error:
        raise ModelError(f"{folder}: the tokenised {name} text is damaged: {error}") from error
    fits = heads is None or len(heads) == counts.lines
    if len(tokens) != counts.tokens or len(starts) != counts.lines + 1 or not fits:
        raise ModelError(f"{folder}: the tokenised {name} text is damaged: files of wrong sizes")
    return Corpus(tokens, starts, counts, parts, heads)


def fingerprint(paths: Iterable[str], tokenizer: str, *choices: object) -> str:
    """Identify a tokenised corpus by its files' paths, sizes and change times, and the tokenizer.

    Raises InputFileError if a file is missing.
    """
    digest = hashlib.sha256(tokenizer.encode())
    for path in paths:
        try:
            stat = Path(path).stat()
        except OSError as error:
            raise InputFileError(f"{path}: cannot be read: {error.strerror}") from error
        digest.update(repr((str(Path(path).resolve()), stat.st_size, stat.st_mtime_ns)).encode())
    digest.update(repr(choices).encode())
    return digest.hexdigest()


def _read_record(path: Path) -> tuple[str, CorpusCounts, tuple[int, ...], bool]:
    document = json.loads(path.read_text(encoding="utf-8"))
    mark, parts = document.pop("fingerprint"), tuple(document.pop("parts"))
    has_pairs = document.pop("pairs", False)  # version 0.1.0 knew none
    return mark, CorpusCounts(**document), parts, has_pairs


def _token_type(vocab_size: int) -> type[np.unsignedinteger[Any]]:
    return np.uint16 if vocab_size <= 1 << 16 else np.uint32


def _write(
    parts: Iterable[Iterable[str]],
    tokenizer: TextTokenizer,
    config: Config,
    folder: Path,
    name: str,
    *,
    has_pairs: bool,
) -> tuple[CorpusCounts, list[int]]:
    """Write the tokens, the starts of lines, and the heads of pairs if there are any.

    Returns the counts, and the lines of each part.
    """
    total = CorpusCounts(0, 0, 0, 0, 0)
    lengths: list[int] = []

    def encode(given: tuple[int, list[str]]) -> tuple[list[str], Ids, Ids, Ids | None]:
        first, batch = given
        if has_pairs:
            return batch, *_encode_pairs(batch, tokenizer, config, first=first)
        return batch, *_encode(batch, tokenizer, config, first=first), None

    with (
        atomic_write(folder / f"{name}.tokens") as token_file,
        atomic_write(folder / f"{name}.starts") as start_file,
        atomic_write(folder / f"{name}.heads") as head_file,
    ):
        start_file.write(np.zeros(1, np.int64).tobytes())
        batches = _batches(parts, lengths)
        with closing(ahead(encode, batches, count=1, drop=lambda _: None)) as encoded:
            for batch, ids, ends, heads in encoded:
                if heads is not None:
                    head_file.write(heads.tobytes())
                token_file.write(ids.astype(_token_type(config.vocab_size)).tobytes())
                start_file.write((total.tokens + np.cumsum(ends)).tobytes())
                texts = [line.rpartition(PAIR_MARK)[2] for line in batch] if has_pairs else batch
                total += _counts(texts, ids, config, characters=tokenizer.spaceless)
        if total.lines == 0:
            raise InputError(f"the {name} text is empty: no line in it")
    return total, lengths


def _batches(parts: Iterable[Iterable[str]], lengths: list[int]) -> Iterator[tuple[int, list[str]]]:
    """The lines, many at a time, with the number of the first; appends the lines of each part."""
    first = 1
    for part in parts:
        lines, before = iter(part), first
        while batch := list(itertools.islice(lines, _LINES_AT_ONCE)):
            yield first, batch
            first += len(batch)
        lengths.append(first - before)


def _counts(
    texts: list[str], ids: NDArray[np.int64], config: Config, *, characters: bool
) -> CorpusCounts:
    """The counts of lines, of which `ids` are the tokens; of pairs, `texts` are the second texts.

    `characters`: a word is a user-perceived character.
    """
    return CorpusCounts(
        lines=len(texts),
        words=sum(count_words(text, characters=characters) for text in texts),
        characters=sum(map(len, texts)) + len(texts),
        tokens=len(ids),
        oov=0 if config.unk_token_id is None else int((ids == config.unk_token_id).sum()),
    )


def _encode(
    batch: list[str], tokenizer: TextTokenizer, config: Config, *, first: int
) -> tuple[Ids, Ids]:
    """The ids of all lines in one array, `</s>` after each, and the lengths of the lines."""
    rows = tokenizer.encode_rows(batch, first=first)
    return _ended(rows.backward() if config.direction == "backward" else rows, config)


def _encode_pairs(
    batch: list[str], tokenizer: TextTokenizer, config: Config, *, first: int
) -> tuple[Ids, Ids, Ids]:
    """The same of pairs, and the heads of the lines: the tokens before their second texts."""
    pairs = [line.split(PAIR_MARK) for line in batch]
    before = tokenizer.encode_batch([first for first, _ in pairs], first=first, name="prefix")
    own = tokenizer.encode_batch([second for _, second in pairs], first=first)
    begin = np.array([config.bos_token_id])
    # As a scorer reads it: `prefix_lead` without its first <s>, which begins every row.
    leads = [prefix_lead(config, ids, begin[:0]) for ids in before]
    heads = np.array([len(lead) + 1 for lead in leads])
    rows = IdRows.of(
        [np.concatenate((lead, begin, row)) for lead, row in zip(leads, own, strict=True)]
    )
    return *_ended(rows, config), heads


def _ended(rows: IdRows, config: Config) -> tuple[Ids, Ids]:
    """The ids of rows in one array, `</s>` after each, and the lengths of the rows with it."""
    lengths = rows.lengths + 1
    ids = np.full(int(lengths.sum()), config.eos_token_id, np.int64)
    ids[places(np.cumsum(lengths) - lengths, rows.lengths)] = rows.ids
    return ids, lengths
