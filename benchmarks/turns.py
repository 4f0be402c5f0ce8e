"""Competitors that take turns, each in a process of its own: what a fair ratio needs."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TURNS = 5


def take_turns(script: str, names: Sequence[str], arguments: Sequence[str]) -> dict[str, float]:
    """The median figure of each competitor.

    Runs `script ARGUMENTS --worker NAME`, which prints one number, for every name in turn.
    """
    figures: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(TURNS):
        for name in names:
            command = [sys.executable, script, *arguments, "--worker", name]
            result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            figures[name].append(float(result.stdout))
    return {name: statistics.median(values) for name, values in figures.items()}


def report(title: str, medians: dict[str, float], path: Path | None) -> None:
    """Print a table of tokens per second, ratios to the first one; write it as JSON too."""
    first = next(iter(medians.values()))
    print(f"| {title} | tokens/s | ratio |\n|---|---|---|")
    for name, speed in medians.items():
        print(f"| {name} | {speed:,.0f} | {speed / first:.2f} |")
    if path:
        path.write_text(json.dumps(medians, indent=2))
