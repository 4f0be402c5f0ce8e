"""SentencePiece's normalisation of characters as normalizers of a tokenizer.json.

A charsmap maps strings to strings: the longest key at each place of the text is replaced. Most keys
are single characters; the others are letters with combining marks, and syllables in parts, which
are composed. tokenizers' own `Precompiled` reads a charsmap but composes little, and drops a mark
after some letters. So:

1. A separator is put in front of every mark that is in no key together with what precedes it.
2. Another separator keeps all marks apart while `Precompiled` maps single characters; it goes.
3. NFC composes what the first separator does not hold apart, and a few replacements the rest; then
   that one goes, too.

A mark that becomes a letter when it is alone (the Greek iota subscript, where case is folded) is
hidden from step 2. `make_normalizers` checks the outcome for every key.
"""

from __future__ import annotations

import struct
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from tokenizers import Regex, normalizers

from lmscore.errors import ModelError

# Two control characters, and one that Unicode keeps unassigned: none joins a cluster. A text loses
# them; SentencePiece's nmt_ maps drop the first, too.
_ALONE, _HIDDEN, _APART = "\x01", "\x80", "\ufff0"

# What joins the character before it to a cluster, beside marks: joiners, Thai and Lao vowels,
# voiced marks of half width, tags, skin tones.
_JOINERS = {*"\u200c\u200d\u0e33\u0eb3\uff9e\uff9f", *map(chr, range(0xE0020, 0xE0080))}
_JOINERS |= set(map(chr, range(0x1F3FB, 0x1F400)))

_LARGEST_UNIT = 1 << 31
_LONGEST_KEY = 256  # bytes
_MOST_REPLACED = 64  # each costs time on every text


def read_charsmap(blob: bytes) -> dict[str, str]:
    """The keys and values of a charsmap: a double-array trie, then the values, each ended by 0.

    Raises:
        ValueError, IndexError, struct.error: it is damaged.
    """
    (size,) = struct.unpack_from("<I", blob)
    units = struct.unpack_from(f"<{size // 4}I", blob, 4)
    values = blob[4 + size :]
    below: defaultdict[int, list[int]] = defaultdict(list)  # the children of each place
    for child, unit in enumerate(units):
        if 0 < unit & (_LARGEST_UNIT | 0xFF) < 256:
            below[child ^ unit & 0xFF].append(child)
    found: dict[str, str] = {}
    waiting = [(_children(units[0]), b"")]
    while waiting:
        place, key = waiting.pop()
        if len(key) > _LONGEST_KEY:
            raise ValueError("a key without an end")
        for child in below[place]:
            unit = units[child]
            longer, next_place = key + bytes([unit & 0xFF]), child ^ _children(unit)
            if unit >> 8 & 1:  # a key ends here
                start = units[next_place] & (_LARGEST_UNIT - 1)
                found[longer.decode()] = values[start : values.index(b"\0", start)].decode()
            waiting.append((next_place, longer))
    return found


def _children(unit: int) -> int:
    return (unit >> 10) << ((unit & 1 << 9) >> 6)


def normalized(text: str, charsmap: Mapping[str, str]) -> str:
    """What SentencePiece makes of a text: the longest key at each place is replaced."""
    longest = max(map(len, charsmap), default=1)
    parts, place = [], 0
    while place < len(text):
        ends = range(min(len(text), place + longest), place, -1)
        end = next((end for end in ends if text[place:end] in charsmap), place + 1)
        parts.append(charsmap.get(text[place:end], text[place:end]))
        place = end
    return "".join(parts)


def make_normalizers(blob: bytes, *, source: str) -> list[normalizers.Normalizer]:
    """Normalizers that do to a text what SentencePiece does with a charsmap.

    Raises:
        ModelError: the charsmap is damaged, or has keys that the normalizers map otherwise.
    """
    try:
        charsmap = read_charsmap(blob)
    except (ValueError, IndexError, struct.error) as error:
        raise ModelError(f"{source}: a damaged charsmap: {error}") from error
    composed = sorted(key for key in charsmap if len(key) > 1)
    if composed:
        steps = _composing(blob, charsmap, composed)
        # What NFC does not compose: letters whose case was folded by then, and letters of newer
        # versions of Unicode than the one that tokenizers has. Nothing else is spelt like them as
        # long as the separators are there.
        made, together = normalizers.Sequence(steps), normalizers.Replace(_APART, "")
        wrong = _wrong(charsmap, [*steps, together])
        fixes = {made.normalize_str(key): charsmap[key] for key in wrong}
        longest_first = sorted(fixes, key=len, reverse=True)[:_MOST_REPLACED]
        steps += [normalizers.Replace(spelt, fixes[spelt]) for spelt in longest_first]
        steps.append(together)
    else:
        steps = _mapping(blob, _joining())
    if wrong := _wrong(charsmap, steps):
        raise ModelError(
            f"{source}: its normalisation of {wrong[0]!r} to {charsmap[wrong[0]]!r} (and of "
            f"{len(wrong) - 1} others) has no equivalent in a tokenizer.json"
        )
    return steps


def _composing(
    blob: bytes, charsmap: Mapping[str, str], composed: Iterable[str]
) -> list[normalizers.Normalizer]:
    marks = _marks(charsmap, composed)
    used = {character for key in composed for character in key[1:]}
    # Alone it becomes something else than in a key: it is hidden from the map where it is in one.
    hidden = "".join(
        mark for mark in used if charsmap.get(mark, mark) != unicodedata.normalize("NFKC", mark)
    )
    hide = [normalizers.Replace(Regex(f"(?!\\A)(?<!{_APART}){hidden}"), _HIDDEN)] if hidden else []
    show = [normalizers.Replace(_HIDDEN, hidden)] if hidden else []
    return [
        _insert(_APART, f"[{_class(marks)}](?<!{_known_sequences(composed)})"),
        *hide,
        *_mapping(blob, marks | _joining()),
        *show,
        normalizers.NFC(),
    ]


def _mapping(blob: bytes, joining: Iterable[str]) -> list[normalizers.Normalizer]:
    """Map single characters, none of which is seen in a cluster with others."""
    alone = [_insert(_ALONE, f"[{_class(joining)}]"), normalizers.Precompiled(blob)]
    return [*alone, normalizers.Replace(_ALONE, "")]


def _insert(separator: str, pattern: str) -> normalizers.Normalizer:
    # Not at the beginning, where nothing comes before; tokenizers' NFC would panic after it.
    return normalizers.Replace(Regex(f"(?!\\A)(?={pattern})"), separator)


def _joining() -> set[str]:
    """The characters that join the one before them to a cluster: all marks, and a few others."""
    codes = (*range(0x300, 0x20000), *range(0xE0100, 0xE01F0))  # where Unicode has marks
    # What is unassigned for Python may be a mark for tokenizers, whose Unicode is newer.
    marks = ("Mn", "Mc", "Me", "Cn")
    return _JOINERS | {mark for mark in map(chr, codes) if unicodedata.category(mark) in marks}


def _marks(charsmap: Mapping[str, str], composed: Iterable[str]) -> set[str]:
    """The characters that compose with, or are ordered among, those before them."""
    marks = {character for key in composed for character in key[1:]}
    values = set("".join(charsmap.values())) | marks
    marks |= {character for character in values if unicodedata.combining(character)}
    # A mark in disguise: it is one when the charsmap has replaced it.
    marks |= {key for key, value in charsmap.items() if len(key) == 1 and value[:1] in marks}
    every = map(chr, range(0x300, 0x20000))  # where Unicode has combining marks
    return marks | {character for character in every if unicodedata.combining(character)}


def _known_sequences(composed: Iterable[str]) -> str:
    """A pattern of the keys and their beginnings, of two characters and more."""
    beginnings = {key[:end] for key in composed for end in range(2, len(key) + 1)}
    by_length: defaultdict[int, set[str]] = defaultdict(set)
    for beginning in beginnings:
        by_length[len(beginning)].add(beginning)
    products = [each for strings in by_length.values() for each in _products(frozenset(strings))]
    return "|".join("".join(f"[{_class(part)}]" for part in product) for product in products)


def _products(strings: frozenset[str]) -> list[list[frozenset[str]]]:
    """Strings of one length as products of sets of characters, few of them."""
    if strings and len(next(iter(strings))) == 1:
        return [[strings]]
    before: defaultdict[str, set[str]] = defaultdict(set)
    for string in strings:
        before[string[-1]].add(string[:-1])
    last: defaultdict[frozenset[str], set[str]] = defaultdict(set)
    for character, beginnings in before.items():
        last[frozenset(beginnings)].add(character)
    return [
        [*product, frozenset(characters)]
        for beginnings, characters in last.items()
        for product in _products(beginnings)
    ]


def _class(characters: Iterable[str]) -> str:
    """The inside of a class of characters, neighbours as ranges."""
    ranges: list[list[int]] = []
    for code in sorted(map(ord, characters)):
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    spelt = ([_escaped(chr(end)) for end in dict.fromkeys(ends)] for ends in ranges)
    return "".join("-".join(ends) for ends in spelt)


def _escaped(character: str) -> str:
    return character if character.isalnum() or ord(character) > 0x7F else f"\\{character}"


_BETWEEN = "\ue000"  # of private use: nothing composes with it


def _wrong(charsmap: Mapping[str, str], steps: Sequence[normalizers.Normalizer]) -> list[str]:
    """The keys that the normalizers do not map as the charsmap does."""
    keys = [key for key in charsmap if _BETWEEN not in key + charsmap[key]]
    made = normalizers.Sequence(list(steps)).normalize_str(_BETWEEN.join(keys))
    found = made.split(_BETWEEN)
    return [key for key, value in zip(keys, found, strict=True) if value != charsmap[key]]
