"""The state that the rows of a run go on from, as nodes of a graph.

Letters in shapes: B rows of the run, S rows of the incoming state, L layers, H hidden.
"""

from __future__ import annotations

import numpy as np

from lmscore.bundle import INITIAL, READING, WRITING, Config, Weights
from lmscore.export.builder import GraphBuilder


def add_incoming_state(b: GraphBuilder, config: Config, weights: Weights) -> dict[str, str]:
    """Add the parents' rows of each tensor of the state, [L, S, H] -> [L, B, H]; names by tensor.

    Rows that have read nothing begin with the learned state, if the model has one.
    """
    found = {
        tensor.name: b.op("Gather", tensor.name, "parents", to=f"{tensor.name}_of_parents", axis=1)
        for tensor in config.state
    }
    if not config.learned_initial_state:
        return found
    is_fresh = b.op("Less", found["phase"], just_before(b, READING), to="is_fresh")  # [1, B, 1]
    for tensor in config.cell_state:
        learned = weights[f"{INITIAL}{tensor.name}"].astype(np.float32)  # in every variant
        first = b.constant(f"{INITIAL}{tensor.name}", learned)
        rows = found[tensor.name]
        found[tensor.name] = b.op("Where", is_fresh, first, rows, to=f"begun_{rows}")
    return found


def just_before(b: GraphBuilder, phase: float) -> str:
    """A number between a phase and the one before it, which tells them apart."""
    return phase_constant(b, phase - 0.5)


def add_writing_phase(b: GraphBuilder, phases: str) -> None:
    """Add the phase after a run of layers without an encoder: WRITING, whatever it was."""
    b.op("Max", phases, phase_constant(b, WRITING), to="next_phase")


def phase_constant(b: GraphBuilder, value: float) -> str:
    """Add a phase, or a number between two of them."""
    return b.constant(f"phase_{value}", np.array(value, np.float32))
