"""Regular expressions of tokenizers: the ways to match are counted, and what is counted is slow."""

from __future__ import annotations

import time

import pytest
from tokenizers import Regex, pre_tokenizers

from lmscore.runtime.text.patterns import PatternError, read_pattern
from lmscore.train.normalization import PUNCTUATION, TOKENISED

# The words of byte-level tokenizers, in the styles of GPT-2, GPT-4, GPT-4o and DeepSeek.
GPT_2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
GPT_4 = (
    r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
POSSESSIVE = (
    r"'(?i:[sdmt]|ll)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$"
    r"|\s*[\r\n]|\s+(?!\S)|\s"
)
CASED = r"[^\r\n\p{L}]?[\p{Lu}\p{Lo}\p{M}]*[\p{Ll}\p{Lo}\p{M}]+(?i:'s|'t)?"
DIGITS = r"\p{N}{1,3}(?=(?:\p{N}{3})*(?:\P{N}|$))"
NESTED_CLASS = " ?[^(\\s|[.,!?\u2026])]+"


@pytest.mark.parametrize(
    "pattern",
    [
        *(GPT_2, GPT_4, POSSESSIVE, CASED, DIGITS, NESTED_CLASS),
        *PUNCTUATION.values(),
        *TOKENISED.values(),
        *("", "a|", r"\s+$", r"[\s\S]", " {2,}", "a{,3}", "a{", "{}", "x{2}{", "(?>a*)b", "[]a]"),
        *("[一-龥]+", r"[0-9][0-9][0-9]", r"(?<=\S )''", "(?:abc){3,}", "(?:a|b)?c", "(?!)"),
    ],
)
def test_what_tokenizers_are_made_with(pattern: str) -> None:
    read_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(a+)+$", "repeats a part that itself can match in several ways"),
        ("(a|a)*b", "repeats a part that itself can match in several ways"),
        ("(?:a{1,3})*b", "repeats a part that itself can match in several ways"),
        ("(?:ab?){70}c", "repeats a part that itself can match in several ways"),
        ("(?:a?)*", "repeats a part that itself can match in several ways"),
        ("()*", "repeats a part that itself can match in several ways"),
        ("a*a*b", "share characters in too many ways"),
        (r"\s*\s*$", "share characters in too many ways"),
        ("(.*)(.*)x", "share characters in too many ways"),
        ("x*(?=y*z)", "share characters in too many ways"),
        ("(?:a?){30}a{30}", "share characters in too many ways"),
        ("a?" * 30 + "a" * 30, "share characters in too many ways"),
        ("(?:a|b){0,60}c", "share characters in too many ways"),
        ("a**", r"'\*' repeats nothing, or a repetition"),
        ("a{1,3}+", r"'\+' repeats nothing, or a repetition"),
        ("+a", r"'\+' repeats nothing, or a repetition"),
        ("(?:a{1000}){1000}", "spells out more than 10,000 characters"),
        ("(" * 40 + ")" * 40, "groups lie in more than 32 others"),
        ("a{5,3}", "has no order"),
        (r"(a)\1", r"'\\1' is not known"),
        (r"\R", r"'\\R' is not known"),
        (r"(?<n>a)\g<n>", r"'\(\?<n' is not known"),
        ("(?(1)a)", r"'\(\?\(1' is not known"),
        ("(?x: a)", r"'\(\?x:' is not known"),
        ("(?#b)", r"'\(\?#b' is not known"),
        ("[a", "a class is not closed"),
        ("[[a]", "a class is not closed"),
        ("(a", "a bracket is not closed"),
        ("a)", "the bracket at character 2 is not expected"),
        ("a\\", "ends in a backslash"),
    ],
)
def test_what_may_take_too_long_or_is_not_followed(pattern: str, message: str) -> None:
    with pytest.raises(PatternError, match=message):
        read_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "shortest"),
    [
        *(("abc", 3), ("a|bc", 1), ("é", 2), ("\u2026", 3), ("[“-‟″]", 3), ("[éa]", 1)),
        *(("[^é]", 1), (" {2,}", 2), ("a*", 0), ("(?:ab){3}", 6), ("a??b", 1), ("(?i:É)", 1)),
        *((r"\p{L}\s", 2), ("^$", 0), ("(?=abc)", 0), (".", 1), (r"\x{2026}", 1)),
        *(("[é-ü-]", 1), ("a{2}?", 0)),
    ],
)
def test_the_bytes_that_a_pattern_matches_at_least(pattern: str, shortest: int) -> None:
    assert read_pattern(pattern).shortest == shortest


@pytest.mark.parametrize("pattern", [GPT_2, GPT_4, POSSESSIVE, CASED, DIGITS])
@pytest.mark.parametrize("text", ["a", "A", "1", " ", "!", "\n", "é"])
def test_a_pattern_that_passes_is_fast(pattern: str, text: str) -> None:
    split = pre_tokenizers.Split(Regex(pattern), "isolated")
    began = time.perf_counter()
    split.pre_tokenize_str(text * 2_000 + "$")
    assert time.perf_counter() - began < 1
