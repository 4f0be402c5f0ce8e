"""Checks that a graph, and a whole model directory, computes what PyTorch computed.

One check in two sizes, each with one word for what it yields:

- `lmscore.bundle.parity.Parity` is the reference: the file parity.npz with what PyTorch computed.
- `runs` has a graph compute the same again, in every way in which the runtime uses graphs.
- `check_graph` compares the two: a `GraphCheck` holds the largest differences and says whether
  they are small enough. Export checks every graph, and records the differences in config.json
  as the graph's `lmscore.bundle.GraphRecord`.
- `check_model` (`lmscore check`) checks all graphs of a model directory again: a `ModelCheck` lists
  as `Finding`s what differs from parity.npz and from the records.
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
