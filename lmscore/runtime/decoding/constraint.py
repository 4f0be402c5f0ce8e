"""Constraints on a continuation: allowed words, or a regular expression over characters.

Either becomes an automaton over the bytes of the text (llguidance), which tells before each token
which tokens keep the text within it. The constraint does not describe the space between a prompt
and its continuation: the grammar puts it in front.
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
_NOTHING_MATCHES = "NoExtension"  # llguidance's error begins so if no text can follow


class _Lead(Enum):
    """The text in front of a continuation."""

    NOTHING = auto()  # or white space
    TEXT = auto()
    DROPPED_SPACE = auto()  # no text, but the first token brings a space


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
    """The state of a constraint after some tokens of a continuation; nothing changes it."""

    _matcher: LLMatcher
    _config: Config
    _option: str

    def allowed(self) -> NDArray[np.bool_]:
        """Which tokens may come next, bool [V], with </s> if the text may end.

        No token is allowed where the vocabulary cannot spell the text that would have to come.

        Raises:
            OptionError: the constraint is too complex.
        """
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        allowed = np.unpackbits(bits, bitorder="little")[: self._config.vocab_size].astype(np.bool_)
        failure = self._matcher.get_error()
        if failure and not failure.startswith(_NOTHING_MATCHES):
            raise OptionError(f"{self._option}: {_reason(failure)}")
        # llguidance allows </s> even if nothing can follow.
        allowed[self._config.eos_token_id] = self._matcher.is_accepting()
        return allowed

    def advance(self, token: int) -> ConstraintState:
        """The state after an allowed token other than </s>."""
        matcher = self._matcher.deep_copy()
        matcher.consume_token(token)
        return ConstraintState(matcher, self._config, self._option)


@dataclass(eq=False)
class Constraint:
    """A constraint on any number of continuations; `make_constraint` makes it.

    Raises:
        OptionError: the body is not a regular expression.
    """

    _vocabulary: LLTokenizer
    _config: Config
    _option: str  # that the body comes from
    _rules: Mapping[_Lead, str]
    _body: str  # a regular expression in Lark's notation

    def __post_init__(self) -> None:
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
        """The error to raise if no token is allowed after a text."""
        where = f"after {text!r}" if text else "at the beginning"
        return OptionError(
            f"{self._option}: the model's vocabulary cannot spell what has to come {where}"
        )

    def _compile(self, lead: _Lead) -> ConstraintState:
        from llguidance import LLMatcher, LLParserLimits

        grammar = f"start: TEXT\nTEXT: {self._rules[lead]}\nBODY: {self._body}"
        matcher = LLMatcher(
            self._vocabulary,
            # Without `no_forcing` only one tokenization of a forced text would be allowed.
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
    """Compile the constraint that `LanguageModel.sample` takes; None without either.

    Raises:
        OptionError: both are given, a word is not a word, no word can be spelt with the vocabulary,
            or the pattern is not a regular expression.
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
    return Constraint(vocabulary.compiled(), config, option, rules, body)


def check_pattern(pattern: object) -> None:
    """Check, without a model, that a pattern is a regular expression.

    Raises:
        OptionError: it is not.
        MissingExtraError: llguidance is not installed.
    """
    body = _terminal(_check_pattern(pattern))
    from llguidance import LLMatcher, LLParserLimits

    grammar = LLMatcher.grammar_from_lark(f"start: BODY\nBODY: {body}")
    limits = LLParserLimits(initial_lexer_fuel=_START_FUEL, step_lexer_fuel=_STEP_FUEL)
    if said := LLMatcher.validate_grammar(grammar, limits=limits):
        raise OptionError(f"pattern: {_reason(said)}")


class _Vocabulary:
    """The interface of a tokenizer that llguidance asks for."""

    def __init__(self, tokenizer: TextTokenizer, config: Config) -> None:
        control = {config.bos_token_id, config.eos_token_id, config.unk_token_id}
        self.bos_token_id, self.eos_token_id = config.bos_token_id, config.eos_token_id
        self.special_token_ids = sorted(token for token in control if token is not None)
        self.tokens = [
            b"" if token in control else piece for token, piece in enumerate(tokenizer.pieces)
        ]

    def __call__(self, text: bytes) -> list[int]:  # noqa: ARG002
        return []  # the tokens of a forced text: no text is forced

    def compiled(self) -> LLTokenizer:
        with needs_extra("constrain"):
            from llguidance import LLTokenizer, TokenizerWrapper
        return LLTokenizer(TokenizerWrapper(self), slices=[])

    def spellable(self, words: Sequence[str]) -> list[str]:
        """The words that tokens can spell.

        Raises:
            OptionError: no word can be spelt.
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
    """Write a regular expression in Lark's notation."""
    with needs_extra("constrain"):
        from llguidance import regex_to_lark
    return f"/{regex_to_lark(regex, '')}/"


def _reason(said: str) -> str:
    """The line of llguidance's message that says what is wrong."""
    parsing = re.search(r"^error: (.*)$", said, re.MULTILINE)
    return parsing[1] if parsing else said.splitlines()[0].split("(in regex): ")[-1]
