"""Text to scores with a big vocabulary, tokens a second: each output layer, PyTorch, and KenLM.

Usage: python benchmarks/big_vocabularies.py TRAIN TEXT [--vocab 50000] [--hidden 512]
       [--lines 2000] [--arpa FILE] [--work DIR] [--json FILE]

TRAIN gives the vocabulary and its counts, and with them the classes; TEXT is what is scored. Models
are made after one update of training, and kept in --work: what a product costs does not depend on
its numbers. lmscore reads text: tokenising, batching and the sums are in its time, loading is not;
PyTorch gets padded batches of ids, sorted by length; KenLM, an n-gram model, reads text. Each
competitor runs in a process of its own; they take turns; medians; the ratio is what counts.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from models import make_model
from scoring import Options, kenlm, torch_batches
from texts import first_lines, tokens_per_second
from turns import report, take_turns


def lmscore(variant: str, *, unnormalized: bool = False) -> Callable[[Options], float]:
    def run(options: Options) -> float:
        import lmscore

        lm = lmscore.load(options.model, variant=variant, unnormalized=unnormalized)
        return tokens_per_second(lm, first_lines(options.text, options.lines))

    return run


COMPETITORS: dict[str, tuple[str, Callable[[Options], float]]] = {
    "PyTorch eager fp32": ("softmax", torch_batches("fp32")),
    "softmax fp32": ("softmax", lmscore("fp32")),
    "softmax int8": ("softmax", lmscore("int8")),
    "classes fp32": ("classes", lmscore("fp32")),
    "classes int8": ("classes", lmscore("int8")),
    "without the softmax fp32": ("self-normalised", lmscore("fp32", unnormalized=True)),
    "without the softmax int8": ("self-normalised", lmscore("int8", unnormalized=True)),
    "KenLM full_scores": ("softmax", kenlm("full_scores")),
}
"""What output layer each needs, and how it is measured."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train")
    parser.add_argument("text")
    parser.add_argument("--vocab", type=int, default=50_000)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--lines", type=int, default=2000)
    parser.add_argument("--arpa", help="an n-gram model, for KenLM")
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sizes = {"vocab": options.vocab, "hidden": options.hidden, "layers": 1}
    if options.worker:
        output, run = COMPETITORS[options.worker]
        options.model = str(make_model(options.work, options.train, output=output, **sizes))
        options.device, options.threads = "cpu", None
        print(run(options))
        return

    for output in dict.fromkeys(output for output, _ in COMPETITORS.values()):
        make_model(options.work, options.train, output=output, **sizes)
    names = [name for name in COMPETITORS if options.arpa or not name.startswith("KenLM")]
    passed = ("vocab", "hidden", "lines", "arpa", "work")
    given = [f"--{n}={getattr(options, n)}" for n in passed if getattr(options, n) is not None]
    speeds = take_turns(__file__, names, [options.train, options.text, *given])
    report(f"V {options.vocab:,}, H {options.hidden}, L 1", speeds, options.json)


if __name__ == "__main__":
    main()
