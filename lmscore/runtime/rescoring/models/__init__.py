"""The models that score n-best lists: recurrent ones, n-gram models, and their mixtures."""

from lmscore.runtime.rescoring.models.em import Fit, fit_to
from lmscore.runtime.rescoring.models.list_scorer import ListScorer, RecurrentScorer, WordScorer
from lmscore.runtime.rescoring.models.list_scoring import ListScores, score_lists
from lmscore.runtime.rescoring.models.list_windows import windows
from lmscore.runtime.rescoring.models.lodr import LODR, LODR_SHARE, Lodr, LodrScorer, open_lodr
from lmscore.runtime.rescoring.models.mixture import Mixture, fit_mixture
from lmscore.runtime.rescoring.models.ngram import NgramScorer
from lmscore.runtime.rescoring.models.opening import check_models, open_scorers

__all__ = [
    "LODR",
    "LODR_SHARE",
    "Fit",
    "ListScorer",
    "ListScores",
    "Lodr",
    "LodrScorer",
    "Mixture",
    "NgramScorer",
    "RecurrentScorer",
    "WordScorer",
    "check_models",
    "fit_mixture",
    "fit_to",
    "open_lodr",
    "open_scorers",
    "score_lists",
    "windows",
]
