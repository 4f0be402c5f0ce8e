"""Scores to look at: the words of a text for a page, and a score in a notebook."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from lmscore.runtime.scoring.measures import Alternative, TextMeasures
from lmscore.runtime.scoring.score import Score, TokenScore, WordScore, rounded

if TYPE_CHECKING:
    from lmscore.pages import Word

_NATS_PER_BIT = math.log(2)
_MOST = 2000  # words that a notebook shows


def shown_words(
    score: Score, measured: TextMeasures | None = None, *, spell: Callable[[str], str] = str
) -> list[Word]:
    """The words of a text for a page; its tokens where it was scored without words.

    Args:
        score: with words or tokens.
        measured: the ranks, entropies and alternatives of the same text.
        spell: gives the text of a token as the vocabulary spells it.
    """
    if score.words:
        return list(_words(score, measured, spell))
    return list(_tokens(score, measured, spell))


def _words(
    score: Score, measured: TextMeasures | None, spell: Callable[[str], str]
) -> Iterator[Word]:
    from lmscore.pages import Word

    found = {(one.start, one.end): one for one in (measured.words if measured else ())}
    for word in score.words:
        text = "" if _is_end(word, score) else word.text
        one = found.get((word.start, word.end))
        if one is None:
            yield Word(text, word.surprisal, word.is_oov)
        else:
            likely = _likely(one.onset_alternatives, spell)
            entropy = one.onset_entropy / _NATS_PER_BIT
            yield Word(text, word.surprisal, word.is_oov, one.onset_rank, entropy, likely)


def _tokens(
    score: Score, measured: TextMeasures | None, spell: Callable[[str], str]
) -> Iterator[Word]:
    from lmscore.pages import Word

    last = 0
    measures = measured.tokens if measured else [None] * len(score.tokens)
    for token, one in zip(score.tokens, measures, strict=True):
        between = score.text[last : token.start] + score.text[token.start : token.end][:1]
        joined, last = not any(map(str.isspace, between)), token.end
        text = score.text[token.start : token.end] or spell(token.text)
        text = "" if _is_end(token, score) else text.strip() or "␣"
        if one is None:
            yield Word(text, token.surprisal, token.is_oov, joined=joined)
        else:
            likely, entropy = _likely(one.alternatives, spell), one.entropy / _NATS_PER_BIT
            yield Word(text, token.surprisal, token.is_oov, one.rank, entropy, likely, joined)


def _is_end(unit: WordScore | TokenScore, score: Score) -> bool:
    return unit.start == unit.end == len(score.text)


def _likely(
    alternatives: Sequence[Alternative], spell: Callable[[str], str]
) -> list[tuple[str, float]]:
    return [(spell(token).strip() or "␣", math.exp(log_prob)) for token, log_prob in alternatives]


def notebook_html(score: Score) -> str:
    """A score as HTML for a notebook, which may take out scripts and style sheets."""
    from lmscore.pages import level

    bits = f"{score.surprisal:.1f} bits, {score.num_tokens} tokens, {score.num_oov} OOVs"
    figures = f"{bits}, perplexity {rounded(score.perplexity, 2)} per token"
    words = shown_words(score) if score.words or score.tokens else []
    parts = []
    for word in words[:_MOST]:
        strength = level(word.bits)
        style = (
            f"background:rgba(214,92,16,{strength * 0.12:.2f});"
            f"border-bottom:{max(0, strength - 1)}px solid;padding:0 .1em"
        )
        title = f"{word.bits:.1f} bits{', not in the vocabulary' * word.is_oov}"
        parts.append(
            f'{" " * (not word.joined)}<span style="{style}" title="{title}">'
            f"{html.escape(word.text or '⏎')}</span>"
        )
    more = f" … and {len(words) - _MOST} more" if len(words) > _MOST else ""
    text = "".join(parts) + more if words else html.escape(score.text)
    return f'<div style="line-height:2">{text}</div><div><small>{figures}</small></div>'
