"""The text of a run: its files as lines, those to train on and those held out."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from lmscore.corpus.reading import (
    BadRecords,
    ReadOptions,
    Record,
    delimiter_named,
    file_records,
)
from lmscore.errors import InputError, InputFileError, OptionError
from lmscore.files import open_input
from lmscore.forks import lazy
from lmscore.runtime.text import split_text
from lmscore.train.corpus import PAIR_MARK
from lmscore.train.options import TrainOptions
from lmscore.train.split import BlockSplit, SentenceSplit, Split, block_split, sentence_limit

HELD_OUT = "held-out text"
"""The name of a held-out text that has no other."""

_MOST_OFTEN = 1_000_000  # that an epoch reads a line

_WEIGHTED = re.compile(r"(.+):(\d+(?:\.\d*)?|\.\d+)", re.DOTALL)
_LINES_WITH_IDS = 1000  # that are looked at

_NAMED = re.compile(r"([\w.-]+)=(.+)", re.DOTALL)


def train_files(options: TrainOptions) -> list[tuple[str, float]]:
    """The files to train on, with how often an epoch reads each: `FILE:3` three times.

    A path that exists is a path, whatever signs are in it. Raises OptionError for a weight of 0 or
    a huge one, or for weights in document context, which reads one text from its beginning to its
    end.
    """
    found = []
    for given in options.train:
        weighted = None if Path(given).exists() else _WEIGHTED.fullmatch(given)
        path, weight = (weighted[1], float(weighted[2])) if weighted else (given, 1.0)
        if weight == 0:
            raise OptionError(f"train is {given!r}: a text that is never read; leave it out")
        if weight > _MOST_OFTEN:
            raise OptionError(f"train is {given!r}: a text is read {_MOST_OFTEN:,} times at most")
        if weight != 1 and options.context == "document":
            raise OptionError(
                f"train is {given!r}, but a document is read once from its beginning to its end: "
                "weights are for sentence context"
            )
        found.append((path, weight))
    return found


def train_weights(options: TrainOptions) -> tuple[float, ...]:
    """How often an epoch reads each file; empty if each is read once."""
    weights = tuple(weight for _, weight in train_files(options))
    return () if all(weight == 1 for weight in weights) else weights


def held_out_files(options: TrainOptions) -> dict[str, tuple[str, ...]]:
    """The files of each held-out text that the options give, by its name.

    `NAME=FILE` names a text, which may have several files; a file without a name is a text of its
    own, with the file's name. A path that exists is a path, whatever signs are in it. Raises
    OptionError if a file without a name has the name of another text.
    """
    found: dict[str, tuple[str, ...]] = {}
    unnamed = set()
    for given in options.valid:
        named = None if Path(given).exists() else _NAMED.fullmatch(given)
        name, path = named.groups() if named else (Path(given).name, given)
        if not named:
            unnamed.add(name)
        if name in found and name in unnamed:
            raise OptionError(
                f"valid is {found[name][0]!r} and {path!r}, two texts with the name {name}; name "
                "them: NAME=FILE"
            )
        found[name] = (*found.get(name, ()), path)
    return found


class RunText:
    """The lines to train on and the held-out lines, in as many passes as a run needs.

    A sentence mark (the options' bos_token or eos_token) at its end of a line is a boundary and no
    part of the text; the ones within a line are counted.
    """

    def __init__(self, options: TrainOptions) -> None:
        self._options = options
        self.train_paths = tuple(path for path, _ in train_files(options))
        self._valid = held_out_files(options)
        self._marks = (options.bos_token, options.eos_token)
        self._source = ", ".join(self.train_paths)
        self._skipped: dict[str, int] = {}  # records of each file that has been read to its end

    @property
    def has_pairs(self) -> bool:
        """Whether each line is a pair of texts, with a `PAIR_MARK` between them."""
        return self._options.prefix_field is not None

    def check_readable(self) -> None:
        """Find problems with a file before an hour is spent on another file.

        Raises:
            InputFileError: a file is missing, a directory, a pipe, or cannot be read.
            InputError: there is no text in the files.
            OptionError: a choice names no held-out text.
        """
        for path in (*self.train_paths, *self.held_out_paths):
            if Path(path).is_fifo():  # to open it could take for ever
                raise InputFileError(f"{path}: training reads its files more than once: not a pipe")
            with open_input(path):
                pass
        if not any(line.strip() for line in self._lines(self.train_paths)):
            raise InputError(f"{self._source}: no text to train on, only blank lines")
        for name, paths in self._valid.items():
            if not any(line.strip() for line in self._lines(paths)):
                where = name if len(paths) > 1 else paths[0]
                raise InputError(f"{where}: the held-out text is empty, or only blank lines")
        chosen = self._options.choose_by
        if chosen is not None and chosen not in self._valid:
            names = ", ".join(self._valid) or "none"
            raise OptionError(f"choose_by is {chosen!r}, the held-out texts are {names}")

    @property
    def held_out_paths(self) -> tuple[str, ...]:
        """The files of held-out text that the options give."""
        return tuple(path for paths in self._valid.values() for path in paths)

    @property
    def skipped(self) -> int:
        """The number of records that could not be read, of the files read so far."""
        return sum(self._skipped.values())

    @property
    def choices(self) -> tuple[object, ...]:
        """The options that choose the lines to train on."""
        options = self._options
        split = (self._in_blocks, options.valid_share, options.seed)
        names = (
            "prefix_field",
            "reverse_prefix",
            "separate",
            "input_format",
            "field",
            "columns",
            "delimiter",
            "encoding",
            "split",
            "language",
            "errors",
            "on_error",
        )
        reading = [getattr(options, name) for name in names]
        return (*self._marks, *reading, *self._valid, *(() if self._valid else split))

    @property
    def train(self) -> list[Iterable[str]]:
        """The lines to train on, of each file; read the files one after another."""
        split = self._split()
        return [self._part(path, split, held_out=False) for path in self.train_paths]

    @property
    def train_lines(self) -> Iterator[str]:
        """The lines to train on, of all files; of pairs both texts, one after another."""
        lines = itertools.chain.from_iterable(self.train)
        if not self.has_pairs:
            return lines
        return (text for line in lines for text in line.split(PAIR_MARK))

    @property
    def held_out(self) -> Mapping[str, Iterable[str]]:
        """The lines of each held-out text, by its name; of a split text, each distinct line once.

        Raises InputError if the text is too small to hold out a part of it.
        """
        if self._valid:
            return {name: self._lines(paths) for name, paths in self._valid.items()}
        split = self._split()
        parts = [self._part(path, split, held_out=True) for path in self.train_paths]
        lines = (line for part in parts for line in part)
        return {HELD_OUT: lines if self._in_blocks else _distinct(lines)}

    @property
    def may_overlap(self) -> bool:
        """Whether held-out lines may also be trained on."""
        return bool(self._valid) or self._in_blocks

    def line_id(self) -> str | None:
        """The first word of the text if its lines seem to begin with ids, as in Kaldi's `text`.

        They do if the first words of the first lines are distinct, and each has a digit.
        """
        lines = itertools.islice(filter(str.strip, self.train_lines), _LINES_WITH_IDS)
        firsts = [line.split(maxsplit=1)[0] for line in lines]
        has_digits = all(re.search(r"\d", word) for word in firsts)
        are_ids = len(firsts) > 1 and has_digits and len(set(firsts)) == len(firsts)
        return firsts[0] if are_ids else None

    def repeated_words(self) -> dict[str, int]:
        """The words in lines of each held-out text that are also trained on; reads all text."""
        if not self.may_overlap:
            return {HELD_OUT: 0}
        wanted = {line.strip() for lines in self.held_out.values() for line in lines}
        trained = {line for part in self.train for line in map(str.strip, part) if line in wanted}
        return {
            name: sum(len(self._text(line).split()) for line in lines if line.strip() in trained)
            for name, lines in self.held_out.items()
        }

    def counting_marks(self, lines: Iterable[str], found: Counter[str]) -> Iterator[str]:
        """Yield lines, and count the sentence marks within them, where they are no boundaries."""
        for line in lines:
            if any(mark in line for mark in self._marks):
                words = line.replace(PAIR_MARK, " ").split() if self.has_pairs else line.split()
                found.update(word for word in words if word in self._marks)
            yield line

    @property
    def _in_blocks(self) -> bool:
        return self._options.context == "document"

    def _split(self) -> Split | None:
        """A new pass's choice of lines; None if held-out text is given."""
        if self._valid:
            return None
        if self._in_blocks:
            return BlockSplit(self._blocks.starts, self._blocks.length)
        return SentenceSplit(self._options.seed, self._limit)

    @lazy
    def _blocks(self) -> BlockSplit:
        return block_split(*self._to_split, source=self._source)

    @lazy
    def _limit(self) -> int:
        return sentence_limit(*self._to_split, source=self._source)

    @property
    def _to_split(self) -> tuple[Iterator[str], float | None, int]:
        options = self._options
        return self._lines(self.train_paths), options.valid_share, options.seed

    def _part(self, path: str, split: Split | None, *, held_out: bool) -> Iterator[str]:
        lines = self._lines([path])
        if split is None:
            return lines
        return (line for line in lines if split.holds_out(line) == held_out)

    def _lines(self, paths: Iterable[str]) -> Iterator[str]:
        for path in paths:
            for line in self._sentences(path):
                texts = line.split(PAIR_MARK) if self.has_pairs else [line]
                yield PAIR_MARK.join(map(self._without_boundaries, texts))

    def _sentences(self, path: str) -> Iterator[str]:
        """The sentences of the records of a file."""
        options = self._options
        for record in self._records(path):
            if options.prefix_field is not None:
                yield _pair(record)
                continue
            split = options.split or record.default_split
            yield from split_text(record.text, split, options.language)

    def _records(self, path: str) -> Iterator[Record]:
        """The records of a file; takes note of how many cannot be read."""
        options = self._options
        how = ReadOptions(
            input_format=options.input_format,
            field=options.field,
            prefix_field=options.prefix_field,
            columns=options.columns,
            delimiter=delimiter_named(options.delimiter),
            encoding=options.encoding,
            errors=options.errors,
        )
        bad = BadRecords(options.on_error, max_errors=options.max_errors)
        # The files are read one by one, and more than once; the limit is for all of them together.
        bad.count = others = sum(n for other, n in self._skipped.items() if other != path)
        yield from bad.handled(file_records(path, how, all_fields=False))
        self._skipped[path] = bad.count - others

    def _text(self, line: str) -> str:
        """A line, or the second text of a pair."""
        return line.rpartition(PAIR_MARK)[2] if self.has_pairs else line

    def _without_boundaries(self, line: str) -> str:
        begin, end = self._marks
        if begin not in line and end not in line:
            return line
        words = line.split()
        if words and words[0] == begin:
            line = line.lstrip().removeprefix(begin).lstrip()
        if words and words[-1] == end:
            line = line.rstrip().removesuffix(end).rstrip()
        return line


def _pair(record: Record) -> str:
    """The texts of a pair as a line; raises InputError for what is none."""
    if record.prefix is None:
        raise InputError(
            f"{record.where}: no text before this one: pairs are records with two named texts, "
            "such as JSON Lines, or TSV with columns='prefix,text'"
        )
    if PAIR_MARK in record.prefix or PAIR_MARK in record.text:
        raise InputError(f"{record.where}: a text holds a zero byte")
    return f"{record.prefix}{PAIR_MARK}{record.text}"


def _distinct(lines: Iterable[str]) -> Iterator[str]:
    return iter(dict.fromkeys(line.strip() for line in lines))
