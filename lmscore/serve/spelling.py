"""Tokens as clients see them: the text of each, and where it begins in the whole text."""

from __future__ import annotations

import codecs

from lmscore.runtime.model import LanguageModel
from lmscore.runtime.text import Encoded, Ids

_SPACE = b" "


class Spelling:
    """The texts of a model's tokens; those of a text, put together, give the text."""

    def __init__(self, lm: LanguageModel) -> None:
        """Take a model's vocabulary."""
        self._tokenizer = lm.tokenizer
        self._controls = {lm.config.bos_token_id, lm.config.eos_token_id}
        self.bos = lm.config.bos_token_id

    def text(self, token: int, *, first: bool = False) -> str:
        r"""The text of a token: `<s>` and `</s>` by name, bytes that are no text as `bytes:\xe2`.

        `first`: at the beginning of a line, where a tokenizer's own space is not shown.
        """
        if token in self._controls:
            return self._tokenizer.token(token)
        piece = self._tokenizer.pieces[token]
        if first:
            piece = piece.removeprefix(_SPACE)
        try:
            return piece.decode()
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in piece)

    def read(self, ids: Ids) -> tuple[str, list[int]]:
        """The text that ids [n] spell, and the character at which each token begins."""
        utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        drops, parts, starts, length = self._tokenizer.puts_space_first, [], [], 0
        for token in ids.tolist():
            piece = self._tokenizer.pieces[token]
            if drops and piece:
                piece, drops = piece.removeprefix(_SPACE), False
            parts.append(utf8.decode(piece))
            starts.append(length)
            length += len(parts[-1])
        return "".join(parts) + utf8.decode(b"", final=True), starts

    def starts(self, text: str, encoded: Encoded) -> list[int]:
        """The character of `text` at which each of its tokens begins, its white space included."""
        starts: list[int] = []
        last = 0
        for token, (start, end) in zip(encoded.ids.tolist(), encoded.spans.tolist(), strict=True):
            begins_with_space = self._tokenizer.pieces[token][:1].isspace()
            if begins_with_space and last < start and text[last:start].isspace():
                starts.append(last)
            else:
                starts.append(start)
            last = max(last, end)
        return starts

    def drops_after(self, token: int, *, drops: bool) -> bool:
        """Whether the space of the token after `token` is not shown; `drops`: as that of `token`.

        It is the tokenizer's own at the beginning of a text, and of each line of a document.
        """
        if token in self._controls:
            return self._tokenizer.puts_space_first
        return drops and not self._tokenizer.pieces[token]

    @property
    def drops_first(self) -> bool:
        """Whether the space of the first token of a text is not shown."""
        return self._tokenizer.puts_space_first
