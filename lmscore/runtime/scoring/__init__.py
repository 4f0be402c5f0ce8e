"""Scores of texts: token rows, words, windows of a stream, and the figures of a report."""

from lmscore.runtime.scoring.ahead import ahead
from lmscore.runtime.scoring.choose import Choice, candidate_texts, choose_among
from lmscore.runtime.scoring.compat import (
    CompatReport,
    needs_words,
    tool_word_scores,
    tool_words,
)
from lmscore.runtime.scoring.documents import Documents
from lmscore.runtime.scoring.measures import (
    TextMeasures,
    TokenMeasures,
    WordMeasures,
    measured_texts,
)
from lmscore.runtime.scoring.oov_cost import FixedCost, OovCost, SpellingCost
from lmscore.runtime.scoring.prefix import encode_after, prefix_lead, word_before
from lmscore.runtime.scoring.regions import RegionScore, Span, check_spans
from lmscore.runtime.scoring.score import (
    LN10,
    PartScore,
    Score,
    Summary,
    TokenScore,
    WordScore,
    perplexity_of,
    rounded,
)
from lmscore.runtime.scoring.scored_text import Convention, ScoredText
from lmscore.runtime.scoring.scorer import Scorer, sum_scores
from lmscore.runtime.scoring.shown import shown_words
from lmscore.runtime.scoring.stream_windows import id_windows, windows
from lmscore.runtime.scoring.words import END, WordTokens, boundary_tokens, count_words, word_tokens

__all__ = [
    "END",
    "LN10",
    "Choice",
    "CompatReport",
    "Convention",
    "Documents",
    "FixedCost",
    "OovCost",
    "PartScore",
    "RegionScore",
    "Score",
    "ScoredText",
    "Scorer",
    "Span",
    "SpellingCost",
    "Summary",
    "TextMeasures",
    "TokenMeasures",
    "TokenScore",
    "WordMeasures",
    "WordScore",
    "WordTokens",
    "ahead",
    "boundary_tokens",
    "candidate_texts",
    "check_spans",
    "choose_among",
    "count_words",
    "encode_after",
    "id_windows",
    "measured_texts",
    "needs_words",
    "perplexity_of",
    "prefix_lead",
    "rounded",
    "shown_words",
    "sum_scores",
    "tool_word_scores",
    "tool_words",
    "windows",
    "word_before",
    "word_tokens",
]
