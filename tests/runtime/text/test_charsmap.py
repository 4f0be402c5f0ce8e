"""Character maps of SentencePiece: their growth, compared with what tokenizers makes of texts."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import normalizers

from lmscore.runtime.text.charsmap import charsmap_growth


@dataclass
class Node:
    """A node of a trie of bytes."""

    value: int | None = None
    children: dict[int, Node] = field(default_factory=dict)


def charsmap(pairs: dict[str, str]) -> str:
    """A map in the format of `Precompiled`: a double array with a block of 256 units a node."""
    units: dict[int, int] = {}
    texts = b""
    root = Node()
    for key, value in pairs.items():
        node = root
        for byte in key.encode():
            node = node.children.setdefault(byte, Node())
        node.value = len(texts)
        texts += value.encode() + b"\0"
    blocks = 1

    def place(node: Node, at: int, label: int) -> None:
        nonlocal blocks
        base, blocks = 256 * blocks, blocks + 1
        units[at] = (base ^ at) << 10 | label | (0 if node.value is None else 1 << 8)
        if node.value is not None:
            units[base] = 1 << 31 | node.value
        for byte, child in node.children.items():
            place(child, base ^ byte, byte)

    place(root, 0, 0)
    trie = [units.get(at, 0) for at in range(256 * blocks)]
    data = struct.pack(f"<I{len(trie)}I", 4 * len(trie), *trie) + texts
    return base64.b64encode(data).decode()


CHARACTERS = st.text("abé\u2026\u4e00\U0001f600", min_size=1, max_size=1)


@given(st.dictionaries(CHARACTERS, st.text("xé\u4e00", max_size=9), min_size=1))
@settings(max_examples=60)
def test_the_growth_is_that_of_the_longest_replacement(pairs: dict[str, str]) -> None:
    encoded = charsmap(pairs)
    normalize = normalizers.Precompiled(base64.b64decode(encoded)).normalize_str
    for key, value in pairs.items():  # the format is the one that tokenizers reads
        assert normalize(key) == value
    ratios = [len(value.encode()) / len(key.encode()) for key, value in pairs.items()]
    assert charsmap_growth(encoded) == max(1, *ratios, 1)


def test_keys_of_several_characters() -> None:
    assert charsmap_growth(charsmap({"ab": "x" * 9, "abc": "x" * 12})) == 4.5


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "does not hold the trie"),
        (b"\x08\0\0\0\0\0\0\0", "does not hold the trie"),
        (b"\x03\0\0\0\0\0\0", "does not hold the trie"),
        (base64.b64decode(charsmap({"a": "bbbb", "c": "d"}))[:-3], "points behind its texts"),
        (base64.b64decode(charsmap({"a" * 70: "b"})), "keys of more than 64 bytes"),
    ],
)
def test_what_is_no_map(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        charsmap_growth(base64.b64encode(data).decode())


def test_what_is_no_base64() -> None:
    with pytest.raises(ValueError, match="is not base64"):
        charsmap_growth("?")


def test_a_trie_that_points_behind_its_end() -> None:
    # the root has the child `a`, whose value would lie far away
    units = [0] * 256
    units[ord("a")] = (1 << 8) | ord("a") | (1000 << 10)
    data = struct.pack("<I256I", 1024, *units) + b"x\0"
    with pytest.raises(ValueError, match="points behind its end"):
        charsmap_growth(base64.b64encode(data).decode())
