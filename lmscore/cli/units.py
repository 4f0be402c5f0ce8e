"""What a log-probability is divided by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmscore.names import Unit

if TYPE_CHECKING:
    from lmscore.runtime.scoring.score import Score


def count(score: Score, unit: Unit, *, eos: bool) -> int:
    """How many of them were scored; </s> is one more of each where it was."""
    if unit == "token":
        return score.num_tokens
    return (score.num_words if unit == "word" else len(score.text)) + eos
