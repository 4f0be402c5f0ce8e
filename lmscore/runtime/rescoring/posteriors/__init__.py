"""Posterior probabilities of texts, words and arcs, and the decisions that stand on them.

Everything here works on a `WordGraph`, which stands for an n-best list or a lattice.
"""

from lmscore.runtime.rescoring.posteriors.confusion import (
    ConfusionNetwork,
    Slot,
    confusion_network,
)
from lmscore.runtime.rescoring.posteriors.risk import expected_edits, least_risk
from lmscore.runtime.rescoring.posteriors.word_graph import WordGraph

__all__ = [
    "ConfusionNetwork",
    "Slot",
    "WordGraph",
    "confusion_network",
    "expected_edits",
    "least_risk",
]
