"""Held-out perplexity against minutes, as a Markdown table, from the record of a run.

Usage: python recipes/curve.py MODEL...
Minutes are those of training, intermediate evaluations included; perplexity is per token, of the
sample of the held-out text that the trainer evaluates.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def print_curve(folder: Path) -> None:
    print(f"| {folder.name}: minutes | tokens read | held-out perplexity |\n|---|---|---|")
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record.get("valid_perplexity") is not None:  # null where it is infinite
            minutes, tokens = record["seconds"] / 60, record["tokens"] / 1e6
            print(f"| {minutes:.1f} | {tokens:.2f}M | {record['valid_perplexity']:.1f} |")


def main() -> None:
    for name in sys.argv[1:]:
        print_curve(Path(name))
        print()


if __name__ == "__main__":
    main()
