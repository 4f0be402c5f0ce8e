"""N-best lists scored as prefix trees and flat: does sharing pay what it saves?

Usage: python benchmarks/rescoring.py LISTS... [--model PATH] [--variant int8] [--n-best 100 1000]
                                      [--json FILE]

LISTS are files of n-best lists in any format lmscore reads, and folders of lattices,
which are expanded to n-best lists, once for each n of --n-best. Scoring includes tokenising and the
sums. `flat` is `score_stream` over all hypotheses. The ratio of tokens is that of all hypotheses to
the nodes of a prefix tree for each list; a tree of many lists shares more, so the speed-up may
exceed it. Each competitor runs in a process of its own; they take turns; medians; the ratio is what
counts.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from turns import take_turns

COMPETITORS = ("flat", "tree", "auto")
LONG_ENOUGH = 2.0  # seconds: short lists are scored again and again
Lists = list[list[str]]


def corpora(paths: list[Path], sizes: list[int]) -> Iterator[tuple[str, Lists]]:
    from lmscore.runtime.rescoring.formats import read
    from lmscore.runtime.rescoring.lattices import n_best, read_lattices

    for path in paths:
        if path.is_dir():
            lattices = list(read_lattices(path))
            for n in sizes:
                found = [n_best(lattice, n) for lattice in lattices]
                yield f"{path.name}, {n}-best", [[p.text.lower() for p in best] for best in found]
        else:
            _, lists = read([path])
            yield path.name, [[h.text for h in found.hypotheses] for found in lists]


def seconds(name: str, model: str | None, variant: str, lists: Lists) -> float:
    import lmscore
    from lmscore.runtime.rescoring.models import score_lists

    lm = lmscore.load(model, variant=variant)
    lm.score_batch(lists[0][:100], tokens=False)
    passes, start = 0, time.perf_counter()
    while time.perf_counter() - start < LONG_ENOUGH:
        if name == "flat":
            every = chain.from_iterable(lists)
            deque(lm.score_stream(every, context="sentence", tokens=False), maxlen=0)
        else:
            deque(score_lists(lm, lists, method="tree" if name == "tree" else "auto"), maxlen=0)
        passes += 1
    return (time.perf_counter() - start) / passes


def token_counts(model: str | None, variant: str, lists: Lists) -> tuple[int, int, int]:
    """Tokens of all hypotheses, nodes of a tree for each list, nodes of trees of many lists."""
    import lmscore
    from lmscore.runtime.rescoring.models import score_lists

    lm = lmscore.load(model, variant=variant)
    alone = [next(score_lists(lm, [hypotheses], method="tree")) for hypotheses in lists]
    together = score_lists(lm, lists, method="tree")
    return (
        sum(found.num_tokens for found in alone),
        sum(found.tokens_read or 0 for found in alone),
        sum(found.tokens_read or 0 for found in together),
    )


def measure(title: str, lists: Lists, model: str | None, variant: str) -> dict[str, object]:
    tokens, alone, together = token_counts(model, variant, lists)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(lists, file)
        file.flush()
        arguments = [file.name, f"--variant={variant}", *([f"--model={model}"] if model else [])]
        taken = take_turns(__file__, COMPETITORS, arguments)
    gain = {name: taken["flat"] / taken[name] for name in COMPETITORS[1:]}
    ratio = tokens / alone
    print(
        f"| {title} | {tokens:,} | {ratio:.2f} | {tokens / together:.2f} | "
        f"{tokens / taken['flat']:,.0f} | {gain['tree']:.2f} | {gain['auto']:.2f} | "
        f"{gain['auto'] / ratio:.2f} |",
        flush=True,
    )
    counts = {"tokens": tokens, "tree_tokens": alone, "tree_tokens_of_many_lists": together}
    return {**counts, "seconds": taken}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lists", nargs="+", type=Path)
    parser.add_argument("--model", help="default: the bundled model")
    parser.add_argument("--variant", default="int8")
    parser.add_argument("--n-best", nargs="+", type=int, default=[100, 1000])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        lists = json.loads(options.lists[0].read_text())
        print(seconds(options.worker, options.model, options.variant, lists))
        return

    print("| lists | tokens | ratio, each list | ratio, together | flat, tokens/s |", end="")
    print(" tree, x flat | auto, x flat | auto / ratio |\n|---|---|---|---|---|---|---|---|")
    found = {
        title: measure(title, lists, options.model, options.variant)
        for title, lists in corpora(options.lists, options.n_best)
    }
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
