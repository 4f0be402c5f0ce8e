"""What export measured on the graphs of a model, for people."""

from __future__ import annotations

from collections.abc import Sequence

from lmscore.bundle import Config, graph_file
from lmscore.cli.table import size, table


def graph_table(config: Config, variants: Sequence[str]) -> str:
    """What export measured on each variant's graph, as a table."""
    rows: list[tuple[str, ...]] = [
        ("variant", "file", "size", "max |Δ log-prob|", "in a batch", "perplexity", "checked with")
    ]
    for variant in variants:
        graph = config.graphs[variant]
        rows.append(
            (
                variant,
                graph_file(variant),
                size(graph.size_bytes),
                f"{graph.max_log_prob_difference:.2g} nats",
                f"{graph.max_batching_difference:.2g} nats",
                f"{round(100 * graph.perplexity_change, 2) + 0.0:+.2f} %",  # + 0.0: no -0.00
                graph.checked_with,
            )
        )
    return table(rows)
