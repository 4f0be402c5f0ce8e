"""Normalisation of text: the steps that `normalization` names, as tokenizer.json keeps them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from tokenizers import Regex, normalizers

from lmscore.train.options import NORMALIZATION_STEPS

AUTO, NONE = "auto", "none"

_MOSTLY_LATIN = 0.9  # of the letters
_EVERY = 10  # lines: one in so many shows the script of a text
_LETTER = re.compile(r"[^\W\d_]")
_LATIN_LETTER = re.compile(
    "[A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff\u2c60-\u2c7f"
    "\ua722-\ua7ff\ufb00-\ufb06]"
)

PUNCTUATION = {
    "'": "[\u2018-\u201b\u2032\u2035\u02bc\u00b4\u1ffd]",  # single quotes, primes, apostrophes
    '"': "[\u201c-\u201f\u2033\u2036]",  # double quotes and primes
    "'''": "[\u2034\u2037]",  # triple primes
    "-": "[\u2010-\u2015\u2212\u2e3a\u2e3b\ufe31\ufe32\ufe58\ufe63]",  # hyphens, dashes, minus
    "...": "\u2026",
    " ": "[\u00a0\u2000-\u200a\u202f\u205f\u3000]",  # no-break, thin and other wide spaces
    "ff": "\ufb00",  # ligatures
    "fi": "\ufb01",
    "fl": "\ufb02",
    "ffi": "\ufb03",
    "ffl": "\ufb04",
    "st": "[\ufb05\ufb06]",
}
"""What `punctuation` makes of typographic characters: ASCII, by a regular expression of them."""

TOKENISED = {
    '"': "``(?: (?=\\S))?|(?: (?<=\\S ))?''(?!\\S)",  # the quotes of the Penn Treebank
    "-": " @-@ ",  # of WikiText, like the next two
    ",": " @,@ ",
    ".": " @\\.@ ",
    "(": "-LRB-(?: (?=\\S))?|\\( (?=\\S)",
    ")": "(?: (?<=\\S ))?-RRB-",
    "": " (?=(?:n't|'(?:s|S|m|M|d|D|re|RE|ve|VE|ll|LL)|[.,;:!?%)\\]]+)(?:[\\s\"]|$))",
}
"""What `detokenize` joins again, by a regular expression: `do n't`, `it 's`, ` ,`, `( `."""


def _replaced(table: Mapping[str, str]) -> normalizers.Normalizer:
    return normalizers.Sequence(
        [normalizers.Replace(Regex(found), made) for made, found in table.items()]
    )


def _without_accents() -> normalizers.Normalizer:
    """Drop every nonspacing mark, as CCNet does; what can be composed again is."""
    return normalizers.Sequence(
        [normalizers.NFD(), normalizers.Replace(Regex(r"\p{Mn}"), ""), normalizers.NFC()]
    )


_STEPS: dict[str, Callable[[], normalizers.Normalizer]] = {
    "punctuation": lambda: _replaced(PUNCTUATION),
    "nfc": normalizers.NFC,
    "nfkc": normalizers.NFKC,
    "detokenize": lambda: _replaced(TOKENISED),
    "accents": _without_accents,
    "digits": lambda: normalizers.Replace(Regex(r"\p{Nd}"), "0"),
    "lowercase": normalizers.Lowercase,
}


def make_normalizer(normalization: str) -> normalizers.Normalizer | None:
    """The normaliser of the steps that an option names, in the order of `NORMALIZATION_STEPS`.

    None for `none`, and for `auto`, which `choose_normalization` decides.
    """
    if normalization in (AUTO, NONE):
        return None
    named = normalization.split("+")
    return normalizers.Sequence([_STEPS[name]() for name in NORMALIZATION_STEPS if name in named])


def choose_normalization(normalization: str, lines: Iterable[str]) -> str:
    """What `auto` stands for: `punctuation` if 90 % of a text's letters are Latin, else `none`.

    Any other value is returned as it is. Every tenth line of the text is looked at.
    """
    if normalization != AUTO:
        return normalization
    letters = latin = 0
    for line in islice(lines, 0, None, _EVERY):
        letters += len(_LETTER.findall(line))
        latin += len(_LATIN_LETTER.findall(line))
    return "punctuation" if letters and latin >= _MOSTLY_LATIN * letters else NONE
