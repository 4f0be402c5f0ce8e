"""How long one sentence takes from a cold shell, and where the time and memory go.

Usage: python benchmarks/startup.py [--model PATH] [--runs 15] [--json FILE] [--installed-size]

Every run is a process of its own; the commands take turns; medians. `--installed-size` also makes a
fresh virtual environment, installs `.[cpu]` in it, and adds up what each package takes. A second
table has the processor time of the checks that loading and stepping make.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import lmscore
from lmscore.bundle import TOKENIZER_FILE, Bundle, graph_outputs
from lmscore.files import sha256_file
from lmscore.runtime.engine.contract import ResultShapes
from lmscore.runtime.engine.sessions import open_session
from lmscore.runtime.engine.structure import check_structure
from lmscore.runtime.text.tokenizer_file import read_tokenizer

STEPS = 200
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


def checks(lm: lmscore.LanguageModel) -> dict[str, float]:
    """Processor time of the checks of a model's files and results, beside what they are part of.

    In milliseconds; the last two rows are of a step of one row.
    """
    bundle = Bundle.read(lm.path)
    graph, tokenizer = bundle.graph_path(lm.variant), Path(lm.path) / TOKENIZER_FILE
    data = tokenizer.read_bytes()
    state = lm.initial_state()
    result = lm.engine.step(np.array([1]), state)
    shapes = ResultShapes(graph_outputs(bundle.config), "")
    names = ["log_probs", *(tensor.next for tensor in bundle.config.state)]
    found = [result.log_probs[:, None].shape, *(each.shape for each in result.state.tensors)]
    feeds = {"targets": np.empty((1, 1, 0), np.int64), "k": np.zeros(1, np.int64)}
    return {
        "lmscore.load()": processor_ms(lambda: lmscore.load(lm.path, threads=1)),
        "the graph's hash": processor_ms(lambda: sha256_file(graph)),
        "the graph's structure": processor_ms(lambda: check_structure(graph, bundle.config)),
        "the session": processor_ms(lambda: open_session(graph, threads=1)),
        "the tokenizer's steps": processor_ms(lambda: read_tokenizer(data, ""))
        - processor_ms(lambda: read_tokenizer(data, "", trust=True)),
        "the tokenizer": processor_ms(lambda: read_tokenizer(data, "")),
        "shapes of results": processor_ms(lambda: shapes.check(names, found, feeds), STEPS),
        "a step": processor_ms(lambda: lm.step([1], state), STEPS),
    }


def processor_ms(call: Callable[[], object], times: int = 1) -> float:
    """The median processor time of a call, in milliseconds."""
    took = []
    for _ in range(9):
        start = time.process_time()
        for _ in range(times):
            call()
        took.append((time.process_time() - start) / times)
    return 1000 * statistics.median(took)


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
    report["checks_ms"] = checks(lmscore.load(threads=1))
    print("\n| | processor time, ms |\n|---|---|")
    for name, milliseconds in report["checks_ms"].items():
        print(f"| {name} | {milliseconds:.4g} |")
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
