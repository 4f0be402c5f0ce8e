"""The second text of each pair, decoded from the first by a beam search, and how far it is off.

    python recipes/decode_pairs.py MODEL PAIRS.tsv --metric bleu|wer [-o DECODED.txt]

Prints the metric of the decoded texts, and that of the first texts as they are: what a correction
has to beat. Needs the extra `mt` for BLEU (sacrebleu, tokenization 13a) or `tune` for WER.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import lmscore
from lmscore.runtime.rescoring.lists import METRICS, Metric


def decoded(model: str, sources: Sequence[str], *, beam_size: int) -> list[str]:
    """The likeliest second text of each first one, by log-probability per token."""
    lm = lmscore.load(model)
    found = []
    for source in sources:
        best = lm.beam_search(prefix=source, beam_size=beam_size, max_tokens=60, num_results=1)
        found.append(best[0].text.strip() if best else "")
    return found


def measured(metric: Metric, texts: Sequence[str], references: Sequence[str]) -> float:
    """The metric of all texts together."""
    pairs = zip(texts, references, strict=True)
    return float(metric.value(sum(metric.statistics([text], right) for text, right in pairs))[0])


def main() -> None:
    """Decode the pairs of a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--metric", choices=["bleu", "wer"], required=True)
    parser.add_argument("--beam-size", type=int, default=4)
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    rows = given.pairs.read_text(encoding="utf-8").splitlines()
    sources, references = zip(*(row.split("\t") for row in rows), strict=True)
    texts = decoded(given.model, sources, beam_size=given.beam_size)
    if given.output:
        given.output.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    metric = METRICS[given.metric]
    before, after = (measured(metric, side, references) for side in (sources, texts))
    print(f"{metric.title} {after:.2f}, of the first texts as they are {before:.2f}")


if __name__ == "__main__":
    main()
