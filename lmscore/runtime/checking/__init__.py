"""Checks that a graph, and a whole model directory, computes the same as PyTorch.

- `lmscore.bundle.Parity` is the reference: the file parity.npz with PyTorch's results.
- `runs` computes the same results with a graph, in every way in which the runtime uses graphs.
- `check_graph` compares the two. A `GraphCheck` holds the largest differences and says whether
  they are small enough. Export checks every graph, and records the differences in config.json
  as the graph's `lmscore.bundle.GraphRecord`.
- `check_model` (`lmscore check`) checks all graphs of a model directory again. A `ModelCheck` lists
  the comparisons with parity.npz and with the records as `Finding`s.
"""

from lmscore.runtime.checking.graph_check import (
    Difference,
    GraphCheck,
    check_graph,
    compare_graphs,
)
from lmscore.runtime.checking.log_z import measure_log_z, rank_agreement
from lmscore.runtime.checking.model_check import Finding, ModelCheck, check_model

__all__ = [
    "Difference",
    "Finding",
    "GraphCheck",
    "ModelCheck",
    "check_graph",
    "check_model",
    "compare_graphs",
    "measure_log_z",
    "rank_agreement",
]
