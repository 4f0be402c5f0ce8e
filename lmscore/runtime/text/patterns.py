"""Regular expressions of a tokenizer.json: how much work one can be, found before it is run.

The expressions are those of Oniguruma, which tries the ways to match one after another. The number
of ways grows with the length of a text: one quantifier without an upper limit has n ways to match
n characters, two in a row have n ** 2, and one inside another may have 2 ** n. `read_pattern`
follows an expression from left to right and counts.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from functools import reduce

_LONG = 10**6  # characters of a long text, for which ways and tries are counted
_MOST_TRIES = 64 * _LONG  # from one place of the text on: a few passes over its rest
_MOST_SIZE = 10_000  # characters that an expression spells out, repetitions included
_MOST_DEPTH = 32  # groups in groups

_COUNTS = re.compile(r"\{(\d{1,6})?(,)?(\d{1,6})?\}")
_GROUP = re.compile(r"\?(?:[imsx-]*:|>|=|!|<=|<!)|(?!\?)")
_PROPERTY = re.compile(r"[pP]\{\^?[A-Za-z_ ]+\}")
_CODE = re.compile(r"x[0-9A-Fa-f]{2}|x\{[0-9A-Fa-f]{1,6}\}|u[0-9A-Fa-f]{4}")
_CHARACTERS = "sSdDwWhHnrtfvae"  # that an escaped letter stands for: one character each
_PLACES = "bBAZzG"  # escaped letters that match between characters


class PatternError(ValueError):
    """A regular expression is not understood, or may take too long."""


@dataclass(frozen=True)
class Part:
    """What a part of an expression may do at one place of a long text."""

    shortest: int  # bytes that it matches at least
    size: int  # characters that it spells out
    ways: float = 1.0  # in which it can match
    tries: float = 1.0  # of characters, when it is matched in every way
    fails: float = 1.0  # tries before it fails; 0 if it cannot fail
    is_exact: bool = True  # one character, or a row of them, that matches in one way


_PLACE = Part(shortest=0, size=1, is_exact=False)


def read_pattern(pattern: str) -> Part:
    """Follow a regular expression.

    Raises:
        PatternError: it has repetitions inside repetitions, or several in a row that can share
            characters in too many ways; or it holds what is not followed, such as back references.
    """
    reader = _Reader(pattern)
    part = reader.alternatives(depth=0)
    if reader.rest():
        raise PatternError(f"the bracket at character {reader.at + 1} is not expected")
    if part.tries > _MOST_TRIES:
        raise PatternError("its repetitions can share characters in too many ways")
    return part


class _Reader:
    """A cursor over an expression."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.ignores_case = "(?" in pattern and re.search(r"\(\?[msx]*i", pattern) is not None

    def rest(self) -> str:
        return self.pattern[self.at :]

    def alternatives(self, depth: int) -> Part:
        if depth > _MOST_DEPTH:
            raise PatternError(f"groups lie in more than {_MOST_DEPTH} others")
        branches = [self._sequence(depth)]
        while self._take("|"):
            branches.append(self._sequence(depth))
        return _checked(reduce(_either, branches))

    def _sequence(self, depth: int) -> Part:
        parts = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            parts.append(self._repeated(self._atom(depth)))
        return _checked(_in_a_row(parts))

    def _take(self, text: str) -> bool:
        taken = self.pattern.startswith(text, self.at)
        self.at += len(text) if taken else 0
        return taken

    def _match(self, found: re.Pattern[str]) -> str | None:
        match = found.match(self.pattern, self.at)
        if match is None:
            return None
        self.at = match.end()
        return match[0]

    def _atom(self, depth: int) -> Part:
        character = self.pattern[self.at]
        self.at += 1
        if character == "(":
            return self._group(depth)
        if character == "[":
            return Part(self._class(), 1)
        if character == "\\":
            return self._escape()
        if character in "^$":
            return _PLACE
        if character in "*+?":
            raise PatternError(f"{character!r} repeats nothing, or a repetition")
        return Part(1 if character == "." else self._bytes(character), 1)

    def _bytes(self, character: str) -> int:
        """The bytes of a character, at least: the other case of a letter may have fewer."""
        return 1 if self.ignores_case else len(character.encode("utf-8", "surrogatepass"))

    def _group(self, depth: int) -> Part:
        begin = self.rest()[:3]
        opened = self._match(_GROUP)
        if opened is None or "x" in opened:
            raise PatternError(f"'({begin}' is not known")
        inner = self.alternatives(depth + 1)
        if not self._take(")"):
            raise PatternError("a bracket is not closed")
        if opened == "?>":
            return _possessive(inner)
        if opened in ("?=", "?!", "?<=", "?<!"):
            tries = max(inner.tries, 1.0)
            return Part(0, inner.size, 1.0, tries, tries, is_exact=False)
        return inner

    def _escape(self) -> Part:
        if self._match(_PROPERTY) or self._match(_CODE):
            return Part(1, 1)
        if self.at == len(self.pattern):
            raise PatternError("it ends in a backslash")
        character = self.pattern[self.at]
        self.at += 1
        if character in _PLACES:
            return _PLACE
        if character.isalnum() and character not in _CHARACTERS:
            raise PatternError(f"'\\{character}' is not known")
        return Part(1 if character.isalnum() else self._bytes(character), 1)

    def _class(self) -> int:
        """Pass a class whose bracket has been read; the bytes of its shortest character."""
        shortest = 1 if self._take("^") else 4
        is_first = True
        while self.at < len(self.pattern):
            character = self.pattern[self.at]
            self.at += 1
            if character == "]" and not is_first:
                return shortest
            if character == "[":
                shortest = min(shortest, self._class())
            elif character == "\\":
                shortest = min(shortest, self._escape().shortest or 1)
            else:
                # The first character of a range has the fewest bytes; `-` itself has one.
                is_range = character == "-" and not is_first and self.rest()[:1] != "]"
                shortest = min(shortest, 4 if is_range else self._bytes(character))
            is_first = False
        raise PatternError("a class is not closed")

    def _repeated(self, part: Part) -> Part:
        """A part with the quantifier that follows it, if one does."""
        for sign, least, most in (("*", 0, None), ("+", 1, None), ("?", 0, 1)):
            if self._take(sign):
                part = _times(part, least, most)
                return _possessive(part) if self._take("+") else self._lazy(part)
        counts = _COUNTS.match(self.pattern, self.at)
        if counts is None or counts[0] in ("{}", "{,}"):
            return part
        self.at = counts.end()
        least = int(counts[1] or 0)
        most = least if not counts[2] else int(counts[3]) if counts[3] else None
        if most is not None and most < least:
            raise PatternError(f"{counts[0]} has no order")
        return self._lazy(_times(part, least, most))

    def _lazy(self, part: Part) -> Part:
        """Pass the sign that makes a quantifier lazy: the same ways, in another order."""
        if not self._take("?"):
            return part
        return dataclasses.replace(part, shortest=0, fails=0.0, is_exact=False)


def _times(part: Part, least: int, most: int | None) -> Part:
    """A part, repeated."""
    if part.is_exact and part.shortest > 0:
        count = _LONG if most is None else most
        ways = count - least + 1.0
        tries = float(count) if most is None else float(count * part.size)
        return _checked(
            Part(
                part.shortest * least,
                part.size * max(least, most or 1),
                ways,
                tries,
                float(least * part.size),
                is_exact=least == most,
            )
        )
    if most is None:
        raise PatternError("it repeats a part that itself can match in several ways")
    ways = sum(part.ways**count for count in range(least, min(most, 64) + 1))
    if most > 64 and part.ways > 1:
        raise PatternError("it repeats a part that itself can match in several ways")
    tries = part.tries * max(ways, 1.0) * max(most, 1)
    fails = tries if least else 0.0
    return _checked(
        Part(part.shortest * least, part.size * max(most, 1), ways, tries, fails, is_exact=False)
    )


def _possessive(part: Part) -> Part:
    """A part that keeps its first match: nothing after it makes it try another."""
    return Part(part.shortest, part.size, 1, part.tries, part.fails, is_exact=False)


def _either(one: Part, other: Part) -> Part:
    fails = one.fails + other.fails if one.fails and other.fails else 0.0
    return Part(
        min(one.shortest, other.shortest),
        one.size + other.size,
        one.ways + other.ways,
        one.tries + other.tries,
        fails,
        is_exact=False,
    )


def _in_a_row(parts: list[Part]) -> Part:
    """Parts one after another: each is tried once for every way of those before it.

    Behind the last part that can fail nothing is tried again: the whole has matched.
    """
    last = max((i for i, part in enumerate(parts) if part.fails), default=-1)
    ways, tries, fails = 1.0, 0.0, 0.0
    for index, part in enumerate(parts):
        if index < last:
            tries += ways * part.tries
            ways *= part.ways
        elif index == last:
            fails = tries + ways * part.fails
            tries = fails + part.tries
            ways *= part.ways
        else:
            tries += part.tries
            ways *= part.ways
    return Part(
        sum(part.shortest for part in parts),
        sum(part.size for part in parts),
        ways,
        tries,
        fails,
        is_exact=all(part.is_exact for part in parts),
    )


def _checked(part: Part) -> Part:
    if part.size > _MOST_SIZE:
        raise PatternError(f"it spells out more than {_MOST_SIZE:,} characters")
    return part
