"""Reports in the layout of KenLM's `query` and SRILM's `ngram -ppl`: words, logarithms base 10.

Layouts and formulas after KenLM's lm/ngram_query.hh and SRILM's TextStats.cc and LM.cc. Where they
print the length of an n-gram, the report has the number of words read, <s> included, plus 1. A
word's id is the id of its first token, and 0 if the word is an OOV.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import astuple, dataclass, field
from typing import TypeVar

import numpy as np

from lmscore.bundle import Config
from lmscore.errors import OptionError
from lmscore.names import Tool
from lmscore.runtime.scoring.score import LN10, Score, perplexity_of

_Number = TypeVar("_Number", float, np.float32)


@dataclass(frozen=True, slots=True)
class WordCounts:
    """Words of one or many sentences, and their log-probabilities in nats."""

    sentences: int = 0  # scored ends of sentences
    words: int = 0  # without </s>
    oovs: int = 0  # words with a token that is <unk>
    zeroprobs: int = 0  # other words, or </s>, of probability 0
    log_prob: float = 0.0  # of the rest
    oov_log_prob: float = 0.0

    def __add__(self, other: WordCounts) -> WordCounts:
        """The counts of both."""
        return WordCounts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def total_log_prob(self) -> float:
        """The log-probability with OOVs; -inf if any word or </s> has probability 0."""
        return self.log_prob + self.oov_log_prob if not self.zeroprobs else -math.inf


def needs_words(config: Config) -> bool:
    """Return whether OOVs are pieces of words: `word_counts` then needs scores with words=True."""
    return config.unk_token_id is not None and config.tokenizer != "word"


def word_counts(score: Score, *, eos: bool = True) -> WordCounts:
    """Count one sentence from `Score.words`, else from its totals, with each OOV token as a word.

    Args:
        score: of a text that was scored from <s> or a context on.
        eos: whether its </s> was scored.
    """
    if not score.words:
        known, oov = score.log_prob - score.oov_log_prob, score.oov_log_prob
        return WordCounts(int(eos), score.num_words, score.num_oov, 0, known, oov)
    oovs = [word.log_prob for word in score.words if word.is_oov]
    known_words = [word.log_prob for word in score.words if not word.is_oov]
    possible = [log_prob for log_prob in known_words if log_prob > -math.inf]
    return WordCounts(
        int(eos),
        score.num_words,
        len(oovs),
        len(known_words) - len(possible),
        math.fsum(possible),
        math.fsum(oovs),
    )


@dataclass(slots=True)
class CompatReport:
    """The report of a tool on a text: a block for each sentence, if asked, and one at the end.

    Attributes:
        tool: the tool whose layout and accounting are used.
        eos: whether the scores include </s>.
        source: the name of the text, which SRILM shows; "-" for standard input.
        counts: of the sentences added so far.
    """

    tool: Tool
    eos: bool = True
    source: str = "-"
    counts: WordCounts = field(default_factory=WordCounts)

    def add(self, score: Score) -> None:
        """Count one more sentence."""
        if not self._skips(score):
            self.counts += word_counts(score, eos=self.eos)

    def sentence(self, score: Score, *, words: bool = False) -> str:
        """The block of one sentence, which is not counted: `query -v 1`, `ngram -debug 1`.

        `words` adds a line, in KenLM's layout a column, for every word (`-v 2`, `-debug 2`); it
        needs a score made with words=True and tokens=True.

        Raises:
            OptionError: `words` is set, and the score does not have them.
        """
        if words and score.num_tokens and not (score.words and score.tokens):
            raise OptionError("a report of words needs scores with words=True and tokens=True")
        if self._skips(score):
            return ""
        counts = word_counts(score, eos=self.eos)
        if self.tool == "kenlm":
            total = f"Total: {_single(counts.total_log_prob / LN10)} OOV: {counts.oovs}\n"
            return "".join(_kenlm_words(score) if words else ()) + total
        lines = "".join(_srilm_words(score) if words else ())
        return f"{' '.join(score.text.split())}\n{lines}{_srilm_counts(counts)}\n"

    def summary(self) -> str:
        """The block of all sentences added."""
        if self.tool == "kenlm":
            return _kenlm_summary(self.counts)
        return f"file {self.source}: {_srilm_counts(self.counts)}"

    def _skips(self, score: Score) -> bool:
        # SRILM reads on at a blank line; for KenLM it is a sentence like any other.
        return self.tool == "srilm" and not score.text.split()


def _kenlm_words(score: Score) -> Iterator[str]:
    first = 0
    for length, word in enumerate(score.words, 2):
        token_id = score.tokens[first].id if word.num_tokens and not word.is_oov else 0
        yield f"{word.text}={token_id} {length} {_single(word.log_prob / LN10)}\t"
        first += word.num_tokens


def _kenlm_summary(counts: WordCounts) -> str:
    tokens = counts.words + counts.sentences
    total = counts.total_log_prob
    including = perplexity_of(total, tokens)
    # KenLM subtracts the OOVs from the sum.
    excluding = perplexity_of(total - counts.oov_log_prob, tokens - counts.oovs)
    return (
        f"Perplexity including OOVs:\t{_shortest(including)}\n"
        f"Perplexity excluding OOVs:\t{_shortest(excluding)}\n"
        f"OOVs:\t{counts.oovs}\n"
        f"Tokens:\t{tokens}\n"
    )


def _srilm_words(score: Score) -> Iterator[str]:
    context = "<s> "
    for length, word in enumerate(score.words, 2):
        text = "<unk>" if word.is_oov else word.text
        found = "[OOV]" if word.is_oov else f"[{length}gram]"
        log_prob = -math.inf if word.is_oov else word.log_prob
        shown = f"{math.exp(log_prob):.7g} [ {log_prob / LN10:.7g} ]"
        yield f"\tp( {text} | {context}) \t= {found} {shown}\n"
        context = f"{text} ..."


def _srilm_counts(counts: WordCounts) -> str:
    lines = f"{counts.sentences} sentences, {counts.words} words, {counts.oovs} OOVs\n"
    if not counts.words + counts.sentences:
        return lines
    words = counts.words - counts.oovs - counts.zeroprobs
    return (
        f"{lines}{counts.zeroprobs} zeroprobs, logprob= {counts.log_prob / LN10:.7g}"
        f" ppl= {_defined(perplexity_of(counts.log_prob, words + counts.sentences))}"
        f" ppl1= {_defined(perplexity_of(counts.log_prob, words))}\n"
    )


def _defined(perplexity: float) -> str:
    return "undefined" if math.isnan(perplexity) else f"{perplexity:.7g}"


def _single(value: float) -> str:
    """Print a log-probability as KenLM does, which keeps them in single precision."""
    return _shortest(np.float32(value))


def _shortest(value: _Number) -> str:
    """The fewest digits that tell this number from all others."""
    return "NaN" if np.isnan(value) else str(value).removesuffix(".0")
