"""The inputs and outputs of a model's graph; export declares them and the engine checks them.

Letters in shapes: B batch, T time (tokens), K targets per position, S rows of the incoming state,
F the first rows of the batch, which get distributions over the whole vocabulary, M the first rows
whose distributions are measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lmscore.bundle.config import Config

TARGETS_APART = "targets_apart"
"""The node that scores targets without whole distributions, and the entry "1" in the metadata of a
file that has it.
"""

DType = Literal["float32", "int32", "int64"]


@dataclass(frozen=True)
class Value:
    """An input or output of a graph; each size is a number, or a letter if it varies by run."""

    name: str
    shape: tuple[str | int, ...]
    dtype: DType = "float32"
    is_measure: bool = False  # version 0.1.0 exported graphs without
    has_default: bool = False  # of an input that may be left out, and that older graphs lack

    @property
    def is_whole(self) -> bool:
        """Whether only rows that get distributions over the whole vocabulary have this output."""
        return self.shape[0] == "F"


def graph_inputs(config: Config) -> tuple[Value, ...]:
    """The inputs of a model's graph, in order."""
    head = config.head_spec
    is_softmax = not (head.has_scores or head.has_classes)  # by default all rows are whole
    return (
        Value("tokens", ("B", "T"), "int64"),
        Value("targets", ("B", "T", "K"), "int64"),
        Value("k", (1,), "int64"),
        Value("lengths", ("B",), "int32"),
        Value("parents", ("B",), "int64"),
        Value("distributions", (1,), "int64", has_default=is_softmax),  # F
        Value("measured", (1,), "int64", is_measure=True),  # M
        *(Value(s.name, (s.layers, "S", s.size)) for s in config.state),
    )


def graph_outputs(config: Config) -> tuple[Value, ...]:
    """The outputs of a model's graph, in order."""
    head = config.head_spec
    return (
        Value("log_probs", ("F", "T", config.vocab_size)),
        Value("target_log_probs", ("F" if head.has_scores else "B", "T", "K")),
        *((Value("target_scores", ("B", "T", "K")),) if head.has_scores else ()),
        Value("top_log_probs", ("F", "T", "top")),
        Value("top_tokens", ("F", "T", "top"), "int64"),
        Value("entropies", ("M", "T"), is_measure=True),  # nats
        Value("target_ranks", ("M", "T", "K"), "int64", is_measure=True),
        *(Value(s.next, (s.layers, "B", s.size)) for s in config.state),
    )
