"""Regular expressions of known tokenizers, by what they do at a place to cut (`cuts.py`)."""

from __future__ import annotations

# Regular expressions with matches of several characters, none of which reaches over a single space
# between a letter and two letters, or depends on what is beyond it.
SPACES = {" {2,}", "  +"}  # of T5 and its like
LOCAL = {
    *SPACES,
    # of `detokenize`
    "``(?: (?=\\S))?|(?: (?<=\\S ))?''(?!\\S)",
    " @-@ ",
    " @,@ ",
    " @\\.@ ",
    "-LRB-(?: (?=\\S))?|\\( (?=\\S)",
    "(?: (?<=\\S ))?-RRB-",
    " (?=(?:n't|'(?:s|S|m|M|d|D|re|RE|ve|VE|ll|LL)|[.,;:!?%)\\]]+)(?:[\\s\"]|$))",
}
# Expressions whose matches hold no space, and depend on nothing beyond one.
RUNS = {"[0-9][0-9][0-9]", r"\p{N}{1,3}", r"\p{N}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"}
STRIPS = {"\\A +|[ \u2581]+\\z"}  # of SentencePiece models

# Expressions that match every text from its beginning to its end, piece by piece, and no letter
# together with a space behind it.
_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_PUNCTUATION = r" ?[^\s\p{L}\p{N}]+"
_BLANKS = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
WORDS = {
    rf"'s|'t|'re|'ve|'m|'ll|'d| ?\p{{L}}+| ?\p{{N}}+|{_PUNCTUATION}|\s+(?!\S)|\s+",  # GPT-2
    *(  # Llama 3, Qwen and others
        rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}|{_PUNCTUATION}[\r\n]*|{_BLANKS}"
        for digits in (r"\p{N}{1,3}", r"\p{N}")
    ),
    "|".join(  # GPT-4o and others
        (
            rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CONTRACTIONS}?",
            rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CONTRACTIONS}?",
            r"\p{N}{1,3}",
            rf"{_PUNCTUATION}[\r\n/]*",
            _BLANKS,
        )
    ),
    "|".join(  # DeepSeek
        (
            r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+",
            r"[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+",
            r" ?[\p{P}\p{S}]+[\r\n]*",
            _BLANKS,
        )
    ),
}
CHARACTERS = {r"[\s\S]"}
