"""Read ARPA files, as SRILM, KenLM, IRSTLM and CMU's tools write them."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from lmscore.errors import ModelError
from lmscore.files import input_name, open_input
from lmscore.runtime.ngram.arpa_contexts import renumbered, with_contexts
from lmscore.runtime.ngram.model import (
    CONTROL,
    IMPOSSIBLE,
    LN10,
    Floats,
    Ids,
    NgramModel,
    Table,
    unigram_keys,
)

UNKNOWN_LOG_PROB = -100 * LN10
"""What an unknown word costs (nats) if the file does not say, as in KenLM."""

_LINES = 1 << 16  # parsed at a time
_COUNT = re.compile(rb"ngram\s+(\d{1,3})\s*=\s*(\d{1,18})\s*$")
_SECTION = re.compile(rb"\\(\d{1,3})-grams:\s*$")
_END = b"\\end\\"
_DATA = b"\\data\\"
_OTHERS = {b"iARPA": "an intermediate file", b"qARPA": "a quantised file"}  # of IRSTLM
_LEAST = IMPOSSIBLE / LN10  # what stands for a probability of 0


class _Grams(NamedTuple):
    """The n-grams of a part of a section, as they stand in the file."""

    words: list[list[bytes]]  # n columns of M words
    log_probs: Floats  # [M], base 10
    backoffs: Floats  # [M], base 10; 0 where the file has none


class _Reader:
    """The lines of an ARPA file, numbered for the error messages."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file, self.name, self.line = file, name, 0
        self._held = b""

    def lines(self) -> Iterator[bytes]:
        """Every line without the white space at its ends."""
        for line in self._file:
            self.line += 1
            yield line.strip()

    def heading(self) -> bytes:
        """The next line with something on it, which `again` puts back; nothing at the end."""
        held, self._held = self._held, b""
        return held or next(filter(None, self.lines()), b"")

    def again(self, line: bytes) -> None:
        """Let the next `heading` be this line."""
        self._held = line

    def take(self, count: int) -> list[bytes]:
        """The next lines, at most so many."""
        found = list(islice(self._file, count))
        self.line += len(found)
        return found

    def fail(self, what: str, line: int | None = None) -> NoReturn:
        """Raise ModelError for the last line read, or another."""
        raise ModelError(f"{self.name}, line {self.line if line is None else line}: {what}")


def read_arpa(path: str | Path, *, unknown_log_prob: float = UNKNOWN_LOG_PROB) -> NgramModel:
    r"""Read a back-off model; the file may be compressed, or `-` for standard input.

    Text before `\data\` is skipped; fields are separated by spaces or tabs; back-off weights that
    are left out are 1; an n-gram that is left out although a longer one begins with it has the
    probability of backing off.

    Args:
        path: the file.
        unknown_log_prob: the log-probability (nats) of <unk> where the file has none.

    Raises:
        InputFileError: the file cannot be read.
        ModelError: it is no ARPA file, or a damaged one; names the line.
    """
    with open_input(path) as file:
        reader = _Reader(file, input_name(path))
        counts = _read_counts(reader)
        words, unigrams, has_unknown = _read_unigrams(reader, counts[0], unknown_log_prob)
        numbers = {word: number for number, word in enumerate(words)}
        tables = [unigrams]
        for order, count in enumerate(counts[1:], 2):
            _begin_section(reader, order, count)
            tables.append(_read_table(reader, order, count, words, numbers, tables))
        if reader.heading() != _END:
            reader.fail(rf"expected {_END.decode()}: the file is cut off, or has more n-grams")
    decoded = [word.decode() for word in words]
    return NgramModel(decoded, tuple(tables), has_unknown)


def _read_counts(reader: _Reader) -> list[int]:
    r"""How many n-grams of order 1, 2, ... the header announces; the next line is `\1-grams:`."""
    lines = reader.lines()
    _skip_preamble(reader, lines)
    counts: list[int] = []
    for line in lines:
        if match := _COUNT.match(line):
            if int(match[1]) != len(counts) + 1:
                reader.fail(f"expected the number of {len(counts) + 1}-grams")
            counts.append(int(match[2]))
        elif _SECTION.match(line):
            _check_section(reader, line, 1)
            break
        elif line:
            reader.fail(f"expected `ngram {len(counts) + 1}=COUNT`, not {_shown(line)}")
    if not counts:
        reader.fail(r"no `ngram 1=COUNT` after \data\ ")
    return counts


def _skip_preamble(reader: _Reader, lines: Iterator[bytes]) -> None:
    """Read up to the line of the data mark; a file of CMU's tools has a page before it."""
    for line in lines:
        if line.removeprefix(BOM_UTF8) == _DATA:
            return
        kind = _OTHERS.get(line.split(maxsplit=1)[0]) if line else None
        if kind is not None:
            reader.fail(
                f"{_shown(line)} begins {kind} of IRSTLM, not an ARPA file; convert it with "
                "compile-lm --text=yes"
            )
    raise ModelError(rf"{reader.name}: no ARPA file, it has no line \data\ ")


def _begin_section(reader: _Reader, order: int, count: int) -> None:
    """Read the heading of a section, which may be left out where there is nothing in it."""
    line = reader.heading()
    match = _SECTION.match(line)
    if not count and (line == _END or (match and int(match[1]) > order)):
        reader.again(line)
    else:
        _check_section(reader, line, order)


def _check_section(reader: _Reader, line: bytes, order: int) -> None:
    match = _SECTION.match(line)
    if match is None or int(match[1]) != order:
        reader.fail(rf"expected \{order}-grams:, not {_shown(line)}")


def _read_unigrams(
    reader: _Reader, count: int, unknown_log_prob: float
) -> tuple[list[bytes], Table, bool]:
    """The vocabulary with <unk>, <s> and </s> in front, its table, and whether it has <unk>."""
    found: dict[bytes, tuple[float, float]] = {}
    for grams in _parts(reader, 1, count):
        words = map(_unk, grams.words[0])
        weights = zip(grams.log_probs.tolist(), grams.backoffs.tolist(), strict=True)
        for word, pair in zip(words, weights, strict=True):
            if word in found:
                reader.fail(f"the word {_shown(word)} stands twice among the 1-grams")
            found[word] = pair
    if b"</s>" not in found:
        raise ModelError(
            f"{reader.name}: no </s> among the 1-grams, so no sentence could end; make the model "
            "of lines between <s> and </s>"
        )
    has_unknown = b"<unk>" in found
    control = [word.encode() for word in CONTROL]
    for word in control:
        found.setdefault(word, (unknown_log_prob / LN10, 0.0))
    vocabulary = [*control, *(word for word in found if word not in control)]
    _check_utf8(reader, vocabulary)
    log_probs, backoffs = np.array([found[word] for word in vocabulary]).T
    return vocabulary, _table(unigram_keys(len(vocabulary)), log_probs, backoffs), has_unknown


def _check_utf8(reader: _Reader, words: list[bytes]) -> None:
    for word in words:
        try:
            word.decode()
        except UnicodeDecodeError as error:
            message = f"{reader.name}: the word {word!r} is not valid UTF-8; convert the file first"
            raise ModelError(message) from error


def _read_table(
    reader: _Reader,
    order: int,
    count: int,
    words: Sequence[bytes],
    numbers: dict[bytes, int],
    tables: list[Table],
) -> Table:
    """The n-grams of an order above 1, sorted by context and word.

    A context that is missing is added to `tables`.
    """
    V = len(numbers)
    found: list[tuple[Ids, Floats, Floats]] = []
    for grams in _parts(reader, order, count):
        columns = np.array([_numbers(reader, column, numbers, order) for column in grams.words])
        contexts = _contexts(tables, columns, V)
        if (missing := contexts < 0).any():
            decoded = [word.decode() for word in words]
            tables[:], moved = with_contexts(decoded, tables, columns[:-1, missing].T)
            found = [(renumbered(keys, moved, V), p, b) for keys, p, b in found]
            contexts = _contexts(tables, columns, V)
        found.append((contexts * V + columns[-1], grams.log_probs, grams.backoffs))
    if not found:
        nothing = np.empty(0)
        return _table(nothing.astype(np.int64), nothing, nothing)
    keys, log_probs, backoffs = (np.concatenate(column) for column in zip(*found, strict=True))
    ascending = np.argsort(keys, kind="stable")
    keys = keys[ascending]
    if len(keys) > 1 and (np.diff(keys) == 0).any():
        raise ModelError(f"{reader.name}: one of the {order}-grams stands twice")
    return _table(keys, log_probs[ascending], backoffs[ascending])


def _contexts(tables: Sequence[Table], columns: Ids, V: int) -> Ids:
    """The numbers of the contexts of n-grams [n, M], -1 where one is missing."""
    nodes: Ids = columns[0]
    for table, column in zip(tables[1:], columns[1:-1], strict=True):
        known = nodes >= 0
        nodes = np.where(known, table.find(np.where(known, nodes, 0) * V + column), -1)
    return nodes


def _numbers(reader: _Reader, words: list[bytes], numbers: dict[bytes, int], order: int) -> Ids:
    try:
        return np.fromiter(map(numbers.__getitem__, words), np.int64, count=len(words))
    except KeyError:
        place = next(i for i, word in enumerate(words) if word not in numbers)
        if words[place] == b"<UNK>":
            return _numbers(reader, [_unk(word) for word in words], numbers, order)
        reader.fail(
            f"the word {_shown(words[place])} of a {order}-gram is no 1-gram",
            reader.line - len(words) + place + 1,
        )


def _unk(word: bytes) -> bytes:
    """The word, or <unk> for the capitals that SRILM and KenLM take as well."""
    return b"<unk>" if word == b"<UNK>" else word


def _parts(reader: _Reader, order: int, count: int) -> Iterator[_Grams]:
    """The n-grams of a section, some thousand lines at a time."""
    while count:
        lines = reader.take(min(count, _LINES))
        if not lines:
            reader.fail(f"the file ends where {count} more {order}-grams should be")
        fields = b"".join(lines).split()
        width = len(fields) // len(lines)
        if width * len(lines) != len(fields) or width not in (order + 1, order + 2):
            grams = _parsed_one_by_one(reader, order, lines)
        else:
            grams = _parsed(reader, order, lines, fields, width)
        count -= len(grams.log_probs)  # there may be blank lines
        yield grams


def _parsed(
    reader: _Reader, order: int, lines: list[bytes], fields: list[bytes], width: int
) -> _Grams:
    """Lines that all have the same number of fields."""
    M = len(lines)
    try:
        log_probs = np.array(fields[0::width]).astype(np.float32)
        backoffs = np.zeros(M, np.float32)
        if width == order + 2:
            backoffs = np.array(fields[width - 1 :: width]).astype(np.float32)
    except ValueError:
        return _parsed_one_by_one(reader, order, lines)
    words = [fields[column::width] for column in range(1, order + 1)]
    return _checked(reader, _Grams(words, log_probs, backoffs))


def _parsed_one_by_one(reader: _Reader, order: int, lines: list[bytes]) -> _Grams:
    """Lines some of which have no back-off weight, are blank, or have something wrong."""
    rows, weights = [], []
    for number, line in enumerate(lines, reader.line - len(lines) + 1):
        fields = line.split()
        if not fields:
            continue
        if _SECTION.match(line.strip()) or line.strip() == _END:
            reader.fail(rf"\data\ announces more {order}-grams than there are", number)
        if len(fields) not in (order + 1, order + 2):
            reader.fail(
                f"expected a log-probability, {order} words and perhaps a back-off weight, "
                f"not {_shown(line.strip())}",
                number,
            )
        try:
            weights.append((float(fields[0]), float(fields[-1]) if fields[order + 1 :] else 0.0))
        except ValueError:
            reader.fail(f"expected a number at both ends of {_shown(line.strip())}", number)
        rows.append(fields[1 : order + 1])
    columns = [[row[column] for row in rows] for column in range(order)]
    log_probs, backoffs = np.array(weights, np.float32).reshape(-1, 2).T
    return _checked(reader, _Grams(columns, log_probs, backoffs))


def _checked(reader: _Reader, grams: _Grams) -> _Grams:
    wrong = ~(grams.log_probs <= 0) | ~(grams.backoffs < np.inf)
    if (places := np.flatnonzero(wrong)).size:
        line = reader.line - len(wrong) + int(places[0]) + 1
        reader.fail("a log-probability above 0, or a weight that is no number", line)
    return _Grams(
        grams.words, np.maximum(grams.log_probs, _LEAST), np.maximum(grams.backoffs, _LEAST)
    )


def _table(keys: Ids, log_probs: NDArray[np.floating], backoffs: NDArray[np.floating]) -> Table:
    """A table of base-10 logarithms turned into nats."""
    nats = (
        (values.astype(np.float64) * LN10).astype(np.float32) for values in (log_probs, backoffs)
    )
    return Table(keys, *nats)


def _shown(text: bytes) -> str:
    """Text of a file as an error message quotes it."""
    return repr(text[:80].decode(errors="replace"))
