"""What surrounds the graph: text to scores with the graph left out, beside the tokenizer alone.

Usage: python benchmarks/host.py TEXT [--model PATH] [--lines 20000] [--rounds 7] [--json FILE]

Rows take turns in one process; medians; the ratio to the first row is what counts. The processor
time is that of all threads, which a busy machine changes least:

* `encode_batch_fast`: the tokenizer alone, on all lines at once, on all of its threads.
* `tokens=False`, `tokens=True`: `score_stream` with a stub in the place of ONNX Runtime, which
  gives zeros at once: all of lmscore's own work.
* `tokens=False, no word known`: the same where no word of the text has been read before; the
  other rows have seen the text in earlier rounds, as a long corpus has seen most of its words.
* `tokens=True, read`: the same, and every token of every score is looked at.
* `lmscore score`: lines are read from the file, and rows written to the null device, with the stub.
* `graph alone`: ONNX Runtime on the arrays that the lines need.
* `together`: text to scores with ONNX Runtime.

TOKENIZERS_PARALLELISM=false leaves the tokenizer one thread. The rate of the first row and of the
others is that of the lines, with a </s> for each.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from texts import first_lines
from tokenizers import Tokenizer
from turns import save

import lmscore
from lmscore.bundle import Config
from lmscore.cli.layout import Layout
from lmscore.cli.records import TextInput
from lmscore.cli.scored_records import score_records
from lmscore.runtime.engine.graph import Graph
from lmscore.runtime.model import LanguageModel

Call = tuple[list[str], dict[str, Any]]


class StubSession:
    """Takes the place of ONNX Runtime's session, and gives zeros for targets and states."""

    def __init__(self, config: Config) -> None:
        self.states = config.state
        self.zeros: dict[tuple[int, ...], NDArray[np.float32]] = {}  # no cost of ours
        self.calls: list[Call] | None = None  # a list: what was asked for is kept

    def run(self, outputs: list[str], feeds: dict[str, Any]) -> list[Any]:
        if self.calls is not None:
            self.calls.append((outputs, feeds))
        shape = feeds["tokens"].shape
        shapes = {state.next: state.shape(len(feeds["tokens"])) for state in self.states}
        return [self.of_shape(shapes.get(name, (*shape, 1))) for name in outputs]

    def of_shape(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        if shape not in self.zeros:
            self.zeros[shape] = np.zeros(shape, np.float32)
        return self.zeros[shape]


@contextmanager
def stubbed(lm: LanguageModel) -> Iterator[StubSession]:
    """Have a stub called in the place of ONNX Runtime, also by the workers."""
    stub, graphs = StubSession(lm.config), graphs_of(lm)
    real = [graph._session for graph in graphs]
    try:
        for graph in graphs:
            graph._session = stub  # type: ignore[assignment]
        yield stub
    finally:
        for graph, session in zip(graphs, real, strict=True):
            graph._session = session


def graphs_of(lm: LanguageModel) -> list[Graph]:
    """The graph of a model, and the workers' one, which is the last."""
    workers = lm.engine.workers
    own = [] if workers is None else [workers.submit(lambda engine: engine._graph).result()]
    return [lm.engine._graph, *own]


def recorded(lm: LanguageModel, lines: list[str]) -> list[Call]:
    """The runs of the graph that the lines need."""
    with stubbed(lm) as stub:
        stub.calls = []
        stream(lm, lines, tokens=False)
        return stub.calls


def stream(lm: LanguageModel, lines: list[str], **options: bool) -> None:
    for _ in lm.score_stream(lines, context="sentence", **options):
        pass


def read_all(lm: LanguageModel, lines: list[str]) -> None:
    for score in lm.score_stream(lines, context="sentence"):
        for _ in score.tokens:
            pass


def forgetful(lm: LanguageModel, lines: list[str]) -> None:
    vars(lm.tokenizer).pop("_word_ids", None)  # a lazy value: it is made again, and knows no word
    stream(lm, lines, tokens=False)


def command_line(lm: LanguageModel, path: str, lines: int) -> None:
    """The loop of `lmscore score`, without its start."""
    records = islice(TextInput(files=[path]).records(), lines)
    layout = Layout("tsv", "sentence", surprisal=False, ids=False)
    summary = lmscore.Summary()
    with open(os.devnull, "wb") as out:
        found = score_records(lm, records, bos=True, eos=True, context="sentence", flush=out.flush)
        for number, (record, score) in enumerate(found, 1):
            out.write(layout.lines(number, record, score).encode())
            summary.add(score)


def run_graph(lm: LanguageModel, calls: list[Call]) -> None:
    """The recorded runs, by as many threads as score texts."""
    run, workers = graphs_of(lm)[-1]._session.run, lm.engine.workers
    with ThreadPoolExecutor(1 if workers is None else workers.count) as threads:
        for _ in threads.map(lambda call: run(*call), calls):
            pass


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """The time that some work takes, and the processor time of all threads."""
    start, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - cpu


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

    def host(work: Callable[..., None], *given: Any, **more: bool) -> Callable[[], None]:
        def run() -> None:
            with stubbed(lm):
                work(lm, *given, **more)

        return run

    rows: dict[str, Callable[[], object]] = {
        "encode_batch_fast": lambda: encode(lines, add_special_tokens=False),
        "tokens=False": host(stream, lines, tokens=False),
        "tokens=False, no word known": host(forgetful, lines),
        "lmscore score": host(command_line, options.text, len(lines)),
        "tokens=True": host(stream, lines, tokens=True),
        "tokens=True, read": host(read_all, lines),
    }
    if not options.no_graph:
        rows["graph alone"] = lambda: run_graph(lm, calls)
        rows["together"] = lambda: stream(lm, lines, tokens=False)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in rows}
    for _ in range(options.rounds):
        for name, work in rows.items():
            times[name].append(seconds(work))
    print(f"{len(lines):,} lines, {tokens:,} tokens with </s>\n")
    found = {
        name: [statistics.median(column) for column in zip(*taken, strict=True)]
        for name, taken in times.items()
    }
    (first, first_cpu), *_ = found.values()
    print("| | tokens/s | ratio | processor time | ratio |\n|---|---|---|---|---|")
    for name, (wall, cpu) in found.items():
        each = f"{1e6 * cpu / len(lines):.1f} µs a line"
        rate = f"{tokens / wall:,.0f} | {first / wall:.2f}"
        print(f"| {name} | {rate} | {each} | {cpu / first_cpu:.2f} |")
    save(options.json, {"tokens": tokens, "lines": len(lines), "seconds": found})


if __name__ == "__main__":
    main()
