"""Counters of a server, in the format of Prometheus."""

from __future__ import annotations

import os

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from starlette.responses import Response

SHARED = "PROMETHEUS_MULTIPROC_DIR"  # where several processes write their figures

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


def forget_process(pid: int) -> None:
    """Leave what a process that has ended was doing out of the sums; what it did stays in."""
    if SHARED in os.environ:
        mark_process_dead(pid)  # type: ignore[no-untyped-call]


class Metrics:
    """The figures of one server."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "lmscore_requests",
            "Answered requests.",
            ["route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "lmscore_request_seconds",
            "From the first byte of a request to the last byte of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.waiting = Gauge(
            "lmscore_unfinished_requests",
            "Requests that a model works on, or that wait for it.",
            ["model"],
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.rows = Histogram(
            "lmscore_run_rows",
            "Rows of each run of a model's graph.",
            ["model"],
            buckets=_ROWS,
            registry=self.registry,
        )
        self.tokens = Counter(
            "lmscore_tokens_read",
            "Tokens that a model's graph read, padding included.",
            ["model"],
            registry=self.registry,
        )

    def observe_run(self, model: str, rows: int, time: int) -> None:
        """Count a run of a graph over [rows, time] tokens."""
        self.rows.labels(model).observe(rows)
        self.tokens.labels(model).inc(rows * time)

    def response(self) -> Response:
        """The page, with the sums over all processes of a server."""
        registry = self.registry
        if SHARED in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
