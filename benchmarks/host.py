"""What surrounds the graph: text to scores with the graph left out, beside the tokenizer alone.

Usage: python benchmarks/host.py TEXT [--model PATH] [--lines 20000] [--rounds 7] [--json FILE]

Rows take turns in one process; medians; the ratio to the first row is what counts:

* `encode_batch_fast`: the tokenizer alone, on all lines at once, on all of its threads.
* `tokens=False`, `tokens=True`, `words=True`: `score_stream`, with a stub in the place of the graph
  that gives zeros; arrays are checked as they are for the graph.
* `tokens read`: the same, and every token of every score is looked at.
* `lmscore score`: reads lines from the file, writes rows to the null device, with the stub.
* `graph alone`: the runs of the graph that the lines need, on arrays that are ready.
* `together`: text to scores with the graph.

TOKENIZERS_PARALLELISM=false leaves the tokenizer one thread.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from texts import first_lines
from tokenizers import Tokenizer
from turns import report

import lmscore
from lmscore.cli.layout import Layout
from lmscore.cli.records import TextInput
from lmscore.cli.scored_records import score_records
from lmscore.runtime.engine.graph import Graph
from lmscore.runtime.model import LanguageModel

RUN = Graph.run
Call = tuple[Graph, tuple[Any, ...], dict[str, Any]]


def stub(self: Graph, outputs: list[str], tokens: Any, **given: Any) -> list[Any]:
    """Zeros for targets and states, from the arrays that ONNX Runtime would get."""
    given.pop("checked")
    self._feeds(
        outputs, tokens, given["state"], given["targets"], 0, given["lengths"], given["parents"]
    )
    shapes = dict.fromkeys(outputs, (*tokens.shape, 1))
    shapes |= {state.next: state.shape(len(tokens)) for state in self.config.state}
    shapes["log_probs"] = (*tokens.shape, self.config.vocab_size)
    return [np.zeros(shapes[name], np.float32) for name in outputs]


@contextmanager
def graph_runs(function: Callable[..., list[Any]]) -> Iterator[None]:
    """Have a function called in the place of `Graph.run`."""
    Graph.run = function  # type: ignore[method-assign]
    try:
        yield
    finally:
        Graph.run = RUN  # type: ignore[method-assign]


def recorded(lm: LanguageModel, lines: list[str]) -> list[Call]:
    """The runs of the graph that the lines need."""
    calls: list[Call] = []

    def record(self: Graph, *arguments: Any, **given: Any) -> list[Any]:
        calls.append((self, arguments, given))
        return stub(self, *arguments, **given)

    with graph_runs(record):
        stream(lm, lines, tokens=False)
    return calls


def stream(lm: LanguageModel, lines: list[str], **options: bool) -> None:
    for _ in lm.score_stream(lines, context="sentence", **options):
        pass


def read_all(lm: LanguageModel, lines: list[str]) -> None:
    for score in lm.score_stream(lines, context="sentence"):
        for _ in score.tokens:
            pass


def command_line(lm: LanguageModel, path: str) -> None:
    """The loop of `lmscore score`, without its start."""
    records = TextInput(files=[path]).records()
    layout = Layout("tsv", "sentence", surprisal=False, ids=False)
    summary = lmscore.Summary()
    with open(os.devnull, "wb") as out:
        found = score_records(lm, records, bos=True, eos=True, context="sentence", flush=out.flush)
        for number, (record, score) in enumerate(found, 1):
            out.write(layout.lines(number, record, score).encode())
            summary.add(score)


def run_graph(lm: LanguageModel, calls: list[Call]) -> None:
    """The recorded runs, by the workers that run them when texts are scored."""
    workers = lm.engine.workers
    if workers is None:
        for graph, arguments, given in calls:
            RUN(graph, *arguments, **given)
        return
    futures = [
        workers.submit(lambda _, call=call: RUN(call[0], *call[1], **call[2])) for call in calls
    ]
    for future in futures:
        future.result()


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text")
    parser.add_argument("--model", help="default: the bundled model")
    parser.add_argument("--lines", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-graph", action="store_true", help="leave the last two rows out")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    lm = lmscore.load(options.model)
    lines = first_lines(options.text, options.lines)
    tokenizer = Tokenizer.from_file(str(lm.path / "tokenizer.json"))
    encode = tokenizer.encode_batch_fast
    tokens = sum(map(len, encode(lines, add_special_tokens=False))) + len(lines)
    calls = recorded(lm, lines)

    def stubbed(work: Callable[..., None], *given: Any, **more: bool) -> Callable[[], None]:
        def run() -> None:
            with graph_runs(stub):
                work(lm, *given, **more)

        return run

    rows: dict[str, Callable[[], object]] = {
        "encode_batch_fast": lambda: encode(lines, add_special_tokens=False),
        "tokens=False": stubbed(stream, lines, tokens=False),
        "lmscore score": stubbed(command_line, options.text),
        "tokens=True": stubbed(stream, lines, tokens=True),
        "tokens=True, read": stubbed(read_all, lines),
    }
    if not options.no_graph:
        rows["graph alone"] = lambda: run_graph(lm, calls)
        rows["together"] = lambda: stream(lm, lines, tokens=False)
    times: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(options.rounds):
        for name, work in rows.items():
            times[name].append(seconds(work))
    title = f"{len(lines):,} lines, {tokens:,} tokens with </s>"
    report(title, {n: tokens / statistics.median(ts) for n, ts in times.items()}, options.json)


if __name__ == "__main__":
    main()
