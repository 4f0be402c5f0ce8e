"""N-best lists as values: new features, weights, ranking, and how far a text is from a reference.

A list is read and written by `lmscore.runtime.rescoring.formats`, scored by models of
`lmscore.runtime.rescoring.models`; its weights are found by `lmscore.runtime.rescoring.tuning`.
"""

from lmscore.runtime.rescoring.lists.context import scored_in_context
from lmscore.runtime.rescoring.lists.features import (
    Counts,
    ScoredList,
    add_scores,
    peek,
    scored_lists,
)
from lmscore.runtime.rescoring.lists.letter_case import (
    CaseLikelihood,
    TextForm,
    ahead,
    case_likelihood,
)
from lmscore.runtime.rescoring.lists.marks import MARKS, without_marks
from lmscore.runtime.rescoring.lists.metrics import METRICS, Metric, Statistics, normalization
from lmscore.runtime.rescoring.lists.nbest import Hypothesis, NBestList
from lmscore.runtime.rescoring.lists.prefixes import (
    scored_after_prefixes,
    with_first_as_prefix,
    with_prefixes,
)
from lmscore.runtime.rescoring.lists.prepare import preparation
from lmscore.runtime.rescoring.lists.probabilities import ListPosteriors, posterior_scale
from lmscore.runtime.rescoring.lists.ranking import (
    LM_WEIGHT,
    Gain,
    default_weights,
    own_scores,
    ranking,
)
from lmscore.runtime.rescoring.lists.references import reference_of, with_references
from lmscore.runtime.rescoring.lists.score_kinds import ScoreSigns, in_log_domain
from lmscore.runtime.rescoring.lists.weights import (
    RANK,
    WORDS,
    Floats,
    Weights,
    read_weights,
    terms,
    weighted,
)

__all__ = [
    "LM_WEIGHT",
    "MARKS",
    "METRICS",
    "RANK",
    "WORDS",
    "CaseLikelihood",
    "Counts",
    "Floats",
    "Gain",
    "Hypothesis",
    "ListPosteriors",
    "Metric",
    "NBestList",
    "ScoreSigns",
    "ScoredList",
    "Statistics",
    "TextForm",
    "Weights",
    "add_scores",
    "ahead",
    "case_likelihood",
    "default_weights",
    "in_log_domain",
    "normalization",
    "own_scores",
    "peek",
    "posterior_scale",
    "preparation",
    "ranking",
    "read_weights",
    "reference_of",
    "scored_after_prefixes",
    "scored_in_context",
    "scored_lists",
    "terms",
    "weighted",
    "with_first_as_prefix",
    "with_prefixes",
    "with_references",
    "without_marks",
]
