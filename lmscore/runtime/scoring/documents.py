"""Scores of documents: texts that are cut into parts, whose scores are added up."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from lmscore.names import Split
from lmscore.runtime.scoring.regions import RegionScore, Span
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
            num_ends=[sum(score.num_ends for score in scores)],
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

    def regions(self, text: str, spans: Sequence[Span]) -> tuple[RegionScore, ...]:
        """The sums of regions of the whole text, which may reach over several parts."""
        found: list[list[RegionScore]] = [[] for _ in spans]
        first_token = 0
        for part, score in zip(self.parts, self.scores, strict=True):
            own = [_cut_out(span, part) for span in spans]
            for region, score_here in zip(found, score.regions(own), strict=True):
                if score_here.num_tokens or not score_here.is_exact:
                    first = first_token + score_here.first_token
                    region.append(replace(score_here, first_token=first))
            first_token += score.num_tokens
        return tuple(_sum(text, span, pieces) for span, pieces in zip(spans, found, strict=True))


def _cut_out(span: Span, part: Part) -> Span:
    """What a part has of a region, in the part's own characters."""
    size = len(part.text)
    start, end = (min(max(place - part.start, 0), size) for place in span)
    return start, end


def _sum(text: str, span: Span, pieces: Sequence[RegionScore]) -> RegionScore:
    """A region of a text, from its pieces in the parts of the text."""
    start, end = span
    return RegionScore(
        text[start:end],
        math.fsum(piece.log_prob for piece in pieces),
        start,
        end,
        sum(piece.num_tokens for piece in pieces),
        sum(piece.num_oov for piece in pieces),
        pieces[0].first_token if pieces else 0,
        all(piece.is_exact for piece in pieces),
    )
