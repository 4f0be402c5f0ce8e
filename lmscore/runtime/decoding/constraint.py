"""What a continuation may consist of: allowed words, or a regular expression over characters.

Either becomes an automaton over the bytes of the text (llguidance), which tells before each token
which tokens keep the text within it. The space between a prompt and its continuation is no matter
of the constraint: it is put in front of what the constraint describes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import Config
from lmscore.errors import OptionError, needs_extra
from lmscore.runtime.decoding.text import Prompt
from lmscore.runtime.text import TextTokenizer

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

_START_FUEL = 10**9  # for llguidance's lexer: a million words; its default is for ten thousand
_STEP_FUEL = 10**7  # some tenths of a second for a token
_NOTHING_MATCHES = "NoExtension"  # how llguidance's complaint begins that no text is left


class _Lead(Enum):
    """What precedes a continuation."""

    NOTHING = auto()  # or white space
    TEXT = auto()
    DROPPED_SPACE = auto()  # nothing that is seen, but tokens bring a space


# Lark's notation; BODY is a word, or the whole pattern.
_OF_WORDS = {
    _Lead.NOTHING: 'BODY (" " BODY)*',
    _Lead.TEXT: '(" " BODY)+',
    _Lead.DROPPED_SPACE: '(" " BODY)+',
}
_OF_PATTERN = {
    _Lead.NOTHING: "BODY",
    _Lead.TEXT: '" "? BODY',
    _Lead.DROPPED_SPACE: '" " BODY | (BODY & "")',
}


@dataclass(frozen=True, eq=False)
class ConstraintState:
    """Where one continuation has got to in its constraint; a value, which nothing changes."""

    _matcher: LLMatcher
    _config: Config
    _option: str

    def allowed(self) -> NDArray[np.bool_]:
        """Which tokens may come next, bool [V], </s> among them where the text may end.

        None at all where the vocabulary cannot spell what would have to come.

        Raises:
            OptionError: the constraint is too complex.
        """
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        allowed = np.unpackbits(bits, bitorder="little")[: self._config.vocab_size].astype(np.bool_)
        failure = self._matcher.get_error()
        if failure and not failure.startswith(_NOTHING_MATCHES):
            raise OptionError(f"{self._option}: {_reason(failure)}")
        # Where nothing can come, llguidance allows </s> nevertheless.
        allowed[self._config.eos_token_id] = self._matcher.is_accepting()
        return allowed

    def advance(self, token: int) -> ConstraintState:
        """The state after an allowed token other than </s>."""
        matcher = self._matcher.deep_copy()
        matcher.consume_token(token)
        return ConstraintState(matcher, self._config, self._option)


class Constraint:
    """A constraint, from which any number of continuations start; `make_constraint` makes it."""

    def __init__(
        self,
        vocabulary: LLTokenizer,
        config: Config,
        *,
        option: str,
        rules: Mapping[_Lead, str],
        body: str,
    ) -> None:
        """Compile the regular expression `body`; `option` is where it comes from, for errors.

        Raises:
            OptionError: it is none.
        """
        self._vocabulary = vocabulary
        self._config = config
        self._option = option
        self._rules = rules
        self._body = body
        self._starts = {_Lead.NOTHING: self._compile(_Lead.NOTHING)}

    def start(self, prompt: Prompt) -> ConstraintState:
        """The state before the first token of a prompt's continuation.

        Raises:
            OptionError: the vocabulary cannot spell any beginning.
        """
        lead = _lead(prompt)
        if lead not in self._starts:
            self._starts[lead] = self._compile(lead)
        start = self._starts[lead]
        if not start.allowed().any():
            raise self.dead_end("")
        return start

    def dead_end(self, text: str) -> OptionError:
        """The error to raise where no token is allowed after a text."""
        where = f"after {text!r}" if text else "at the beginning"
        return OptionError(
            f"{self._option}: the model's vocabulary cannot spell what has to come {where}"
        )

    def _compile(self, lead: _Lead) -> ConstraintState:
        from llguidance import LLMatcher, LLParserLimits

        grammar = f"start: TEXT\nTEXT: {self._rules[lead]}\nBODY: {self._body}"
        matcher = LLMatcher(
            self._vocabulary,
            # Without `no_forcing` only one spelling of what has to come would be allowed.
            LLMatcher.grammar_from_lark('%llguidance {"no_forcing": true}\n' + grammar),
            limits=LLParserLimits(initial_lexer_fuel=_START_FUEL, step_lexer_fuel=_STEP_FUEL),
            log_level=0,
        )
        if matcher.is_error():
            raise OptionError(f"{self._option}: {_reason(matcher.get_error())}")
        return ConstraintState(matcher, self._config, self._option)


def make_constraint(
    tokenizer: TextTokenizer,
    config: Config,
    *,
    allowed_words: Collection[str] | None = None,
    pattern: str | None = None,
) -> Constraint | None:
    """Compile what `LanguageModel.sample` takes; None without either.

    Raises:
        OptionError: both are given, a word is none, no word can be spelt with the vocabulary, or
            the pattern is no regular expression.
        MissingExtraError: llguidance is not installed.
    """
    if allowed_words is None and pattern is None:
        return None
    if allowed_words is not None and pattern is not None:
        raise OptionError("allowed_words and pattern exclude each other")
    vocabulary = _Vocabulary(tokenizer, config)
    if pattern is not None:
        option, rules, body = "pattern", _OF_PATTERN, _terminal(_check_pattern(pattern))
    else:
        words = vocabulary.spellable(_check_words(allowed_words))
        option, rules = "allowed_words", _OF_WORDS
        body = _terminal("|".join(map(re.escape, words)))
    return Constraint(vocabulary.compiled(), config, option=option, rules=rules, body=body)


def check_pattern(pattern: object) -> None:
    """See that a pattern is a regular expression; no model is needed for that.

    Raises:
        OptionError: it is none.
        MissingExtraError: llguidance is not installed.
    """
    body = _terminal(_check_pattern(pattern))
    from llguidance import LLMatcher, LLParserLimits

    grammar = LLMatcher.grammar_from_lark(f"start: BODY\nBODY: {body}")
    limits = LLParserLimits(initial_lexer_fuel=_START_FUEL, step_lexer_fuel=_STEP_FUEL)
    if said := LLMatcher.validate_grammar(grammar, limits=limits):
        raise OptionError(f"pattern: {_reason(said)}")


class _Vocabulary:
    """What llguidance asks of a tokenizer."""

    def __init__(self, tokenizer: TextTokenizer, config: Config) -> None:
        control = {config.bos_token_id, config.eos_token_id, config.unk_token_id}
        self.bos_token_id, self.eos_token_id = config.bos_token_id, config.eos_token_id
        self.special_token_ids = sorted(token for token in control if token is not None)
        self.tokens = [
            b"" if token in control else piece for token, piece in enumerate(tokenizer.pieces)
        ]

    def __call__(self, text: bytes) -> list[int]:  # noqa: ARG002  # nothing is forced
        """The tokens of a text that is forced."""
        return []

    def compiled(self) -> LLTokenizer:
        with needs_extra("constrain"):
            from llguidance import LLTokenizer, TokenizerWrapper
        return LLTokenizer(TokenizerWrapper(self), slices=[])

    def spellable(self, words: Sequence[str]) -> list[str]:
        """The words that tokens can spell.

        Raises:
            OptionError: there is none.
        """
        pieces = set(self.tokens) - {b""}
        found = [word for word in words if _is_spelt(f" {word}".encode(), pieces)]
        if not found:
            raise OptionError(
                f"allowed_words: the model's vocabulary can spell none of the {len(words)}"
            )
        return found


def _lead(prompt: Prompt) -> _Lead:
    if prompt.drops_space:
        return _Lead.DROPPED_SPACE
    return _Lead.TEXT if prompt.text and not prompt.text[-1].isspace() else _Lead.NOTHING


def _is_spelt(text: bytes, pieces: set[bytes]) -> bool:
    reached = {0}
    for end in range(1, len(text) + 1):
        if any(text[start:end] in pieces for start in reached):
            reached.add(end)
    return len(text) in reached


def _check_words(words: object) -> list[str]:
    if isinstance(words, str) or not isinstance(words, Collection):
        raise OptionError(f"allowed_words must be a set or list of words, not {words!r}")
    for word in words:
        if not isinstance(word, str) or word.split() != [word]:
            raise OptionError(f"allowed_words: {word!r} is not a word: text without white space")
        _check_unicode("allowed_words", word)
    return sorted(words)


def _check_pattern(pattern: object) -> str:
    if not isinstance(pattern, str):
        raise OptionError(f"pattern must be a regular expression, not {pattern!r}")
    _check_unicode("pattern", pattern)
    if (len(pattern) - len(pattern.rstrip("\\"))) % 2:
        raise OptionError(f"pattern: a single backslash at the end of {pattern!r}")
    return pattern


def _check_unicode(option: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise OptionError(f"{option}: {text!r} holds half a surrogate pair") from error


def _terminal(regex: str) -> str:
    """A regular expression in Lark's notation."""
    with needs_extra("constrain"):
        from llguidance import regex_to_lark
    return f"/{regex_to_lark(regex, '')}/"


def _reason(said: str) -> str:
    """The one line of llguidance's complaint that tells what is wrong."""
    parsing = re.search(r"^error: (.*)$", said, re.MULTILINE)
    return parsing[1] if parsing else said.splitlines()[0].split("(in regex): ")[-1]
