"""Score, the result of one text, and Summary, the sum of many. Log-probabilities are in nats."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from lmscore.errors import OptionError
from lmscore.finite import finite
from lmscore.names import Unit
from lmscore.runtime.scoring.columns import made_of_columns

if TYPE_CHECKING:
    from lmscore.runtime.scoring.regions import RegionScore, Span

LN10 = math.log(10)
"""Nats per unit of a base-10 logarithm, as KenLM and SRILM use them."""

_NATS_PER_BIT = math.log(2)
_MANY = 1e9


class Surprising:
    """A result with a log-probability."""

    __slots__ = ()
    log_prob: float  # nats

    @property
    def surprisal(self) -> float:
        """In bits: -log2 of its probability."""
        return (0.0 - self.log_prob) / _NATS_PER_BIT  # rather than -x: there are no -0 bits


@dataclass(frozen=True, slots=True)
class TokenScore(Surprising):
    """One scored token."""

    id: int
    text: str  # as the vocabulary spells it: "Ġthe", "</s>", "<unk>"
    log_prob: float  # nats
    is_oov: bool
    start: int  # offsets into the scored text, in characters; </s>: its length, twice
    end: int


@dataclass(frozen=True, slots=True)
class WordScore(Surprising):
    """One word of a text, or its end; `words.py` says which tokens belong to it."""

    text: str  # as in the text; "</s>" for the end
    log_prob: float  # nats
    is_oov: bool  # whether one of its tokens is <unk>
    start: int  # offsets into the scored text, in characters; </s>: its length, twice
    end: int
    num_tokens: int  # scored tokens; 0 if the word was only read


@dataclass(frozen=True, slots=True)
class PartScore(Surprising):
    """One part of a text that was split: a line, or a sentence, and its end."""

    text: str  # as it was scored; a line break inside of a sentence is a space
    log_prob: float  # nats
    start: int  # offsets into the whole text, in characters
    end: int
    num_tokens: int
    num_words: int
    num_oov: int


class Parts(Protocol):
    """Something that computes the tokens and words of a scored text."""

    def tokens(self, text: str) -> tuple[TokenScore, ...]:
        """The scored tokens of the text."""
        ...

    def words(self, text: str) -> tuple[WordScore, ...]:
        """The words of the text."""
        ...

    def regions(self, text: str, spans: Sequence[Span]) -> tuple[RegionScore, ...]:
        """The scores of regions of the text, none of which overlap, in the order of `spans`."""
        ...


class _Unread(Surprising):
    """A value some of whose fields are computed when they are read for the first time."""

    __slots__ = ("_parts",)
    _parts: Parts


@dataclass(frozen=True, slots=True)
class Score(_Unread):
    """The log-probability of one text, and the counts of its tokens and words.

    Tokens and words are computed when they are read; threads may read them at the same time.
    """

    text: str
    log_prob: float  # nats, over all scored tokens
    num_tokens: int  # scored tokens, with </s> where it was asked for
    num_words: int  # pieces of the text between white space, or characters; see `segmentation`
    num_oov: int  # scored tokens that are <unk>
    oov_log_prob: float  # their part of log_prob
    # Empty when scored with tokens=False, and words unless scored with words=True.
    tokens: tuple[TokenScore, ...] = field(default=(), repr=False)
    words: tuple[WordScore, ...] = field(default=(), repr=False)
    parts: tuple[PartScore, ...] = field(default=(), repr=False)  # of a text that was split
    num_ends: int = field(default=1, repr=False)  # </s> among the scored tokens

    @property
    def num_sentences(self) -> int:
        """The sentences that were scored: the parts of a text that was split, else one."""
        return len(self.parts) or 1

    def count(self, unit: Unit) -> int:
        """The words, tokens, characters or bytes of UTF-8; each scored </s> is one more."""
        if unit == "token":
            return self.num_tokens
        if unit == "word":
            return self.num_words + self.num_ends
        texts = [part.text for part in self.parts] or [self.text]
        sizes = (len(text.encode() if unit == "byte" else text) for text in texts)
        return sum(sizes) + self.num_ends

    def perplexity_per(self, unit: Unit) -> float:
        """Per word, token, character or byte of UTF-8, OOVs included; nan if there is none."""
        return perplexity_of(self.log_prob, self.count(unit))

    def regions(self, spans: Sequence[Span]) -> tuple[RegionScore, ...]:
        """The scores of stretches of characters of the text; it was scored with words=True.

        A region has the tokens whose first character lies in it, the white space before them left
        out of account, and like a word the probability that it is over.

        Args:
            spans: (start, end) of each region, end excluded, in any order; none may overlap.

        Raises:
            InputError: a span is not in the text, or overlaps with another.
            OptionError: the score has no words, or was pickled.
        """
        from lmscore.runtime.scoring.regions import check_spans

        check_spans(spans, self.text)
        if not _is_set(self, "_parts") or (self.num_tokens and not self.words):
            raise OptionError("regions need a score that was made here with words=True")
        return self._parts.regions(self.text, spans)

    @property
    def oov_rate(self) -> float:
        """The share of <unk> among the tokens that are no sentence end; nan without any."""
        count = self.num_tokens - self.num_ends
        return self.num_oov / count if count > 0 else math.nan

    @property
    def perplexity_per_token(self) -> float:
        """Per token, OOVs included; nan without one. Not comparable across vocabularies."""
        return self.perplexity_per("token")

    @property
    def perplexity_per_word(self) -> float:
        """Per word, each scored </s> counted as one; nan where there is nothing to divide by."""
        return self.perplexity_per("word")

    @property
    def perplexity(self) -> float:
        """Per token; `perplexity_per_token` is the name from now on."""
        return self.perplexity_per_token

    def _repr_html_(self) -> str:
        """The words, or else the tokens, by their surprisal, for a notebook."""
        from lmscore.runtime.scoring.shown import notebook_html

        return notebook_html(self)

    if not TYPE_CHECKING:  # for a type checker, the fields are just there

        def __getattr__(self, name: str) -> Any:
            """Compute a field whose slot is still empty; Python asks here for no other."""
            if name == "num_words":
                value = len(self.text.split())
            elif name in ("tokens", "words"):
                value = getattr(self._parts, name)(self.text)
            else:
                raise AttributeError(f"'Score' object has no attribute {name!r}")
            object.__setattr__(self, name, value)
            return value


def _is_set(score: Score, name: str) -> bool:
    try:
        object.__getattribute__(score, name)
    except AttributeError:
        return False
    return True


def unread_scores(
    texts: Sequence[str],
    log_probs: Sequence[float],
    num_tokens: Sequence[int],
    num_oov: Sequence[int],
    oov_log_probs: Sequence[float],
    parts: Sequence[Parts] = (),
    *,
    tokens: bool = False,
    words: bool = False,
    of_parts: Sequence[tuple[PartScore, ...]] = (),
    num_ends: Sequence[int] | None = None,
    num_words: Sequence[int] | None = None,
) -> list[Score]:
    """The scores of R texts, from a column for each field.

    `num_ends`: the scored </s> of each text, by default 1.
    `num_words`: the words of each text; by default they are counted when they are read.
    `tokens` and `words`: compute them from `parts` when they are read, else they are empty.
    `of_parts`: the scores of the parts of each text, if the texts were split.
    """
    nothing = [()] * len(texts)
    columns = {
        "text": texts,
        "log_prob": log_probs,
        "num_tokens": num_tokens,
        "num_oov": num_oov,
        "oov_log_prob": oov_log_probs,
        "parts": of_parts or nothing,
        "num_ends": [1] * len(texts) if num_ends is None else num_ends,
    }
    if num_words is not None:
        columns["num_words"] = num_words
    if parts:
        columns["_parts"] = parts
    if not tokens:
        columns["tokens"] = nothing
    if not words:
        columns["words"] = nothing
    return made_of_columns(Score, len(texts), **columns)


@dataclass(slots=True)
class Summary:
    """Totals over many scores, and the perplexities that follow from them.

    An undefined figure (nothing to divide by) is nan; one too large for a float is inf.
    """

    eos: bool = True  # whether the scores include the end of every sentence
    oovs_spelt: bool = False  # whether they include what unknown words cost to spell
    sentences: int = 0
    words: int = 0
    tokens: int = 0
    oovs: int = 0
    characters: int = 0  # a newline for each scored </s> included
    bytes: int = 0  # of UTF-8, likewise
    log_prob: float = 0.0  # nats
    oov_log_prob: float = 0.0  # nats
    ends: int = 0  # scored </s>: sentences, but those without a token where <s> is not read

    def add(self, score: Score) -> None:
        """Count one more sentence, or those of a text that was split."""
        texts = [part.text for part in score.parts] or [score.text]
        ends = self.eos * score.num_ends
        self.sentences += len(texts)
        self.ends += ends
        self.words += score.num_words
        self.tokens += score.num_tokens
        self.oovs += score.num_oov
        self.characters += sum(map(len, texts)) + ends
        self.bytes += sum(len(text.encode()) for text in texts) + ends
        self.log_prob += score.log_prob
        self.oov_log_prob += score.oov_log_prob

    def perplexity_per(self, unit: Unit) -> float:
        """Per word, token, character or byte of UTF-8, OOVs included; </s> counts as one."""
        units = {
            "word": self.words + self.ends,
            "token": self.tokens,
            "character": self.characters,
            "byte": self.bytes,
        }
        return perplexity_of(self.log_prob, units[unit])

    @property
    def perplexity_per_token(self) -> float:
        """Per token, OOVs included; not comparable across vocabularies."""
        return self.perplexity_per("token")

    @property
    def perplexity_per_word(self) -> float:
        """Per word, each sentence end counted as a word: the same as `ppl`."""
        return self.perplexity_per("word")

    @property
    def oov_rate(self) -> float:
        """The share of <unk> among the tokens that are no sentence end; nan without any."""
        count = self.tokens - self.ends
        return self.oovs / count if count > 0 else math.nan

    def extend(self, scores: Iterable[Score]) -> None:
        """Count several sentences."""
        for score in scores:
            self.add(score)

    @property
    def perplexity(self) -> float:
        """Per token, OOVs included; `perplexity_per_token` is the name from now on."""
        return self.perplexity_per_token

    @property
    def perplexity_excluding_oovs(self) -> float:
        """Per token, over the tokens that are not <unk>."""
        return perplexity_of(self.log_prob - self.oov_log_prob, self.tokens - self.oovs)

    @property
    def ppl(self) -> float:
        """Per word, each sentence end counted as a word (SRILM's ppl)."""
        return self.perplexity_per_word

    @property
    def ppl1(self) -> float:
        """Per word, sentence ends not counted (SRILM's ppl1)."""
        return perplexity_of(self.log_prob, self.words)

    @property
    def bits_per_character(self) -> float:
        """Bits per Unicode code point; each </s> is a newline."""
        return _bits(self.log_prob, self.characters)

    @property
    def bits_per_byte(self) -> float:
        """Bits per byte of UTF-8; each </s> is a newline."""
        return _bits(self.log_prob, self.bytes)

    def as_dict(self) -> dict[str, float | None]:
        """Every figure by name, ready for JSON: nan and inf become None."""
        return {name: finite(getattr(self, name)) for name in _FIGURES}

    def __str__(self) -> str:
        """A block of lines for people: one figure each, with its unit."""
        void = "" if self.oovs_spelt else _void(self.oovs)
        lines = {
            "sentences": f"{self.sentences}",
            "words": f"{self.words}",
            "tokens": f"{self.tokens} ({self.oovs} OOV)",
            "log-probability": f"{self.log_prob:.4f} nats ({self.oov_log_prob:.4f} from OOVs)",
            "perplexity per token": (
                f"{rounded(self.perplexity, 4)} "
                f"(without OOVs {rounded(self.perplexity_excluding_oovs, 4)})"
            ),
            "perplexity per word": (
                f"{rounded(self.ppl, 4)} with </s> (ppl), {rounded(self.ppl1, 4)} without (ppl1)"
                if self.eos
                else f"{rounded(self.ppl, 4)} (</s> was not scored)"
            ),
            "OOV rate": f"{100 * self.oov_rate:.2f} % of the tokens without </s>",
            "bits per character": f"{self.bits_per_character:.4f}{void}",
            "bits per byte": f"{self.bits_per_byte:.4f}{void}",
        }
        width = max(map(len, lines))
        return "\n".join(f"{label:<{width}}  {text}" for label, text in lines.items())


_FIGURES = """
    sentences words tokens oovs characters bytes log_prob oov_log_prob perplexity
    perplexity_per_token perplexity_per_word oov_rate perplexity_excluding_oovs ppl ppl1
    bits_per_character bits_per_byte
""".split()


def _void(oovs: int) -> str:
    """A warning beside a figure that unknown words make too low."""
    return " (too low: OOVs are not spelt; not comparable across vocabularies)" if oovs else ""


def rounded(perplexity: float, digits: int) -> str:
    """Format a perplexity; where a word is a whole line, as in Chinese, it has 70 digits."""
    return f"{perplexity:.{digits}{'f' if perplexity < _MANY else 'e'}}"


def perplexity_of(log_prob: float, count: int) -> float:
    """The perplexity of `count` predictions (log_prob in nats): nan for none, inf past a float."""
    if count <= 0:
        return math.nan
    try:
        return math.exp(-log_prob / count)
    except OverflowError:
        return math.inf


def _bits(log_prob: float, count: int) -> float:
    return (0.0 - log_prob) / count / _NATS_PER_BIT if count > 0 else math.nan
