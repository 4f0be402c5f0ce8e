"""The text that tokens add to a prompt: whole characters, up to a stop string.

Pieces of tokens are bytes, and a token may hold a part of a character. Invalid UTF-8 becomes
U+FFFD; a character that is unfinished at the end is left out.
"""

from __future__ import annotations

import codecs
import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lmscore.bundle import Config
from lmscore.runtime.decoding.result import FinishReason, Sample
from lmscore.runtime.engine import Engine, Step
from lmscore.runtime.scoring import TokenScore
from lmscore.runtime.text import Ids, TextTokenizer, check_text

_SPACE = b" "
_LINE_END = re.compile(r"\r\n|\n|\r")
_LAST = 4  # tokens that hold a last character for certain: it has at most 4 bytes


def lines_of(text: str, config: Config) -> list[str]:
    """The sentences of a prompt: the lines that a model of documents reads, or the whole text."""
    return _LINE_END.split(text) if config.context == "document" else [text]


@dataclass(frozen=True, eq=False)
class Prompt:
    """A text to continue, and its tokens; of a document, the last line and what is read before."""

    text: str
    ids: Ids  # int64 [n]
    drops_space: bool  # whether to drop a space at the start of the continuation
    lead: Ids = field(default_factory=lambda: np.empty(0, np.int64))  # read before <s> and the ids

    @classmethod
    def read(cls, tokenizer: TextTokenizer, text: str, number: int = 1) -> Prompt:
        """Tokenize a prompt; `number` names it in errors.

        Raises:
            InputError: not a string, or a string that has no ids.
        """
        ids = tokenizer.encode_batch([text], first=number)[0]
        return cls.of(tokenizer, text, ids)

    @classmethod
    def after_lines(
        cls, tokenizer: TextTokenizer, lines: Sequence[str], config: Config, number: int = 1
    ) -> Prompt:
        """Tokenize a prompt of several lines, each of which begins as it does in a document.

        Raises:
            InputError: not strings, or a string that has no ids; names the prompt's number.
        """
        for line in lines:
            check_text(line, number)
        begin = np.array([config.bos_token_id], np.int64)
        before = [cls.read(tokenizer, line, number).ids for line in lines[:-1]]
        lead = [np.concatenate((begin, ids)) for ids in before]
        return replace(
            cls.read(tokenizer, lines[-1], number), lead=np.concatenate([begin[:0], *lead])
        )

    @property
    def all_ids(self) -> Ids:
        """The tokens of the text and of what is read before it, but for the <s> between the two."""
        return np.concatenate((self.lead, self.ids))

    def step(self, engine: Engine) -> Step:
        """The model's step of one row after it has read the prompt."""
        begin = np.array([engine.config.bos_token_id], np.int64)
        ids = np.concatenate((self.lead, begin, self.ids))
        return engine.read(ids, engine.initial_state())

    @classmethod
    def of(cls, tokenizer: TextTokenizer, text: str, ids: Ids) -> Prompt:
        """Take a prompt's text with its tokens int64 [n]."""
        return cls(text, ids, _drops_space(tokenizer, text, ids))


def after_line_end(tokens: Ids, config: Config) -> Ids:
    """What the model reads after tokens int64 [B]: <s> in the place of </s>, which ended a line."""
    return np.where(tokens == config.eos_token_id, config.bos_token_id, tokens)


class Continuation:
    """A growing list of tokens, and its text.

    Attributes:
        text: the certain part of it: whole characters that cannot be part of a stop string.
        stopped: whether a stop string has come; then no token may be added.
        ended: whether the last line has come to its end, likewise.
    """

    def __init__(
        self,
        tokenizer: TextTokenizer,
        prompt: Prompt,
        *,
        unk_id: int | None,
        stop: Sequence[str] = (),
        eos: int = -1,
        max_lines: int = 1,
    ) -> None:
        """Start without a token; the text will end before the first of the stop strings.

        `eos` is </s>, which ends a line: the text, once it has come `max_lines` times.
        """
        self.text = ""
        self.stopped = False
        self.ended = False
        self._eos = eos
        self._lines_left = max_lines
        self._tokenizer = tokenizer
        self._drops_space = prompt.drops_space
        self._unk_id = unk_id
        self._stop = tuple(stop)
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self._tokens: list[TokenScore] = []

    @property
    def tokens(self) -> Sequence[TokenScore]:
        """The tokens so far, also those whose text is not certain."""
        return self._tokens

    def add(self, token: int, log_prob: float) -> str:
        """Append a token, with its log-probability (nats).

        </s> adds a line break, or at the end of the last line no text.

        Returns:
            The text that became certain.
        """
        start = len(self.text) + len(self._held)
        new, is_unfinished = self._decode(self._piece(token))
        end = start + len(new) + is_unfinished
        spelt = self._tokenizer.token(token)
        self._tokens.append(TokenScore(token, spelt, log_prob, token == self._unk_id, start, end))
        self._held += new
        return self._release()

    def extended(self, token: int, log_prob: float) -> Continuation:
        """A copy with one more token, as `add` appends it; this one stays as it is."""
        longer = copy.copy(self)
        longer._tokens = self._tokens.copy()
        longer._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        longer._utf8.setstate(self._utf8.getstate())
        longer.add(token, log_prob)
        return longer

    def finish(self) -> str:
        """End the text; return the part of it that might have become a stop string."""
        held, self._held = self._held, ""
        self.text += held
        return held

    def sample(self, reason: FinishReason) -> Sample:
        """The result; call `finish` first. Tokens past a stop string are left out."""
        size = len(self.text)
        tokens = tuple(
            replace(token, start=min(token.start, size), end=min(token.end, size))
            for token in self._tokens
            if token.start < size or not self.stopped
        )
        log_prob = float(np.sum([token.log_prob for token in tokens], dtype=np.float64))
        return Sample(self.text, log_prob, tokens, reason)

    def _piece(self, token: int) -> bytes:
        if token == self._eos:
            self._lines_left -= 1
            self.ended = self._lines_left <= 0
            self._drops_space = self._tokenizer.puts_space_first
            return b"" if self.ended else b"\n"
        piece = self._tokenizer.pieces[token]
        if self._drops_space and piece:
            self._drops_space = False
            return piece.removeprefix(_SPACE)
        return piece

    def _decode(self, piece: bytes) -> tuple[str, bool]:
        """The characters that a piece completes, and whether it leaves one unfinished."""
        new = self._utf8.decode(piece)
        unfinished, _ = self._utf8.getstate()
        if unfinished[:1] == b"\xed" and unfinished[1:] >= b"\xa0":
            # Half a surrogate. Python waits for the rest, which could not make it a character.
            return new + self._utf8.decode(b"", final=True), False
        return new, bool(unfinished)

    def _release(self) -> str:
        """Move text that cannot be part of a stop string from held to certain."""
        cut = _first_stop(self._held, self._stop)
        self.stopped = cut is not None
        if cut is None:
            cut = len(self._held) - _unfinished_stop(self._held, self._stop)
        certain = self._held[:cut]
        self._held = "" if self.stopped else self._held[cut:]
        self.text += certain
        return certain


def _drops_space(tokenizer: TextTokenizer, prompt: str, ids: Ids) -> bool:
    """Whether the first space is the tokenizer's own, or one that the prompt already ends in."""
    if not len(ids):
        return tokenizer.puts_space_first
    end = b"".join(tokenizer.pieces[token] for token in ids[-_LAST:].tolist())
    return prompt[-1].isspace() and not end.decode("utf-8", "ignore")[-1:].isspace()


def _first_stop(text: str, stop: Sequence[str]) -> int | None:
    """Where the stop string begins that is complete first; of several, the longest."""
    found = [(start + len(s), start) for s in stop if (start := text.find(s)) >= 0]
    return min(found)[1] if found else None


def _unfinished_stop(text: str, stop: Sequence[str]) -> int:
    """The number of characters at the end of a text that may begin a stop string."""
    longest = max(map(len, stop), default=0)
    for size in range(min(longest - 1, len(text)), 0, -1):
        if any(s.startswith(text[-size:]) for s in stop):
            return size
    return 0
