"""The matrices that int8 has too few bits for, found by leaving them in float32."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from lmscore.bundle import INT8, Config, Parity, Weights
from lmscore.export.graph import build_model
from lmscore.export.operators import matrices
from lmscore.runtime.checking import GraphCheck, check_graph
from lmscore.runtime.engine import Engine, Graph, open_session

_ENOUGH = 0.01  # the rise of perplexity at which no further matrix is left in float32


@dataclass(frozen=True)
class Remedy:
    """An int8 graph that is fit for use: what stays in float32 in it, and what it then costs."""

    in_fp32: tuple[str, ...]  # names in model.safetensors, the worst first
    perplexity_change: float  # relative: 0.01 is one per cent worse
    size_bytes: int


def find_remedy(config: Config, weights: Weights, parity: Parity) -> Remedy | None:
    """Leave one matrix after another in float32, the one that helps most first.

    Returns None if all of them would have to stay, which is the fp32 graph.
    """
    left = matrices(config)
    chosen: tuple[str, ...] = ()
    while len(left) > 1:
        trials = {name: _try(config, weights, parity, (*chosen, name)) for name in left}
        best = min(left, key=lambda name: trials[name][0].perplexity_change)
        check, size = trials[best]
        left.remove(best)
        chosen = (*chosen, best)
        if check.failure(INT8) is None and check.perplexity_change <= _ENOUGH:
            return Remedy(chosen, check.perplexity_change, size)
    return None


def _try(
    config: Config, weights: Weights, parity: Parity, in_fp32: Collection[str]
) -> tuple[GraphCheck, int]:
    """The check of an int8 graph with some matrices in float32, and the size of its file."""
    data: bytes = build_model(config, weights, INT8, in_fp32).SerializeToString()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model_int8.onnx"
        path.write_bytes(data)
        graph = Graph(open_session(path, device="cpu"), config, INT8, path)
        return check_graph(Engine(graph), parity), len(data)
