"""Reports in the layout of KenLM's `query` and SRILM's `ngram -ppl`: words, logarithms base 10.

Layouts and formulas after KenLM's lm/ngram_query.hh and SRILM's TextStats.cc and LM.cc. Where they
print the length of an n-gram, the report has the number of words read, <s> included, plus 1. A
word's id is the id of its first token, and 0 if the word is an OOV.

Both tools read bytes, and end a word at ASCII white space alone: a no-break space is a character
of a word like any other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, field
from typing import TypeVar

import numpy as np

from lmscore.bundle import Config
from lmscore.errors import OptionError
from lmscore.names import Tool
from lmscore.runtime.scoring.score import LN10, Score, WordScore, perplexity_of
from lmscore.runtime.scoring.words import END

# Words as KenLM's util/file_piece.cc and SRILM's Vocab.cc have them.
_WORDS: dict[Tool, re.Pattern[str]] = {
    "kenlm": re.compile(r"[^ \t\n\v\f\r]+"),
    "srilm": re.compile(r"[^ \t\n\r]+"),
}
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
    return config.unk_token_id is not None


def tool_words(text: str, tool: Tool) -> list[str]:
    """The words of a text, as a tool divides it."""
    return _WORDS[tool].findall(text)


def tool_word_scores(score: Score, tool: Tool) -> Sequence[WordScore]:
    """The words of a score made with words=True, and </s> if it was scored, as a tool has them.

    A word that is white space for Unicode alone has no token where the tokenizer drops it.
    """
    if _divides_alike(score, tool):
        return score.words
    spans = [match.span() for match in _WORDS[tool].finditer(score.text)]
    words = [
        WordScore(one.text, one.log_prob, one.num_oov > 0, one.start, one.end, one.num_tokens)
        for one in score.regions(spans)
    ]
    if score.num_ends:
        words.append(_end(score, words))
    return words


def _divides_alike(score: Score, tool: Tool) -> bool:
    """Whether a tool's words are those of the score; words that are characters stay so."""
    pieces = score.text.split()
    return score.num_words != len(pieces) or tool_words(score.text, tool) == pieces


def _end(score: Score, words: Sequence[WordScore]) -> WordScore:
    """The end of a sentence, which has what its words have not."""
    log_prob = score.log_prob - math.fsum(word.log_prob for word in words)
    num_tokens = score.num_tokens - sum(word.num_tokens for word in words)
    is_oov = score.num_oov > 0 and score.words[-1].is_oov
    return WordScore(END, log_prob, is_oov, len(score.text), len(score.text), num_tokens)


def word_counts(score: Score, tool: Tool = "kenlm", *, eos: bool = True) -> WordCounts:
    """Count one sentence from its words, else from its totals, with each OOV token as a word.

    Args:
        score: of a text that was scored from <s> or a context on.
        tool: whose words are counted.
        eos: whether its </s> was scored.
    """
    is_alike = _divides_alike(score, tool)
    num_words = score.num_words if is_alike else len(tool_words(score.text, tool))
    all_known = score.num_oov == 0 and math.isfinite(score.log_prob)
    if all_known or not score.words:
        known, oov = score.log_prob - score.oov_log_prob, score.oov_log_prob
        return WordCounts(int(eos), num_words, score.num_oov, 0, known, oov)
    words = tool_word_scores(score, tool)
    oovs = [word.log_prob for word in words if word.is_oov]
    known_words = [word.log_prob for word in words if not word.is_oov]
    possible = [log_prob for log_prob in known_words if log_prob > -math.inf]
    return WordCounts(
        int(eos),
        num_words,
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
            self.counts += word_counts(score, self.tool, eos=self.eos)

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
        counts = word_counts(score, self.tool, eos=self.eos)
        if self.tool == "kenlm":
            total = f"Total: {_single(counts.total_log_prob / LN10)} OOV: {counts.oovs}\n"
            return "".join(_kenlm_words(score) if words else ()) + total
        lines = "".join(_srilm_words(score) if words else ())
        return f"{' '.join(tool_words(score.text, 'srilm'))}\n{lines}{_srilm_counts(counts)}\n"

    def summary(self) -> str:
        """The block of all sentences added."""
        if self.tool == "kenlm":
            return _kenlm_summary(self.counts)
        return f"file {self.source}: {_srilm_counts(self.counts)}"

    def _skips(self, score: Score) -> bool:
        # SRILM reads on at a blank line; for KenLM it is a sentence like any other.
        return self.tool == "srilm" and not tool_words(score.text, "srilm")


def _kenlm_words(score: Score) -> Iterator[str]:
    first = 0
    for length, word in enumerate(tool_word_scores(score, "kenlm"), 2):
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
    for length, word in enumerate(tool_word_scores(score, "srilm"), 2):
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
