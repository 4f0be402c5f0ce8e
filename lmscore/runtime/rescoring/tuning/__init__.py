"""The weights that make a metric best on lists with references, and what they gain."""

from lmscore.runtime.rescoring.tuning.bootstrap import Estimate
from lmscore.runtime.rescoring.tuning.by_length import LengthGroup
from lmscore.runtime.rescoring.tuning.candidates import Candidates, candidates
from lmscore.runtime.rescoring.tuning.line_search import Steps
from lmscore.runtime.rescoring.tuning.tune import (
    Comparison,
    System,
    as_values,
    as_weights,
    compare,
    cross_validate,
    estimated,
    find_weights,
    metric_along,
)

__all__ = [
    "Candidates",
    "Comparison",
    "Estimate",
    "LengthGroup",
    "Steps",
    "System",
    "as_values",
    "as_weights",
    "candidates",
    "compare",
    "cross_validate",
    "estimated",
    "find_weights",
    "metric_along",
]
