"""The table of the measurements that export made of a model's graphs."""

from __future__ import annotations

from collections.abc import Sequence

from lmscore.bundle import Config, graph_file, layout_file
from lmscore.cli.table import size, table


def graph_table(config: Config, variants: Sequence[str]) -> str:
    """A table with a row of measurements for the graph of each variant."""
    header = (
        "variant",
        "file",
        "size",
        "max |Δ log-prob|",
        "in a batch",
        "perplexity",
        "checked with",
    )
    graphs = ((variant, config.graphs[variant]) for variant in variants)
    rows = [
        (
            variant,
            graph_file(variant),
            size(graph.size_bytes),
            f"{graph.max_log_prob_difference:.2g} nats",
            f"{graph.max_batching_difference:.2g} nats",
            f"{round(100 * graph.perplexity_change, 2) + 0.0:+.2f} %",  # + 0.0: no -0.00
            graph.checked_with,
        )
        for variant, graph in graphs
    ]
    return table([header, *rows])


def layout_table(config: Config, pairs: Sequence[tuple[str, str]]) -> str:
    """A table with a row of measurements for each layout and variant."""
    header = ("layout", "file", "size", "max |Δ log-prob|", "checked with")
    records = [(name, variant, config.layouts[name][variant]) for name, variant in pairs]
    rows = [
        (
            name,
            layout_file(name, variant),
            size(record.size_bytes),
            f"{record.max_difference:.2g} nats",
            record.checked_with,
        )
        for name, variant, record in records
    ]
    return table([header, *rows])
