"""Sessions, graphs, states, batches and workers; `Engine` is the interface to a loaded graph."""

from lmscore.runtime.engine.batching import (
    Boundaries,
    RowMeasures,
    RowScores,
    ScoredRows,
    TokenRows,
    log_sum,
    reading_order,
    score_document,
    start_rows,
    token_rows,
)
from lmscore.runtime.engine.budget import token_budget
from lmscore.runtime.engine.cores import usable_cores
from lmscore.runtime.engine.engine import Distributions, Engine, Measured, Ranked, Step, Top
from lmscore.runtime.engine.graph import Graph
from lmscore.runtime.engine.ngram_graph import NgramGraph
from lmscore.runtime.engine.prompts import ReadPrompt, read_prompts
from lmscore.runtime.engine.sessions import (
    CPU,
    CPU_DEVICE,
    CUDA,
    check_version,
    default_device,
    find_providers,
    import_onnxruntime,
    open_session,
    session_device,
    thread_count,
)
from lmscore.runtime.engine.shared_rows import SHARING_METHODS, SharingMethod, score_shared
from lmscore.runtime.engine.state import Row, State, Tensor, gather
from lmscore.runtime.engine.structure import check_structure

__all__ = [
    "CPU",
    "CPU_DEVICE",
    "CUDA",
    "SHARING_METHODS",
    "Boundaries",
    "Distributions",
    "Engine",
    "Graph",
    "Measured",
    "NgramGraph",
    "Ranked",
    "ReadPrompt",
    "Row",
    "RowMeasures",
    "RowScores",
    "ScoredRows",
    "SharingMethod",
    "State",
    "Step",
    "Tensor",
    "TokenRows",
    "Top",
    "check_structure",
    "check_version",
    "default_device",
    "find_providers",
    "gather",
    "import_onnxruntime",
    "log_sum",
    "open_session",
    "read_prompts",
    "reading_order",
    "score_document",
    "score_shared",
    "session_device",
    "start_rows",
    "thread_count",
    "token_budget",
    "token_rows",
    "usable_cores",
]
