"""The totals of `lmscore score`, and with `--html` a page with the words of its texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lmscore.cli.report_files import write_page

if TYPE_CHECKING:
    from lmscore.runtime.model import LanguageModel
    from lmscore.runtime.scoring import Score, Summary, TextMeasures

ALTERNATIVES = 3  # of each word
_TEXTS = 200  # that a page shows, while they need less than
_BYTES = 262_000


class Totals:
    """The totals over the texts of a run, and a page with the first of them if it has a path.

    Attributes:
        summary: the totals.
    """

    def __init__(self, path: Path | None, lm: LanguageModel, summary: Summary) -> None:
        """Begin without texts; `summary` is added up."""
        self._path, self.summary = path, summary
        if path is None:
            return
        from lmscore.pages import WordTexts

        pieces = (piece.decode(errors="replace") for piece in lm.tokenizer.pieces)
        self._spelt = dict(zip(lm.tokenizer.tokens(range(lm.vocab_size)), pieces, strict=True))
        self._texts = WordTexts()
        self._count = 0

    def add(self, key: str, score: Score, measured: TextMeasures | None) -> None:
        """Count one more text, and show it while there is room; `key` is its id or number."""
        self.summary.add(score)
        if self._path is None:
            return
        from lmscore.runtime.scoring import rounded, shown_words

        self._count += 1
        if len(self._texts.paragraphs) == _TEXTS or self._texts.size >= _BYTES:
            return
        words = shown_words(score, measured, spell=self._spell)
        figures = f"{score.surprisal:.1f} bits"
        if words:
            figures += f" · {rounded(2 ** (score.surprisal / len(words)), 1)} per word"
        kept = self._texts.fitting(words, _BYTES)
        if words and not kept:
            return
        if len(kept) < len(words):
            figures += f" · its first {len(kept)} words"
        self._texts.add(words[: len(kept)], label=f"{key} · {figures}")

    def write(self, model: str) -> None:
        """Write the page; `model` says what scored the texts, and how."""
        if self._path is None:
            return
        from lmscore.pages import element

        shown = len(self._texts.paragraphs)
        some = f"The first {shown} of {self._count} texts. " if shown < self._count else ""
        how = "In front of each text are its surprisal and its perplexity per word. "
        keys = "Point at a word, or go to it with Tab and the arrow keys."
        body = [
            element("h1", "Words by their surprisal"),
            element("p", model),
            element("pre", str(self.summary)),
            element("p", some + how + keys, class_="faint"),
            *self._texts.elements(),
        ]
        write_page(self._path, f"Scores by {model}", body, words=True)

    def _spell(self, token: str) -> str:
        """The text of a token, which a vocabulary may spell otherwise: `Ġthe`."""
        return self._spelt.get(token) or ("⏎" if token == "</s>" else token)
