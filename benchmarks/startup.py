"""How long one sentence takes from a cold shell, and where the time and memory go.

Usage: python benchmarks/startup.py [--model PATH] [--runs 15] [--json FILE] [--installed-size]

Every run is a process of its own; the commands take turns; medians. `--installed-size` also makes a
fresh virtual environment, installs `.[cpu]` in it, and adds up what each package takes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TEXT = b"Thanks for all the fish\n"
PYTHON = {
    "python": "pass",
    "import numpy": "import numpy",
    "import lmscore": "import lmscore",
    "import onnxruntime, tokenizers": "import numpy, onnxruntime, tokenizers",
    "lmscore.load()": "import lmscore; lmscore.load()",
    "score, as a library": "import lmscore; lmscore.load().score('Thanks for all the fish')",
}


def commands() -> dict[str, list[str]]:
    rows = {name: [sys.executable, "-c", code] for name, code in PYTHON.items()}
    rows["echo ... | lmscore score"] = [
        sys.executable,
        "-c",
        "import sys; from lmscore.cli import main; sys.exit(main(['score']))",
    ]
    return rows


def run(command: list[str]) -> tuple[float, float]:
    """Wall-clock seconds and peak memory (MB) of one process."""
    read, write = os.pipe()
    os.write(write, TEXT)
    os.close(write)
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdin=read, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    os.close(read)
    if process.returncode:
        raise SystemExit(f"failed: {' '.join(command)}")
    return seconds, usage.ru_maxrss / 1024


def installed_size() -> dict[str, float]:
    """MB that each package of a fresh `.[cpu]` environment takes, largest first."""
    root = Path(__file__).parent.parent
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [f"{folder}/bin/python", "-m", "pip"]
        subprocess.run([*pip, "install", "--quiet", f"{root}[cpu]"], check=True)
        subprocess.run([*pip, "uninstall", "--quiet", "--yes", "pip", "setuptools"], check=True)
        (site,) = Path(folder).glob("lib/python*/site-packages")
        sizes = {
            path.name: sum(f.stat().st_size for f in path.rglob("*") if f.is_file()) / 1e6
            for path in site.iterdir()
            if path.is_dir() and not path.name.endswith(".dist-info")
        }
    rows = dict(sorted(sizes.items(), key=lambda item: -item[1]))
    return {"all": sum(rows.values()), **rows}


def main() -> None:
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # as lmscore does, for all alike
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="default: the bundled model")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--installed-size", action="store_true")
    options = parser.parse_args()
    if options.model:
        os.environ["LMSCORE_MODEL"] = options.model

    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in commands()}
    for turn in range(options.runs + 1):
        for name, command in commands().items():
            result = run(command)
            if turn:  # the first turn warms the file cache
                measured[name].append(result)
    report: dict[str, Any] = {"machine": platform.platform(), "cores": os.cpu_count()}
    print(f"| | seconds, median of {options.runs} | of `python` | peak memory |")
    print("|---|---|---|---|")
    base = statistics.median(s for s, _ in measured["python"])
    for name, runs in measured.items():
        seconds = statistics.median(s for s, _ in runs)
        memory = statistics.median(m for _, m in runs)
        report[name] = {"seconds": seconds, "memory_mb": memory}
        print(f"| {name} | {seconds:.3f} | {seconds / base:.1f} x | {memory:.0f} MB |")
    if options.installed_size:
        report["installed_mb"] = installed_size()
        print("\n| installed | MB |\n|---|---|")
        for name, megabytes in report["installed_mb"].items():
            if megabytes >= 1:
                print(f"| {name} | {megabytes:.1f} |")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
