"""Scores of documents: texts that are cut into parts, whose scores are added up."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from lmscore.names import Split
from lmscore.runtime.scoring.score import (
    PartScore,
    Score,
    TokenScore,
    WordScore,
    unread_scores,
)
from lmscore.runtime.text import Part, check_text, text_parts


class Documents:
    """A stream of texts as a stream of their parts, and back.

    Args:
        texts: the stream.
        split: where a part ends.
        language: that of the texts, for sentences.
        tokens: whether the scores of the parts have tokens.
        words: whether they have words.
    """

    def __init__(
        self, texts: Iterable[str], split: Split, language: str, *, tokens: bool, words: bool
    ) -> None:
        self._texts = texts
        self._split = split
        self._language = language
        self._tokens = tokens
        self._words = words
        self._waiting: deque[tuple[str, list[Part]]] = deque()

    def parts(self) -> Iterator[str]:
        """The parts of all texts; raises InputError for an item that is not a string."""
        for number, text in enumerate(self._texts, 1):
            check_text(text, number)
            parts = text_parts(text, self._split, self._language)
            self._waiting.append((text, parts))
            for part in parts:
                yield part.text

    def joined(self, scores: Iterable[Score]) -> Iterator[Score]:
        """The score of each text, from those of its parts."""
        found: list[Score] = []
        for score in scores:
            found.append(score)
            text, parts = self._waiting[0]
            if len(found) == len(parts):
                self._waiting.popleft()
                yield self._join(text, parts, found)
                found = []

    def _join(self, text: str, parts: list[Part], scores: list[Score]) -> Score:
        (joined,) = unread_scores(
            [text],
            [math.fsum(score.log_prob for score in scores)],
            [sum(score.num_tokens for score in scores)],
            [sum(score.num_oov for score in scores)],
            [math.fsum(score.oov_log_prob for score in scores)],
            [_Joined(parts, scores)],
            tokens=self._tokens,
            words=self._words,
            of_parts=[tuple(map(_part_score, parts, scores))],
            num_ends=sum(score.num_ends for score in scores),
            num_words=[sum(score.num_words for score in scores)],
        )
        return joined


def _part_score(part: Part, score: Score) -> PartScore:
    return PartScore(
        part.text,
        score.log_prob,
        part.start,
        part.start + len(part.text),
        score.num_tokens,
        score.num_words,
        score.num_oov,
    )


@dataclass(frozen=True, slots=True)
class _Joined:
    """The tokens and words of a text, from those of its parts."""

    parts: list[Part]
    scores: list[Score]

    def tokens(self, text: str) -> tuple[TokenScore, ...]:  # noqa: ARG002
        """The tokens of all parts, with offsets into the whole text."""
        return tuple(
            replace(token, start=part.start + token.start, end=part.start + token.end)
            for part, score in zip(self.parts, self.scores, strict=True)
            for token in score.tokens
        )

    def words(self, text: str) -> tuple[WordScore, ...]:  # noqa: ARG002
        """The words of all parts, with offsets into the whole text."""
        return tuple(
            replace(word, start=part.start + word.start, end=part.start + word.end)
            for part, score in zip(self.parts, self.scores, strict=True)
            for word in score.words
        )
