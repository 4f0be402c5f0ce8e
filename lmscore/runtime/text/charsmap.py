"""How much longer a SentencePiece character map can make a text.

The map of a `Precompiled` normaliser is, in base64: the size of a trie, the trie, and the texts
that it points to, each with a zero byte behind it. The trie is a double array (Yata et al. 2007) of
32-bit units. A unit at `p` has an offset, and its children lie at `p ^ offset ^ byte`; the low byte
of a child is that byte, its label. A unit whose bit 8 is set has a value at `p ^ offset`.
"""

from __future__ import annotations

import base64
import binascii

import numpy as np
from numpy.typing import NDArray

_LONGEST_KEY = 64  # bytes; tokenizers looks up no more than a few characters at once
_VALUE = 0x7FFFFFFF
_LABEL = 0x800000FF


def charsmap_growth(encoded: str) -> float:
    """The most bytes that a map puts in the place of one, over all keys of its trie.

    Raises:
        ValueError: it is not such a map.
    """
    units, texts = _parts(encoded)
    ends = np.append(np.flatnonzero(texts == 0), len(texts))
    growth = 1.0
    for length, values in enumerate(_values_by_length(units), 1):
        if values.size:
            if values.max() > len(texts):
                raise ValueError("it points behind its texts")
            sizes = ends[np.searchsorted(ends, values)] - values
            growth = max(growth, float(sizes.max()) / length)
    return growth


def _parts(encoded: str) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """The units of the trie, and the bytes of the texts."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"it is not base64: {error}") from error
    size = int.from_bytes(data[:4], "little")
    if len(data) < 4 or size % 4 or size == 0 or 4 + size > len(data):
        raise ValueError("it does not hold the trie that its first bytes announce")
    units = np.frombuffer(data, "<u4", count=size // 4, offset=4)
    return units, np.frombuffer(data, np.uint8, offset=4 + size)


def _values_by_length(units: NDArray[np.uint32]) -> list[NDArray[np.int64]]:
    """The values of all keys of one byte, of two bytes, and so on."""
    places = np.arange(len(units))
    wide = units.astype(np.int64)
    offsets = (wide >> 10) << ((wide & (1 << 9)) >> 6)
    bases = places ^ offsets
    labels = wide & _LABEL
    parents = places ^ labels  # the base of the unit that a unit is a child of
    reached = np.zeros(1, np.int64)  # units that keys of some length lead to
    found: list[NDArray[np.int64]] = []
    for _ in range(_LONGEST_KEY):
        children = (labels > 0) & (labels <= 0xFF) & np.isin(parents, bases[reached])
        reached = np.flatnonzero(children)
        if not reached.size:
            return found
        at = bases[reached[(wide[reached] & (1 << 8)) != 0]]
        if at.size and at.max() >= len(units):
            raise ValueError("its trie points behind its end")
        found.append(wide[at] & _VALUE)
    raise ValueError(f"it has keys of more than {_LONGEST_KEY} bytes")
