"""Competitors that take turns, each in a process of its own: what a fair ratio needs."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

TURNS = 5


def take_turns(
    script: str, names: Sequence[str], arguments: Sequence[str], *, turns: int = TURNS
) -> dict[str, float]:
    """The median figure of each competitor.

    Runs `script ARGUMENTS --worker NAME`, which prints one number, for every name in turn. Who
    cannot run here is left out, with the last line of what it said.
    """
    figures: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(turns):
        for name in list(figures):
            command = [sys.executable, script, *arguments, "--worker", name]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                why = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
                print(f"left out: {name}: {why}", file=sys.stderr)
                del figures[name]
            else:
                figures[name].append(float(done.stdout.split()[-1]))
    return {name: statistics.median(values) for name, values in figures.items()}


def machine() -> dict[str, Any]:
    """What a figure depends on besides the code."""
    cpu = "unknown"
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(": ")[1] for line in lines if line.startswith("model name")), cpu)
    versions = {}
    for name in ("onnxruntime", "onnxruntime-gpu", "torch", "numpy", "tokenizers", "transformers"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {"cpu": cpu, "cores": os.cpu_count(), "python": platform.python_version(), **versions}


def report(title: str, medians: dict[str, float], path: Path | None) -> None:
    """Print a table of tokens per second, ratios to the first one; write it as JSON too."""
    first = next(iter(medians.values()))
    print(f"| {title} | tokens/s | ratio |\n|---|---|---|")
    for name, speed in medians.items():
        print(f"| {name} | {speed:,.0f} | {speed / first:.2f} |")
    save(path, medians)


def save(path: Path | None, figures: dict[str, Any]) -> None:
    """Write figures as JSON, with the machine they were measured on."""
    if path:
        path.write_text(json.dumps({"machine": machine(), **figures}, indent=2))
